"""Sensors as values: how their files are laid out, recognised, dated and credited; it opens no file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from mosaics.acquired import DatePattern, acquired_from_name, parse_date_pattern
from mosaics.errors import SensorNotFoundError
from mosaics.models import Band, Kind, Text
from mosaics.registry import Document, Registry, check_keys, load_registry, parse_source, parse_text

__all__ = [
    "Layout",
    "Sensor",
    "acquired_from_name",
    "find_sensor",
    "guess_sensor",
    "load_sensors",
    "parse_sensor",
]

COLOURS = frozenset(
    {"red", "green", "blue", "nir", "rededge", "coastal", "pan", "yellow", "cirrus"},
)
"""Colour interpretations of GDAL that are also common names of STAC."""
RGB = frozenset({"red", "green", "blue"})
GENERIC = ("palette", "rgb", "grey", "multispectral")
"""Ids of the sensors for files that say nothing of their sensor."""
SENSOR_REQUIRED = frozenset({"id", "title", "layouts", "source"})
SENSOR_OPTIONAL = frozenset(
    {
        "aliases",
        "filename_patterns",
        "datetime_patterns",
        "tag_patterns",
        "attribution",
        "pan_resolution_m",
        "bundle_styles",
    }
)
LAYOUT_REQUIRED = frozenset({"band_count", "kind", "styles"})
LAYOUT_OPTIONAL = frozenset(
    {"bands", "data_types", "colour_interpretation", "colours", "filename_pattern", "delivery"}
)
BAND_OPTIONAL = frozenset({"common_name", "unit", "range_nm", "centre_nm"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """One way in which a sensor's files are laid out."""

    band_count: int | None
    """Bands, alpha not counted; None: any number."""
    kind: Kind
    """What the numbers mean."""
    styles: tuple[str, ...]
    """Ids of the styles that suit it, the default first."""
    bands: tuple[Band, ...] = ()
    """In file order; empty where the colour interpretation names them."""
    data_types: tuple[str, ...] | None = None
    """numpy names of the types it comes in; None: any."""
    colour_interpretation: tuple[str, ...] | None = None
    """GDAL's colour interpretation, band by band, that a file must have; None: any."""
    colours: frozenset[str] = frozenset()
    """Colours that the interpretation must hold, in whatever order."""
    filename_pattern: re.Pattern[str] | None = None
    """What the file name must hold; None: anything."""
    delivery: bool = False
    """True: it is of whole deliveries, whose metadata name the bands; no single file is taken for it."""

    def fits(self, band_count: int, data_type: str, colours: tuple[str, ...], file_name: str) -> bool:
        """Tell whether a file is laid out so; `colours` without alpha, one per band."""
        return (
            not self.delivery
            and self.band_count in (None, band_count)
            and (self.data_types is None or data_type in self.data_types)
            and (self.colour_interpretation is None or self.colour_interpretation == colours)
            and self.colours <= set(colours)
            and (self.filename_pattern is None or self.filename_pattern.search(file_name) is not None)
        )

    def of_file(self, data_type: str, colours: tuple[str, ...]) -> Layout:
        """Give the layout of one file: its number of bands, each with the file's data type."""
        bands = self.bands or _bands_by_colour(colours)
        return replace(
            self,
            band_count=len(bands),
            bands=tuple(band._replace(data_type=data_type) for band in bands),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Sensor:
    """A product family: its layouts, and how its files are recognised."""

    id: str
    """Stable name; rights may be bound to it."""
    title: Text
    """Name for people."""
    layouts: tuple[Layout, ...]
    """The first that fits a file is its layout."""
    source: tuple[str, ...]
    """Where the numbers come from."""
    aliases: tuple[str, ...] = ()
    """Other names that give this sensor, whatever their case."""
    filename_patterns: tuple[re.Pattern[str], ...] = ()
    """Searched in a file's name; one is enough."""
    tag_patterns: tuple[tuple[str, re.Pattern[str]], ...] = ()
    """(tag, pattern) searched in a file's metadata; one is enough."""
    datetime_patterns: tuple[DatePattern, ...] = ()
    """How its file names tell the acquisition time; the first that is found."""
    attribution: str = ""
    """Copyright line; {year} is the year of acquisition."""
    pan_resolution: float | None = None
    """Panchromatic ground sample distance of its products, metres; None: not one number, or no such band."""
    bundle_styles: tuple[str, ...] = ()
    """Ids of styles that read several files of a scene."""

    def layout_for(
        self,
        band_count: int,
        data_type: str,
        colour_interpretation: tuple[str, ...],
        file_name: str = "",
    ) -> Layout | None:
        """Give the layout of a file.

        Args:
            band_count: Bands, alpha not counted.
            data_type: numpy name; complex values have no layout, they must be detected first.
            colour_interpretation: GDAL's, band by band; alpha may stand in it.
            file_name: For products whose bands only the name tells.

        Returns:
            With as many bands as the file has; None where the sensor has no such product.
        """
        if data_type.startswith("complex"):
            return None
        colours = _colours(colour_interpretation, band_count)
        for layout in self.layouts:
            if layout.fits(band_count, data_type, colours, Path(file_name).name):
                return layout.of_file(data_type, colours)
        return None

    def styles_for(self, bands: Sequence[Band], kind: Kind) -> tuple[str, ...]:
        """Give the ids of the styles of an image of a whole delivery, which says itself what its bands are.

        Args:
            bands: With the common names and units that the delivery tells.
            kind: Of their numbers.

        Returns:
            The default first: what the sensor lists for deliveries, else for files of these bands, else for
            any. Those that do not bind to the bands are still among them.
        """
        named = {band.common_name for band in bands}
        of_kind = [layout for layout in self.layouts if layout.kind == kind]
        same = [layout for layout in of_kind if {band.common_name for band in layout.bands} == named]
        listed = [layout for layout in of_kind if layout.delivery] or same or of_kind
        return tuple(dict.fromkeys(style for layout in listed for style in layout.styles))

    def recognises(self, file_name: str, tags: Mapping[str, str]) -> bool:
        """Tell whether a file's name or tags are this sensor's."""
        name = Path(file_name).name
        return any(pattern.search(name) for pattern in self.filename_patterns) or any(
            pattern.search(tags.get(tag, "")) for tag, pattern in self.tag_patterns
        )

    def acquired_from(self, file_name: str) -> datetime | None:
        """Read the acquisition time of a file's name by this sensor's patterns, then by the general ones.

        Returns:
            UTC; midnight where only a date is told, None where nothing certain is.
        """
        name = Path(file_name).name
        for pattern in self.datetime_patterns:
            found = pattern.find(name)
            if found is not None:
                return found
        return acquired_from_name(name)

    def attribution_for(self, acquired: datetime | None) -> str:
        """Write the copyright line, without the year where it isn't known."""
        if acquired is not None:
            return self.attribution.replace("{year}", str(acquired.astimezone(UTC).year))
        return re.sub(r"\s*(?:- )?\(?\{year\}\)?", "", self.attribution)


def load_sensors(extra: Path | None = None) -> Registry[Sensor]:
    """Read the package's sensors and those of an optional folder.

    Raises:
        DataFileInvalidError: If a file breaks a rule of mosaics/data/sensors/README.md.
    """
    return load_registry("sensors", parse_sensor, extra)


def find_sensor(registry: Registry[Sensor], name: str) -> Sensor:
    """Give the sensor of an id or alias, whatever its case.

    Raises:
        SensorNotFoundError: If there is none; it lists the known ids.
    """
    wanted = name.casefold()
    for sensor in registry.values():
        if wanted in {sensor.id.casefold(), *(alias.casefold() for alias in sensor.aliases)}:
            return sensor
    raise SensorNotFoundError(name, registry.list())


def guess_sensor(
    registry: Registry[Sensor],
    *,
    file_name: str,
    band_count: int,
    data_type: str,
    colour_interpretation: tuple[str, ...],
    has_palette: bool,
    tags: Mapping[str, str],
) -> Sensor:
    """Guess the sensor of a file; rather a generic one than a wrong one.

    A palette makes classes of any file. Then the one sensor whose name or tag patterns find the file and
    which has a layout for it; none or several: a generic sensor, by bands and colours.

    Args:
        registry: All sensors.
        file_name: With or without folders, which are not looked at.
        band_count: Bands, alpha not counted.
        data_type: numpy name.
        colour_interpretation: GDAL's, band by band; alpha may stand in it.
        has_palette: Whether the file has a colour table.
        tags: The file's metadata.
    """
    if has_palette and band_count == 1:
        return registry.get("palette")
    found = [
        sensor
        for sensor in registry.values()
        if sensor.id not in GENERIC
        and sensor.recognises(file_name, tags)
        and sensor.layout_for(band_count, data_type, colour_interpretation, file_name) is not None
    ]
    if len(found) == 1:
        return found[0]
    if band_count == 1:
        return registry.get("grey")
    if band_count == 3:
        colours = _colours(colour_interpretation, band_count)
        if set(colours) == RGB or not COLOURS & set(colours):
            return registry.get("rgb")
    return registry.get("multispectral")


def parse_sensor(document: Document) -> Sensor:
    """Make a sensor of its document.

    Raises:
        ValueError: If it breaks a rule of mosaics/data/sensors/README.md.
    """
    check_keys(document, SENSOR_REQUIRED, SENSOR_OPTIONAL)
    layouts = tuple(_layout(entry) for entry in document["layouts"])
    if not layouts:
        raise ValueError("layouts must not be empty")
    return Sensor(
        id=document["id"],
        title=parse_text(document["title"]),
        layouts=layouts,
        source=parse_source(document["source"]),
        aliases=tuple(document.get("aliases", ())),
        filename_patterns=tuple(_pattern(text) for text in document.get("filename_patterns", ())),
        tag_patterns=tuple((tag, _pattern(text)) for tag, text in document.get("tag_patterns", {}).items()),
        datetime_patterns=tuple(parse_date_pattern(entry) for entry in document.get("datetime_patterns", ())),
        attribution=document.get("attribution", ""),
        pan_resolution=_positive(document.get("pan_resolution_m")),
        bundle_styles=tuple(document.get("bundle_styles", ())),
    )


def _positive(value: Any) -> float | None:
    if value is not None and not (isinstance(value, int | float) and 0 < value < 1000):
        raise ValueError("pan_resolution_m must be metres, more than 0")
    return None if value is None else float(value)


def _layout(document: Any) -> Layout:
    """Make a layout of its document."""
    check_keys(document, LAYOUT_REQUIRED, LAYOUT_OPTIONAL)
    bands = tuple(_band(entry) for entry in document.get("bands", ()))
    count = document["band_count"]
    if bands and len(bands) != count:
        raise ValueError(f"a layout of {count} bands lists {len(bands)}")
    names = [band.name for band in bands]
    commons = [band.common_name for band in bands if band.common_name]
    if len(set(names)) != len(names) or len(set(commons)) != len(commons):
        raise ValueError("two bands of a layout have the same name")
    if document["kind"] not in get_args(Kind):
        raise ValueError(f"kind {document['kind']!r} is none of {', '.join(get_args(Kind))}")
    if not document["styles"]:
        raise ValueError("a layout must have a style")
    pattern = document.get("filename_pattern")
    return Layout(
        band_count=count,
        kind=document["kind"],
        styles=tuple(document["styles"]),
        bands=bands,
        data_types=_optional_tuple(document.get("data_types")),
        colour_interpretation=_optional_tuple(document.get("colour_interpretation")),
        colours=frozenset(document.get("colours", ())),
        filename_pattern=None if pattern is None else _pattern(pattern),
        delivery=bool(document.get("delivery", False)),
    )


def _band(document: Any) -> Band:
    """Make a band; its centre and width are those of the range in nanometres."""
    check_keys(document, frozenset({"name"}), BAND_OPTIONAL)
    centre = width = None
    if "range_nm" in document:
        low, high = document["range_nm"]
        if not 0 < low < high:
            raise ValueError(f"range_nm of band {document['name']} must be [low, high]")
        centre, width = round((low + high) / 2000, 6), round((high - low) / 1000, 6)
    elif "centre_nm" in document:
        centre = document["centre_nm"] / 1000
    return Band(
        name=document["name"],
        common_name=document.get("common_name"),
        unit=document.get("unit"),
        wavelength_um=centre,
        fwhm_um=width,
    )


def _optional_tuple(values: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern, whatever the case of letters."""
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error


def _colours(colour_interpretation: tuple[str, ...], band_count: int) -> tuple[str, ...]:
    """Give one colour per band, alpha left out."""
    colours = tuple(colour for colour in colour_interpretation if colour != "alpha")
    return (colours + ("undefined",) * band_count)[:band_count]


def _bands_by_colour(colours: tuple[str, ...]) -> tuple[Band, ...]:
    """Name bands B1, B2 ... with the common names that the colours give, each once."""
    return tuple(
        Band(
            name=f"B{place}",
            common_name=colour if colour in COLOURS and colour not in colours[: place - 1] else None,
        )
        for place, colour in enumerate(colours, start=1)
    )
