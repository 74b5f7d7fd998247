"""What the bands of a group are: as the product says, seen beside the table of its sensor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mosaics.errors import IngestError
from mosaics.ingest.deliveries.counts import reflectances
from mosaics.ingest.describe import with_statistics
from mosaics.ingest.examine import Examination
from mosaics.models import Band, Kind
from mosaics.products.delivery import BandGroup, ProductBand
from mosaics.sensors import GENERIC, Layout, Sensor

RADAR_POWER = "1"
"""Unit of calibrated linear power."""
SQUARED_COUNTS = "counts2"
"""Unit of power of which no calibration is known."""
REFLECTANCE = "1e-4"
"""Unit of reflectance times 10 000, without an offset."""
_SCALED = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupDescription:
    """What the image of a group shows."""

    kind: Kind
    """What the numbers mean."""
    bands: tuple[Band, ...]
    """In file order, with the statistics of the whole image."""
    styles: tuple[str, ...]
    """Ids of the styles that its layout names, the default first; whether they bind is not asked here."""


def describe_group(
    examination: Examination,
    group: BandGroup,
    sensor: Sensor,
    given: tuple[str, ...] | None,
    kind: Kind | None = None,
) -> GroupDescription:
    """Describe the image of a group.

    Args:
        examination: The prepared image.
        group: What the product says of it.
        sensor: The product family.
        given: Common names that whoever banks gives its bands, in file order; None: as the product says.
        kind: What its numbers mean, where the product says so; None: as the sensor's table says.

    Raises:
        IngestError: If the product says other bands than the sensor's table and nobody gave them.
    """
    names = given or tuple(_common_name(band) for band in group.bands)
    if len(names) != len(group.bands):
        raise IngestError(
            f"{group.metadata.name}: {len(names)} names were given for the {len(group.bands)} bands of "
            f"{group.name} ({', '.join(band.id for band in group.bands)})"
        )
    data_type = examination.inspection.data_type
    layout = _layout(sensor, names, data_type)
    if layout is None and given is None and not _is_told(group, sensor):
        raise IngestError(_question(group, sensor, names))
    listed: tuple[str | None, ...] = given or tuple(band.common_name for band in group.bands)
    known = layout.bands if layout and layout.bands else tuple(_known(sensor, name) for name in listed)
    bands = tuple(
        with_statistics(_band(one, like, group, data_type), examination.inspection, place, found)
        for place, (one, like, found) in enumerate(zip(group.bands, known, examination.bands, strict=True))
    )
    likely: Kind = "sar" if group.radiometry == "radar" else sensor.layouts[0].kind
    meant: Kind = kind or (layout.kind if layout else likely)
    bands = _compared(bands, group)
    return GroupDescription(kind=meant, bands=bands, styles=sensor.styles_for(bands, meant))


def _is_told(group: BandGroup, sensor: Sensor) -> bool:
    """Tell whether the product is to be believed: of radars, and where the table is of whole deliveries."""
    named = all(band.common_name for band in group.bands)
    return group.radiometry == "radar" or (named and any(layout.delivery for layout in sensor.layouts))


def _common_name(band: ProductBand) -> str:
    return band.common_name or band.id.lower()


def _layout(sensor: Sensor, names: tuple[str, ...], data_type: str) -> Layout | None:
    """Find the sensor's layout of these bands in this order; a generic one takes what the product says."""
    if sensor.id in GENERIC:
        found = sensor.layout_for(len(names), data_type, names)
        return None if found is None else replace(found, bands=())
    for layout in sensor.layouts:
        table = tuple(band.common_name or band.name.lower() for band in layout.bands)
        if table == names and (layout.data_types is None or data_type in layout.data_types):
            return layout
    return None


def _known(sensor: Sensor, name: str | None) -> Band:
    """Give what the sensor's table says of a band of that common name, in whichever layout."""
    listed = (band for layout in sensor.layouts for band in layout.bands if name is not None)
    found = (band for band in listed if band.common_name == name)
    return next(found, Band(name=name or "", common_name=name))


def _band(band: ProductBand, known: Band, group: BandGroup, data_type: str) -> Band:
    """Make a band of what the product says, else of what the table says."""
    unit = _unit(group, band, data_type) or known.unit
    known = known._replace(name=band.id, data_type=data_type, unit=unit)
    if band.range_nm is None:
        return known
    low, high = band.range_nm
    return known._replace(wavelength_um=round((low + high) / 2000, 6), fwhm_um=round((high - low) / 1000, 6))


def _unit(group: BandGroup, band: ProductBand, data_type: str) -> str | None:
    if group.radiometry == "radar":
        if not group.calibrations:
            return SQUARED_COUNTS if group.is_complex else None
        return None if group.quantity == "amplitude" else RADAR_POWER
    is_scaled = band.gain == _SCALED and not band.bias and np.dtype(data_type).kind != "f"
    return REFLECTANCE if group.radiometry == "reflectance" and is_scaled else None


def _compared(bands: tuple[Band, ...], group: BandGroup) -> tuple[Band, ...]:
    """Give bands with what formulas compare them by, where that is more than the scale of the file."""
    found = reflectances(group)
    if not found:
        return bands
    return tuple(band._replace(scale=a, offset=b) for band, (a, b) in zip(bands, found, strict=True))


def _question(group: BandGroup, sensor: Sensor, names: tuple[str, ...]) -> str:
    """Ask which bands these are."""
    known = "; or ".join(
        ", ".join(band.common_name or band.name for band in layout.bands)
        for layout in sensor.layouts
        if layout.bands
    )
    return (
        f"{group.metadata.name}: the product says its bands are {', '.join(names)}, and those of {sensor.id} "
        f"are {known or 'not in its table'}. Which are they, in file order? Say so with "
        f"--bands {group.name}={','.join(names)} (or another order), or name another --sensor"
    )
