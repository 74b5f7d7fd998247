"""Items as a scene needs them: our own checked, others' completed, whatever they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from mosaics.catalog.summary import WORDS, Summary
from mosaics.errors import IngestError, SceneUnreadableError
from mosaics.ingest.collection_documents import collection_from_document
from mosaics.ingest.foreign import Completing, is_whole
from mosaics.item_assets import DATA
from mosaics.models import Collection, Kind

_SCENE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_KINDS: Final = frozenset(get_args(Kind))
_AREAS: Final = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
_LEAST, _MOST = (-180, -90), (180, 90)
"""Longitude and latitude."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Foreign:
    """The `Understanding` of a catalogue that others keep."""

    completing: Completing
    """Completes their items, and knows where files may lie."""

    def collection(self, document: dict[str, Any]) -> Collection:
        """Make a collection of a STAC Collection.

        Raises:
            IngestError: If its id can't be one.
        """
        return collection_from_document(document)

    def item(self, document: dict[str, Any], collection: Collection) -> dict[str, Any]:
        """Make an item that has all that a scene needs; another's has the licence of its collection.

        Raises:
            IngestError: If the item does not say something that has to be known.
        """
        item, is_ours = whole_item(document, self.completing, self.completing.places.root)
        if not is_ours and collection.licence_id is not None:
            item["properties"]["license"] = collection.licence_id
        return item

    def check(self, summary: Summary) -> None:
        """Check that the outline is an area on the Earth.

        Raises:
            SceneUnreadableError: If it is not; its cause says why.
        """
        (error,) = check_outlines([summary])
        if error is not None:
            raise error


def whole_item(
    document: Mapping[str, Any], completing: Completing, start: Path
) -> tuple[dict[str, Any], bool]:
    """Give an item as a scene needs it, and whether it was whole before.

    Args:
        document: As somebody wrote it.
        completing: Completes others', and knows where files may lie.
        start: Folder that relative hrefs of others start from.

    Raises:
        IngestError: If it can't be served.
    """
    whole = is_whole(document)
    item = dict(document) if whole else completing.completed(document, start)
    if not isinstance(item.get("id"), str) or _SCENE_ID.fullmatch(item["id"]) is None:
        raise IngestError(
            "its id can't name a scene: up to 128 letters, digits, dots, hyphens and underscores"
        )
    properties = item["properties"] = dict(item["properties"])
    if whole:
        _check_whole(properties)
        for key, asset in item["assets"].items():
            is_image = key == DATA or "data" in asset.get("roles", ())
            completing.places.check(asset["href"], is_there=is_image)
    return item, whole


def _check_whole(properties: Mapping[str, Any]) -> None:
    """Check what of an item that has everything could still not be shown."""
    if properties["flux:kind"] not in _KINDS:
        raise IngestError(f"its flux:kind is none of {', '.join(sorted(_KINDS))}")
    styles, sensor = properties["flux:styles"], properties["flux:sensor"]
    if not isinstance(sensor, str) or not isinstance(styles, list) or not all(map(_is_text, styles)):
        raise IngestError("its flux:sensor or flux:styles can't be understood")
    licence = properties.get("license")
    if licence is not None and not isinstance(licence, str):
        raise IngestError("its license is no word")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def check_outlines(summaries: Sequence[Summary]) -> list[SceneUnreadableError | None]:
    """Check that outlines are areas on the Earth.

    Args:
        summaries: What the index would hold.

    Returns:
        Of each why it is none, in the cause of the error; None: it is one.
    """
    outlines = shapely.from_wkb([summary.footprint for summary in summaries])
    is_area = np.isin(shapely.get_type_id(outlines), _AREAS) & ~shapely.is_empty(outlines)
    bounds = shapely.bounds(outlines)
    is_beyond = (bounds[:, :2] < _LEAST).any(axis=1) | (bounds[:, 2:] > _MOST).any(axis=1)
    is_good = is_area & shapely.is_valid(outlines) & ~is_beyond
    return [
        None if good else _bad_outline(summary, outline)
        for good, summary, outline in zip(is_good.tolist(), summaries, outlines, strict=True)
    ]


def _bad_outline(summary: Summary, outline: BaseGeometry) -> SceneUnreadableError:
    if outline.geom_type not in {"Polygon", "MultiPolygon"} or outline.is_empty:
        reason = "its geometry is no area"
    elif not outline.is_valid:
        reason = f"its geometry is not valid: {shapely.is_valid_reason(outline)}"
    else:
        reason = "its geometry lies beyond longitudes of -180 to 180 and latitudes of -90 to 90"
    error = SceneUnreadableError(str(summary.words[WORDS.index("id")]))
    error.__cause__ = IngestError(reason)
    return error
