"""What the numbers of an examined file mean: its sensor, bands, kind and styles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mosaics.errors import IngestError
from mosaics.ingest.examine import Examination
from mosaics.ingest.inspect import Inspection
from mosaics.ingest.statistics import BandStatistics
from mosaics.models import Band, Kind
from mosaics.registry import Registry
from mosaics.sensors import Layout, Sensor, guess_sensor
from mosaics.styles import Style

_EDGED: Final = frozenset({"optical", "sar", "elevation"})
"""Kinds of which a value that is so frequent hardly is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What a file shows."""

    sensor: Sensor
    """Given, or guessed."""
    kind: Kind
    """What the numbers mean."""
    bands: tuple[Band, ...]
    """In file order, with the statistics of the whole image."""
    styles: tuple[str, ...]
    """Ids of the styles that bind to the bands, the default first."""
    messages: tuple[str, ...]
    """What the person who banks should know."""


def describe(
    examination: Examination, sensor: Sensor | None, sensors: Registry[Sensor], styles: Registry[Style]
) -> Description:
    """Find out what a file shows.

    Args:
        examination: The file.
        sensor: The sensor that was named; None to guess.
        sensors: All sensors.
        styles: All styles.

    Returns:
        What was found.

    Raises:
        IngestError: If the sensor has no product like the file.
    """
    inspection = examination.inspection
    messages: tuple[str, ...] = ()
    if sensor is None:
        sensor = sensor_of(inspection, sensors)
        messages = (f"sensor: {sensor.id} (guessed; name another with --sensor)",)
    layout = sensor.layout_for(
        inspection.band_count, inspection.data_type, inspection.colour_interpretation, inspection.path.name
    )
    if layout is None:
        raise _unfit(inspection, sensor, sensors)
    bands = tuple(
        with_statistics(band, inspection, place, statistics)
        for place, (band, statistics) in enumerate(zip(layout.bands, examination.bands, strict=True))
    )
    found = _styles(layout, bands, styles)
    if not found:
        messages += ("no style suits its bands, so it can't be shown; name another sensor with --sensor",)
    messages += _unsaid_nodata(examination, layout.kind)
    steps = max(statistics.sample_step for statistics in examination.bands)
    if steps > 1:
        messages += (f"percentiles are from one valid value in {steps}",)
    return Description(sensor=sensor, kind=layout.kind, bands=bands, styles=found, messages=messages)


def _unsaid_nodata(examination: Examination, kind: Kind) -> tuple[str, ...]:
    """Say so where much of an image looks as if it meant nothing, such as black edges, and nothing tells."""
    (least, *others) = {band.minimum for band in examination.bands}
    if examination.inspection.mask != "none" or kind not in _EDGED or others or least is None:
        return ()
    if any(band.p2 != least or band.p98 == least for band in examination.bands):
        return ()
    words = (
        f"at least 2 % of its values are {least:g}, the least; if that means nothing, take it out again and "
        f"bank it with --nodata {least:g}"
    )
    return (words,)


def sensor_of(inspection: Inspection, sensors: Registry[Sensor]) -> Sensor:
    """Guess the sensor of an inspected file."""
    return guess_sensor(
        sensors,
        file_name=inspection.path.name,
        band_count=inspection.band_count,
        data_type=inspection.data_type,
        colour_interpretation=inspection.colour_interpretation,
        has_palette=bool(inspection.palette),
        tags=inspection.tags,
    )


def with_statistics(band: Band, inspection: Inspection, place: int, found: BandStatistics) -> Band:
    """Give a band with what was measured of it, the scale of the file, and its unit where none is known."""
    return band._replace(
        unit=band.unit or inspection.units[place] or None,
        minimum=found.minimum,
        maximum=found.maximum,
        p2=found.p2,
        p50=found.p50,
        p98=found.p98,
        p999=found.p999,
        scale=inspection.scales[place],
        offset=inspection.offsets[place],
    )


def _styles(layout: Layout, bands: tuple[Band, ...], styles: Registry[Style]) -> tuple[str, ...]:
    """Give the layout's styles that bind to the bands; where none does, any that does."""
    listed = tuple(
        name
        for name in layout.styles
        if name in styles and styles.get(name).bind(bands, layout.kind) is not None
    )
    if listed:
        return listed
    return tuple(style.id for style in styles.values() if style.bind(bands, layout.kind) is not None)


def _unfit(inspection: Inspection, sensor: Sensor, sensors: Registry[Sensor]) -> IngestError:
    """Say what the sensor's files look like and how to go on."""
    expected = "; or ".join(dict.fromkeys(_words(layout) for layout in sensor.layouts))
    fitting = [
        other.id
        for other in sensors.values()
        if other.layout_for(
            inspection.band_count,
            inspection.data_type,
            inspection.colour_interpretation,
            inspection.path.name,
        )
        is not None
    ]
    plural = "" if inspection.band_count == 1 else "s"
    return IngestError(
        f"{inspection.path.name}: it has {inspection.band_count} band{plural} of {inspection.data_type}, but "
        f"the sensor {sensor.id} has {expected}. Leave --sensor out to let it be guessed, or name one that "
        f"fits: {', '.join(fitting) or 'none does'}"
    )


def _words(layout: Layout) -> str:
    count = "any number of" if layout.band_count is None else str(layout.band_count)
    types = "" if layout.data_types is None else f" of {' or '.join(layout.data_types)}"
    plural = "" if layout.band_count == 1 else "s"
    colours = "" if layout.colour_interpretation is None else f" ({', '.join(layout.colour_interpretation)})"
    return f"{count} band{plural}{types}{colours}"
