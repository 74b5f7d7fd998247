"""What the bands of a group are: as the product says, seen beside the table of its sensor."""

from __future__ import annotations

import dataclasses

import numpy as np

from mosaics.errors import IngestError
from mosaics.ingest.describe import with_statistics
from mosaics.ingest.examine import Examination
from mosaics.models import Band, Kind
from mosaics.products.delivery import BandGroup, ProductBand
from mosaics.sensors import Layout, Sensor

RADAR_POWER = "1"
"""Unit of calibrated linear power."""
SQUARED_COUNTS = "counts2"
"""Unit of power of which no calibration is known."""
REFLECTANCE = "1e-4"
"""Unit of reflectance times 10 000."""
_SCALED = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GroupDescription:
    """What the image of a group shows."""

    kind: Kind
    """What the numbers mean."""
    bands: tuple[Band, ...]
    """In file order, with the statistics of the whole image."""
    styles: tuple[str, ...]
    """Ids of the styles that its layout names, the default first; whether they bind is not asked here."""


def describe_group(
    examination: Examination, group: BandGroup, sensor: Sensor, given: tuple[str, ...] | None
) -> GroupDescription:
    """Describe the image of a group.

    Args:
        examination: The prepared image.
        group: What the product says of it.
        sensor: The product family.
        given: Common names that whoever banks gives its bands, in file order; None: as the product says.

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
    is_radar = group.radiometry == "radar"
    if layout is None and given is None and not is_radar:
        raise IngestError(_question(group, sensor, names))
    known = layout.bands if layout else tuple(Band(name=name, common_name=name) for name in names)
    bands = tuple(
        with_statistics(_band(one, like, group, data_type), examination.inspection, place, found)
        for place, (one, like, found) in enumerate(zip(group.bands, known, examination.bands, strict=True))
    )
    kind: Kind = layout.kind if layout else "sar" if is_radar else sensor.layouts[0].kind
    return GroupDescription(kind=kind, bands=bands, styles=sensor.styles_for(bands, kind))


def _common_name(band: ProductBand) -> str:
    return band.common_name or band.id.lower()


def _layout(sensor: Sensor, names: tuple[str, ...], data_type: str) -> Layout | None:
    """Find the sensor's layout of these bands in this order."""
    for layout in sensor.layouts:
        table = tuple(band.common_name or band.name.lower() for band in layout.bands)
        if table == names and (layout.data_types is None or data_type in layout.data_types):
            return layout
    return None


def _band(band: ProductBand, known: Band, group: BandGroup, data_type: str) -> Band:
    """Make a band of what the product says, else of what the table says."""
    unit = _unit(group, band, data_type) or known.unit
    known = dataclasses.replace(known, name=band.id, data_type=data_type, unit=unit)
    if band.range_nm is None:
        return known
    low, high = band.range_nm
    return dataclasses.replace(
        known, wavelength_um=round((low + high) / 2000, 6), fwhm_um=round((high - low) / 1000, 6)
    )


def _unit(group: BandGroup, band: ProductBand, data_type: str) -> str | None:
    if group.radiometry == "radar":
        if not group.calibrations:
            return SQUARED_COUNTS if group.is_complex else None
        return None if group.quantity == "amplitude" else RADAR_POWER
    if group.radiometry == "reflectance" and band.gain == _SCALED and np.dtype(data_type).kind != "f":
        return REFLECTANCE
    return None


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
