"""Of which value two dates are compared, and how its difference is shown: as data, or as the caller asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from rio_tiler.colormap import cmap

from mosaics.errors import ChangeUnsuitableError
from mosaics.models import UNMIXED_KINDS, Kind, Scene, Text
from mosaics.readings import bands_bound
from mosaics.registry import Document, Registry, check_keys, load_registry, parse_source, parse_text
from mosaics.styles import Style
from mosaics.terrain import ENCODINGS

REQUIRED: Final = frozenset({"id", "title", "values", "kinds", "rescale", "colormap_name", "source"})
DIVERGING: Final = "rdbu"
"""Colours where no file says others: red is less than before, blue is more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """How the difference of one sort of value is shown."""

    id: str
    """Stable name."""
    title: Text
    """Name for people."""
    values: tuple[str, ...]
    """Ids of styles and indices whose value it is of; none: any of the kinds."""
    kinds: tuple[Kind, ...]
    """Kinds of scenes that it makes sense for."""
    rescale: tuple[float, float]
    """Differences at the ends of the colours, in the value's unit."""
    colormap_name: str
    """Name in rio_tiler.colormap.cmap."""
    source: tuple[str, ...]
    """Where its numbers come from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """What one value of a pixel is: equal values can be subtracted from each other."""

    kind: Kind
    """Of the scenes."""
    expression: str | None
    """The formula that gives it; None: it is a band."""
    meaning: str
    """Of the band: its common name, else its own; of a formula nothing."""
    unit: str | None
    """Of the band; None: not told, or of a formula."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """A value of which two dates are compared, and how the difference is shown."""

    value: Value
    """What is subtracted."""
    rescale: tuple[float, float]
    """Differences at the ends of the colours."""
    colormap_name: str
    """Name in rio_tiler.colormap.cmap."""
    title: Text
    """Name for people."""

    def token(self) -> str:
        """Write all that changes pixels in one canonical line."""
        return f"{self.value!r}:{self.rescale!r}:{self.colormap_name}"


def load_changes(extra: Path | None = None) -> Registry[Change]:
    """Read the package's files and those of an optional folder.

    Raises:
        DataFileInvalidError: If a file breaks a rule of mosaics/data/changes/README.md.
    """
    return load_registry("changes", parse_change, extra)


def parse_change(document: Document) -> Change:
    """Make the value of a document.

    Raises:
        ValueError: If it breaks a rule of mosaics/data/changes/README.md.
    """
    check_keys(document, REQUIRED, frozenset())
    ((low, high),) = document["rescale"]
    kinds, name = tuple(document["kinds"]), document["colormap_name"]
    if not kinds or not set(kinds) <= set(get_args(Kind)):
        raise ValueError(f"kinds must be some of {', '.join(get_args(Kind))}")
    if name not in cmap.data:
        raise ValueError(f"colormap_name {name!r} is none of rio-tiler's")
    if not low < high:
        raise ValueError("rescale must be [[low, high]] with low < high")
    return Change(
        id=document["id"],
        title=parse_text(document["title"]),
        values=tuple(document["values"]),
        kinds=kinds,
        rescale=(float(low), float(high)),
        colormap_name=name,
        source=parse_source(document["source"]),
    )


def value_of_style(style: Style, scene: Scene) -> Value | None:
    """Give the one value that a style shows of a scene; None where it shows several, or none to subtract."""
    bands = bands_bound(style, scene)
    if bands is None or scene.kind in UNMIXED_KINDS:
        return None
    if style.algorithm is None and len(style.expression) == 1:
        return Value(kind=scene.kind, expression=style.expression[0], meaning="", unit=None)
    if style.expression or len(bands) != 1:
        return None
    (band,) = bands
    return Value(kind=scene.kind, expression=None, meaning=band.common_name or band.name, unit=band.unit)


def look_of(
    changes: Registry[Change],
    style: Style,
    scene: Scene,
    *,
    name: str,
    rescale: tuple[float, float] | None,
    colormap_name: str | None,
) -> Look:
    """Give how the change of a style's value is shown.

    Args:
        changes: All files.
        style: The style, which fits the scene.
        scene: An example of what is shown.
        name: Id of the style, or of the index that it shows.
        rescale: As the caller wants it; None: as a file says, else by the style's own range.
        colormap_name: As the caller wants it; None: as a file says.

    Raises:
        ChangeUnsuitableError: If there is no one value, or no range for its differences.
    """
    value = value_of_style(style, scene)
    if value is None:
        raise ChangeUnsuitableError
    fitting = [each for each in changes.values() if scene.kind in each.kinds]
    found = next((each for each in fitting if name in each.values), None) or next(
        (each for each in fitting if not each.values and value.expression is None), None
    )
    if rescale is None:
        rescale = _own_range(style, scene) if found is None else found.rescale
    if rescale is None:
        raise ChangeUnsuitableError
    return Look(
        value=value,
        rescale=rescale,
        colormap_name=colormap_name or (DIVERGING if found is None else found.colormap_name),
        title=style.title if found is None else found.title,
    )


def _own_range(style: Style, scene: Scene) -> tuple[float, float] | None:
    """Give half the width of a style's fixed range to both sides of zero; None: it has none."""
    if style.algorithm is not None and style.algorithm in ENCODINGS:
        return None
    told = style.rescale_of(bands_bound(style, scene) or ())
    if not isinstance(told, tuple) or len(told) != 1 or style.algorithm is not None:
        return None
    reach = (told[0][1] - told[0][0]) / 2
    return -reach, reach
