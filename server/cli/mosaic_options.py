"""Options that say what a mosaic is, and their reading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from mosaics.cql2 import Expression, every, expression_from_text
from mosaics.models import Text
from mosaics.mosaic import Mosaic, mosaic_document, mosaic_from, parse_order
from mosaics.registry import Registry
from mosaics.sensors import Sensor, find_sensor
from mosaics.shorthands import Shorthands
from server.cli.context import USAGE, fail


class Rules(StrEnum):
    """What comes first."""

    MOST_RECENT = "most-recent"
    OLDEST = "oldest"
    LEAST_CLOUD = "least-cloud"
    FINEST = "finest"
    MOST_VERTICAL = "most-vertical"
    NEAREST = "nearest"


class Pixels(StrEnum):
    """Which of the valid pixels at a place."""

    FIRST = "first"
    MEAN = "mean"
    MAX = "max"


class Stretches(StrEnum):
    """How far one range of values goes."""

    MOSAIC = "mosaic"
    SCENE = "scene"


_WHICH: Final = "Which scenes"
_HOW: Final = "How they are put together"
_SAID: Final = "What is said of it"

File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        exists=True,
        dir_okay=False,
        rich_help_panel=_WHICH,
        help="A filter in CQL2 (text or JSON), a STAC Collection, a MosaicJSON, or what `mosaic show --json` "
        "printed.",
    ),
]
SkipUnknown = Annotated[
    bool,
    typer.Option(
        "--skip-unknown",
        rich_help_panel=_WHICH,
        help="Leave out assets of a MosaicJSON that are not banked, instead of refusing it.",
    ),
]
FilterText = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="CQL2",
        rich_help_panel=_WHICH,
        help="Such as \"platform LIKE 'spot-%' AND gsd < 10\"; true: every scene.",
    ),
]
Collections = Annotated[
    list[str] | None,
    typer.Option("--collection", rich_help_panel=_WHICH, help="Scenes of this collection; may be repeated."),
]
Sensors = Annotated[
    list[str] | None,
    typer.Option("--sensor", rich_help_panel=_WHICH, help="Scenes of this sensor; may be repeated."),
]
First = Annotated[
    str | None,
    typer.Option("--from", metavar="DATE", rich_help_panel=_WHICH, help="Acquired from then on, UTC."),
]
Last = Annotated[
    str | None,
    typer.Option("--to", metavar="DATE", rich_help_panel=_WHICH, help="Acquired until then, that day too."),
]
MostCloud = Annotated[
    float | None,
    typer.Option("--max-cloud", min=0, max=100, rich_help_panel=_WHICH, help="Percent of clouds at most."),
]
MostIncidence = Annotated[
    float | None,
    typer.Option(
        "--max-incidence",
        min=0,
        max=90,
        rich_help_panel=_WHICH,
        help="Degrees of incidence at most; of off-nadir where that isn't known.",
    ),
]
Box = Annotated[
    str | None,
    typer.Option(
        "--bbox", metavar="W,S,E,N", rich_help_panel=_WHICH, help="What meets this box, in degrees."
    ),
]
OrderRule = Annotated[
    Rules | None,
    typer.Option("--order", rich_help_panel=_HOW, help="Which scene is on top. [default: most-recent]"),
]
OrderDate = Annotated[
    str | None, typer.Option("--date", rich_help_panel=_HOW, help="Of --order nearest, UTC.")
]
PixelChoice = Annotated[
    Pixels | None,
    typer.Option(
        "--pixels", rich_help_panel=_HOW, help="Of the valid ones at a place, in that order. [default: first]"
    ),
]
StretchChoice = Annotated[
    Stretches | None,
    typer.Option(
        "--stretch",
        rich_help_panel=_HOW,
        help="One range of values for the whole mosaic, or each scene its own. [default: mosaic]",
    ),
]
Ranges = Annotated[
    list[str] | None,
    typer.Option(
        "--range",
        metavar="BAND=LOW,HIGH",
        rich_help_panel=_HOW,
        help="Values that become dark and bright, by the band's common name; may be repeated. [default: "
        "found from the scenes]",
    ),
]
CloudMask = Annotated[
    bool | None,
    typer.Option(
        "--cloud-mask/--no-cloud-mask",
        rich_help_panel=_HOW,
        help="Leave out what a scene's mask calls cloud. [default: no]",
        show_default=False,
    ),
]
Styles = Annotated[
    list[str] | None,
    typer.Option(
        "--style",
        rich_help_panel=_HOW,
        help="A style it is shown in, the default first; may be repeated. [default: those of its scenes]",
    ),
]
TitleFr = Annotated[str | None, typer.Option(rich_help_panel=_SAID, help="Title in French.")]
TitleEn = Annotated[str | None, typer.Option(rich_help_panel=_SAID, help="Title in English.")]
DescriptionFr = Annotated[
    str | None, typer.Option(rich_help_panel=_SAID, help="A sentence or two in French.")
]
DescriptionEn = Annotated[
    str | None, typer.Option(rich_help_panel=_SAID, help="A sentence or two in English.")
]
Attribution = Annotated[
    str | None,
    typer.Option(rich_help_panel=_SAID, help="Copyright line of scenes that have none of their own."),
]

_RANGE: Final = re.compile(r"(?P<band>[^=]+)=(?P<low>[^,]+),(?P<high>[^,]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Which:
    """What options say of the scenes."""

    filter_text: str | None = None
    collections: Sequence[str] | None = None
    sensors: Sequence[str] | None = None
    first: str | None = None
    last: str | None = None
    most_cloud: float | None = None
    most_incidence: float | None = None
    box: str | None = None

    @property
    def said(self) -> bool:
        """True where some option was given."""
        return self != Which()

    def expression(self, sensors: Registry[Sensor]) -> Expression | None:
        """Write it as CQL2 JSON; None: every scene.

        Raises:
            FilterInvalidError, SensorNotFoundError: If an option can't be understood.
        """
        shorthands = Shorthands(
            collections=tuple(self.collections or ()),
            sensors=tuple(find_sensor(sensors, name).id for name in self.sensors or ()),
            first=self.first,
            last=self.last,
            most_cloud=self.most_cloud,
            most_incidence=self.most_incidence,
            bbox=_box(self.box),
        )
        asked = None if self.filter_text is None else expression_from_text(self.filter_text)
        return every(asked, shorthands.expression())


@dataclass(frozen=True, kw_only=True, slots=True)
class How:
    """What options say of everything else; None: nothing, it stays as it is."""

    rule: str | None = None
    date: str | None = None
    pixels: str | None = None
    stretch: str | None = None
    ranges: Sequence[str] | None = None
    cloud_mask: bool | None = None
    styles: Sequence[str] | None = None
    title: tuple[str | None, str | None] = (None, None)
    description: tuple[str | None, str | None] = (None, None)
    attribution: str | None = None

    def changed(self, mosaic: Mosaic) -> Mosaic:
        """Give the mosaic as the options have it.

        Raises:
            MosaicInvalidError: If it can't be so.
        """
        said: dict[str, Any] = {
            "pixel_selection": self.pixels,
            "stretch": self.stretch,
            "ranges": None if self.ranges is None else dict(map(_range, self.ranges)),
            "cloud_mask": self.cloud_mask,
            "styles": None if self.styles is None else list(self.styles),
            "attribution": self.attribution,
        }
        known = {name: value for name, value in said.items() if value is not None}
        found = mosaic_from({**mosaic_document(mosaic), **known})
        if self.rule is not None or self.date is not None:
            found = replace(found, order=parse_order(self.rule or found.order.rule, self.date))
        texts = {
            "title": _text(found.title, *self.title),
            "description": _text(found.description, *self.description),
        }
        return mosaic_from({**mosaic_document(found), **texts})


def _text(text: Text, fr: str | None, en: str | None) -> dict[str, str]:
    return {"fr": text.fr if fr is None else fr, "en": text.en if en is None else en}


def _range(text: str) -> tuple[str, list[float]]:
    """Read BAND=LOW,HIGH."""
    found = _RANGE.fullmatch(text)
    try:
        assert found is not None
        return found["band"].strip(), [float(found["low"]), float(found["high"])]
    except (AssertionError, ValueError):
        fail(f"--range {text}: it is written red=0,2000", USAGE)


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    """Read W,S,E,N."""
    if text is None:
        return None
    try:
        west, south, east, north = (float(side) for side in text.split(","))
    except ValueError:
        fail(f"--bbox {text}: it is written W,S,E,N, four numbers with commas between", USAGE)
    return west, south, east, north
