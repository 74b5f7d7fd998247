"""What a delivery says of itself: its images, bands, numbers, place, time and rights."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from mosaics.errors import IngestError
from mosaics.models import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Geometry = Literal["ground", "sensor"]
"""ground: placed by a transform in a CRS; sensor: as the instrument saw it, placed by RPC or points."""
Radiometry = Literal["radiance", "reflectance", "display", "radar", "unknown"]
"""radiance: counts that gain and bias turn into W/m2/sr/um; reflectance: scaled; display: for eyes only;
radar: what came back of a radar's own light, as `BandGroup.quantity` says."""
Driver = Literal["GTiff", "JP2OpenJPEG", "COSAR", "SAR_CEOS", "NITF"]
"""GDAL's name of a format that images are delivered in."""
Quantity = Literal["sigma0", "beta0", "gamma0", "amplitude"]
"""What calibrated radar values are: backscatter as linear power, or amplitude where no formula is sourced."""

MaskKind = Literal["roi", "cloud", "snow", "quality", "straylight", "detectors", "hidden"]
"""roi: where the image is valid; quality: in doubt; detectors: out of order; hidden: behind relief."""


Samples = Literal["whole", "real_imaginary", "amplitude_phase"]
"""whole: each band of a file is a band, real or complex; the others: two bands of a file, in this order, make
one complex band, of which calibrations take the complex number or, of the last, the amplitude alone."""


class DeliveryIncompleteError(IngestError):
    """A delivery names files that are not there."""


class DeliveryUnreadableError(IngestError):
    """A delivery's metadata can't be read, or contradicts itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductBand:
    """A band as the product describes it."""

    id: str
    """The product's name of it, such as B0, R or NIR."""
    common_name: str | None = None
    """STAC's, where the product says which colour it is."""
    gain: float | None = None
    """Radiance and reflectance are counts / gain + bias; of reflectance it is what it was multiplied by."""
    bias: float | None = None
    """W/m2/sr/um of radiance, no unit of reflectance; None: 0. Where a product says (counts + offset) /
    gain, as Sentinel-2 does, it is offset / gain."""
    reflectance: float | None = None
    """What counts are multiplied by to give reflectance above the atmosphere."""
    irradiance: float | None = None
    """Of the sun outside the atmosphere, W/m2/um."""
    range_nm: tuple[float, float] | None = None
    """Limits at half the maximum, nanometres."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFile:
    """A file that holds a part of an image."""

    path: Path
    row: int
    """Of the part, from 1."""
    column: int
    """Of the part, from 1."""
    bands: tuple[str, ...]
    """Ids of its bands, in file order."""
    driver: Driver = "GTiff"
    """How it is opened; a GTiff may turn out to be a JPEG 2000 whose name says so."""
    samples: Samples = "whole"
    """What the file's own bands are."""
    least_bytes: int = 1
    """Of the file when it is whole, where its size can be told from what is said of it."""


class Calibration(Protocol):
    """Turns counts of one radar band into what they measure; a frozen value that can be pickled."""

    def __call__(self, counts: NDArray[Any], rows: slice, columns: slice) -> NDArray[np.float32]:
        """Calibrate a window of the image.

        Args:
            counts: As stored, real or complex, shape (rows, columns) of the window.
            rows: Of the whole image, those of the window.
            columns: Of the whole image, those of the window.

        Returns:
            Linear power (or amplitude), same shape; NaN where a count means nothing.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class GroundPoint:
    """A place of which it is known where the image shows it."""

    row: float
    """In pixels from the upper edge of the first row; the middle of the first is 0.5."""
    column: float
    """In pixels from the left edge of the first column."""
    longitude: float
    """Degrees, WGS 84."""
    latitude: float
    """Degrees."""
    height: float = 0.0
    """Metres above the ellipsoid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandGroup:
    """Bands of one resolution: one image, which becomes one COG."""

    name: str
    """Such as ms, pan or pms."""
    files: tuple[ImageFile, ...]
    """All parts of all its bands."""
    bands: tuple[ProductBand, ...]
    """In the order that they are stored in."""
    height: int
    """Rows of the whole image; 0: nothing says, because its file is not there."""
    width: int
    """Columns of the whole image; 0 likewise."""
    geometry: Geometry
    nodata: float | None = None
    """Counts that mean nothing."""
    saturated: float | None = None
    """Counts that mean more than could be counted."""
    rpc: Path | None = None
    """File of rational polynomial coefficients of an image in sensor geometry; `read_rpc` reads all kinds."""
    points: tuple[GroundPoint, ...] = ()
    """Of an image in sensor geometry without coefficients; empty: the file itself has them."""
    radiometry: Radiometry = "unknown"
    is_complex: bool = False
    """Samples are complex: a radar's single look, which becomes intensity before anything is averaged."""
    quantity: Quantity | None = None
    """What `calibrations` make of radar counts; None for others."""
    calibrations: tuple[Calibration, ...] = ()
    """One for each band, in order; empty: counts are stored as they are."""
    tables: tuple[Path, ...] = ()
    """Files that calibrations are read from: without them counts would be stored as amplitude."""
    metadata: Path
    """The file that says all this, which GDAL opens too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mask:
    """A raster of the same ground that says of each pixel what it is worth."""

    kind: Literal["udm", "udm2", "scl"]
    """How it is written: Planet's of one byte of bits, or of eight bands; Sentinel-2's scene classes."""
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorMask:
    """Polygons that say where an image is worth what; `dimap_masks.read_gml_mask` reads them."""

    kind: MaskKind
    path: Path
    group: str
    """Name of the band group that it is about."""
    in_pixels: bool
    """Its coordinates are columns and rows of the image as delivered; False: those of its CRS."""
    first_pixel: float = 1.0
    """Of those in pixels: column and row of the middle of the first pixel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """How the scene was seen and lit, at its middle; degrees, None where it is not told."""

    incidence: float | None = None
    """Between the line of sight and the vertical at the ground."""
    azimuth: float | None = None
    """Of the line of sight, from north."""
    off_nadir: float | None = None
    """At the satellite."""
    sun_elevation: float | None = None
    sun_azimuth: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Radar:
    """How a radar saw the scene, in the words of the STAC extensions sar and sat."""

    frequency_band: Literal["P", "L", "S", "C", "X", "Ku", "K", "Ka"]
    instrument_mode: str
    """The provider's word, such as IW, SM or Spotlight."""
    polarizations: tuple[str, ...]
    """Such as HH, VV; in the order of the bands."""
    product_type: str
    """SLC, GRD, RTC, GEC ..."""
    center_frequency_ghz: float | None = None
    pixel_spacing_range: float | None = None
    """Metres."""
    pixel_spacing_azimuth: float | None = None
    """Metres."""
    looks_range: int | None = None
    looks_azimuth: int | None = None
    observation_direction: Literal["left", "right"] | None = None
    orbit_state: Literal["ascending", "descending"] | None = None
    relative_orbit: int | None = None
    absolute_orbit: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A whole delivery of one acquisition."""

    name: str
    """The provider's, for people and for the scene's id."""
    sensor_id: str
    """Id of a sensor file; empty: the product does not say, and whoever banks it must."""
    platform: str
    """Such as PHR 1B; empty: the product does not say."""
    groups: tuple[BandGroup, ...]
    acquired: datetime | None = None
    """UTC."""
    view: View = View()
    radar: Radar | None = None
    """None: its sensor is no radar."""
    masks: tuple[Mask, ...] = ()
    vector_masks: tuple[VectorMask, ...] = ()
    """Those that are there; no delivery is refused for one that is not."""
    copyright: str | None = None
    """As the product states it."""
    cloud_cover: float | None = None
    """Percent."""
    snow_cover: float | None = None
    """Percent."""
    level: str | None = None
    """Of processing, in the provider's word."""
    processing_version: str | None = None
    """Of what processed it, such as Sentinel-2's baseline."""
    kind: Kind | None = None
    """What its values are; None: as the sensor's file says."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are read of it, metadata first."""
        found: dict[Path, None] = {}
        for group in self.groups:
            found[group.metadata] = None
            if group.rpc is not None:
                found[group.rpc] = None
            found.update((table, None) for table in group.tables)
            found.update((file.path, None) for file in group.files)
        found.update((mask.path, None) for mask in self.masks)
        found.update((mask.path, None) for mask in self.vector_masks)
        return tuple(found)


def check_single(folder: Path, found: Sequence[Path]) -> None:
    """Refuse a folder that holds several products of a kind.

    Args:
        folder: As it was named.
        found: By what each of its products is read.

    Raises:
        DeliveryUnreadableError: If so; it names the first of them.
    """
    if len(found) > 1:
        raise DeliveryUnreadableError(
            f"{folder.name}: it holds {len(found)} products; name the one to bank: "
            f"{', '.join(each.name for each in found[:5])}"
        )


def check_complete(delivery: Delivery) -> None:
    """Refuse a delivery of which files are missing, empty or, where it can be told, cut short.

    Raises:
        DeliveryIncompleteError: If so; it names them.
    """
    least = {file.path: file.least_bytes for group in delivery.groups for file in group.files}
    missing = [
        path
        for path in delivery.files
        if not path.is_file() or path.stat().st_size < max(least.get(path, 1), 1)
    ]
    if missing:
        named = ", ".join(path.name for path in missing[:5]) + (" ..." if len(missing) > 5 else "")
        state = "cut short" if any(path.is_file() and path.stat().st_size for path in missing) else "empty"
        raise DeliveryIncompleteError(
            f"{delivery.name}: {len(missing)} of {len(delivery.files)} files are missing or {state} "
            f"({named}); copy the whole delivery and bank it again"
        )
