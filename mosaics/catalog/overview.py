"""A mosaic overview as the catalogue holds it: one coarse file in place of many scenes, and of which."""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from mosaics.catalog.table import SceneMaker
from mosaics.errors import SceneUnreadableError
from mosaics.models import Band, Scene
from mosaics.mosaic import Mosaic, mosaic_document

log = structlog.get_logger(__name__)

_VERSION: Final = 1
"""Of the documents; those of another are not used, and are made anew."""
UNDATED: Final = "undated"
"""The period of scenes whose acquisition time isn't known."""
NUMBERS: Final = "numbers"
"""Key of the asset that tells of each pixel which scene it is of."""


class BucketKey(NamedTuple):
    """What the scenes of an overview have in common."""

    collection_id: str
    licence_id: str | None
    sensor_id: str | None
    look: str
    """Kind, styles and bands, as `look_of` writes them."""
    period: str
    """Of acquisition: 2024-05, 2024-Q2, 2024, all, or undated."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Overview:
    """One coarse file of some scenes of a layer, and beside it which of them each pixel is of."""

    layer_id: str
    """Of the collection or mosaic."""
    name: str
    """Of the overview within the layer."""
    key: BucketKey
    definition: str
    """Digest of how the layer chose its pixels."""
    zoom: int
    """Of the Web Mercator grid, whose pixels are its own."""
    cell: float
    """Side of a pixel, metres of Web Mercator."""
    scene: Scene
    """It, as if it were a scene."""
    numbers: Scene
    """The file of members' numbers, from 1; the same pixels."""
    tokens: NDArray[np.uint64]
    """Of its members, number n at place n - 1, as the table of scenes has them; 0: none."""

    @property
    def count(self) -> int:
        """How many scenes it is of."""
        return int(np.count_nonzero(self.tokens))


def definition_of(mosaic: Mosaic | None) -> str:
    """Digest what makes the pixels of a layer's overviews beside its scenes: order, choice, clouds."""
    if mosaic is None:
        return "newest-first"
    document = mosaic_document(mosaic)
    said = [document[name] for name in ("order", "pixel_selection", "cloud_mask")]
    return hashlib.blake2b(repr(said).encode(), digest_size=8).hexdigest()


def period_of(acquired: datetime | None, length: str) -> str:
    """Give the period that a time lies in.

    Args:
        acquired: UTC.
        length: `month`, `quarter`, `year` or `all`.
    """
    if acquired is None:
        return UNDATED
    if length == "month":
        return f"{acquired.year:04}-{acquired.month:02}"
    if length == "quarter":
        return f"{acquired.year:04}-Q{(acquired.month + 2) // 3}"
    return f"{acquired.year:04}" if length == "year" else "all"


def period_bounds(period: str) -> tuple[float, float]:
    """Give the first moment of a period and the first after it, seconds since 1970; undated: NaN."""
    if period == UNDATED:
        return math.nan, math.nan
    if period == "all":
        return -math.inf, math.inf
    year = int(period[:4])
    first, many = 1, 12
    if "Q" in period:
        first, many = 3 * int(period[-1]) - 2, 3
    elif len(period) > len("2024"):
        first, many = int(period[5:]), 1
    after = first + many
    begin = datetime(year, first, 1, tzinfo=UTC)
    end = datetime(year + (after > 12), (after - 1) % 12 + 1, 1, tzinfo=UTC)
    return begin.timestamp(), end.timestamp()


def overview_document(overview: Overview, item: dict[str, Any]) -> dict[str, Any]:
    """Write an overview as JSON; `overview_from` reads it.

    Args:
        overview: The overview.
        item: Its STAC item, with the asset `numbers`.
    """
    return {
        "version": _VERSION,
        "key": list(overview.key),
        "definition": overview.definition,
        "zoom": overview.zoom,
        "cell": overview.cell,
        "members": base64.b64encode(overview.tokens.astype("<u8").tobytes()).decode(),
        "item": item,
    }


def overview_from(
    layer_id: str, name: str, document: dict[str, Any], make: SceneMaker, sequence: int
) -> Overview | None:
    """Read an overview; None: it is of another version, or damaged, which is logged.

    Args:
        layer_id: Of the layer.
        name: Of the overview.
        document: As `overview_document` wrote it.
        make: Makes scenes.
        sequence: Of its last change.
    """
    try:
        if document["version"] != _VERSION:
            return None
        item = document["item"]
        scene = make(item, sequence)
        return Overview(
            layer_id=layer_id,
            name=name,
            key=BucketKey(*document["key"]),
            definition=document["definition"],
            zoom=document["zoom"],
            cell=document["cell"],
            scene=scene,
            numbers=_numbers(make(_leading(item, NUMBERS), sequence)),
            tokens=np.frombuffer(base64.b64decode(document["members"]), "<u8").astype(np.uint64),
        )
    except (KeyError, TypeError, ValueError, SceneUnreadableError) as error:
        log.error("overview_unreadable", layer=layer_id, overview=name, cause=repr(error))  # noqa: TRY400 - its cause says it
        return None


def _leading(item: dict[str, Any], key: str) -> dict[str, Any]:
    """Give an item whose leading asset is another one of it."""
    return {**item, "assets": {"data": item["assets"][key]}}


def _numbers(scene: Scene) -> Scene:
    """Make sure that nothing is mixed of two numbers."""
    return replace(scene, kind="classes", colormap=(), visual=None, others=())


def number_type(members: int) -> str:
    """Give the type that holds numbers of so many members."""
    return "uint16" if members < 1 << 16 else "uint32"


def number_band(members: int) -> Band:
    """Give the band of members' numbers."""
    return Band(name="number", data_type=number_type(members), minimum=1.0, maximum=float(max(members, 1)))
