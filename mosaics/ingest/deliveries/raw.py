"""Single images that are not on the ground, or whose samples are complex: deliveries of one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mosaics.errors import IngestError
from mosaics.gdal import RasterOpenError, open_raster, unplaced_files_expected
from mosaics.ingest.acquisition import acquired_from_tags
from mosaics.ingest.inspect import held_as
from mosaics.ingest.signature import file_format
from mosaics.ingest.source import Progress
from mosaics.products.delivery import BandGroup, Delivery, Driver, Geometry, ImageFile, ProductBand
from mosaics.registry import Registry
from mosaics.sensors import Layout, Sensor, guess_sensor

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_COEFFICIENTS: Final = ("{stem}_RPC.TXT", "{stem}_rpc.txt", "{stem}.RPB", "{stem}.rpb", "{stem}.geom")
"""Names of files of coefficients beside an image."""
_DETECTED: Final = "sar-power"
"""Id of the sensor whose layouts tell polarisations by file names."""
_UNKNOWN: Final = "sar-amplitude"
"""Id of the sensor of radar images that nobody recognises."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawImage:
    """What the header of such an image says."""

    path: Path
    width: int
    height: int
    band_count: int
    data_type: str
    """rasterio's name; complex ones begin with complex."""
    nodata: float | None
    colours: tuple[str, ...]
    """GDAL's colour interpretation, band by band."""
    tags: dict[str, str]
    geometry: Geometry
    rpc: Path | None
    """File of coefficients beside it; None: it has them itself, or points."""

    @property
    def is_complex(self) -> bool:
        """Its samples are complex."""
        return self.data_type.startswith("complex")


def look_at(path: Path, _report: Progress) -> RawImage | None:
    """Find out whether an image is one that has to be put on the ground, or detected; for the sandbox.

    Args:
        path: A file.

    Returns:
        None: it is banked as it is, or refused with its reason where it is inspected.
    """
    try:
        file_format(path)
        with unplaced_files_expected(), open_raster(path, jp2=True) as source:
            return _raw(path, source)
    except (RasterOpenError, IngestError):
        return None


def _raw(path: Path, source: DatasetReader) -> RawImage | None:
    unplaced = source.crs is None or source.transform.is_identity
    beside = _beside(path) if unplaced else None
    placeable = source.rpcs is not None or bool(source.gcps[0]) or beside is not None
    is_complex = all(name.startswith("complex") for name in source.dtypes)
    if (unplaced and not placeable) or not (unplaced or is_complex):
        return None
    return RawImage(
        path=path,
        width=source.width,
        height=source.height,
        band_count=source.count,
        data_type=source.dtypes[0],
        nodata=source.nodata,
        colours=tuple(colour.name for colour in source.colorinterp),
        tags={key: value for key, value in source.tags().items() if len(value) <= 4096},
        geometry="sensor" if unplaced else "ground",
        rpc=beside if source.rpcs is None else None,
    )


def _beside(path: Path) -> Path | None:
    named = (path.with_name(each.format(stem=path.stem)) for each in _COEFFICIENTS)
    return next((each for each in named if each.is_file()), None)


def raw_delivery(
    image: RawImage, sensor: Sensor | None, sensors: Registry[Sensor], nodata: float | None = None
) -> Delivery:
    """Make a delivery of a single image.

    Args:
        image: The image.
        sensor: Its product family; None to guess.
        sensors: All of them.
        nodata: What means nothing where the image doesn't say; None: nothing does.

    Raises:
        IngestError: If its sensor has no image like it, or its type no such value.
    """
    find = _of_radar if image.is_complex else _of_any
    sensor, layout = find(image, sensor, sensors)
    if layout is None:
        raise IngestError(
            f"{image.path.name}: {sensor.id} has no image of {image.band_count} bands of {image.data_type}; "
            "name another --sensor"
        )
    group = BandGroup(
        name="image",
        files=(_file(image, layout),),
        bands=_bands(layout),
        height=image.height,
        width=image.width,
        geometry=image.geometry,
        nodata=_nodata(image, nodata),
        rpc=image.rpc,
        radiometry="radar" if image.is_complex else "unknown",
        is_complex=image.is_complex,
        metadata=image.path,
    )
    return Delivery(
        name=image.path.stem,
        sensor_id=sensor.id,
        platform="",
        groups=(group,),
        acquired=acquired_from_tags(image.tags) or sensor.acquired_from(image.path.name),
    )


def _nodata(image: RawImage, given: float | None) -> float | None:
    if image.nodata is not None or given is None or image.is_complex:
        return image.nodata
    held = held_as(given, image.data_type)
    if held is None:
        raise IngestError(f"{image.path.name}: --nodata {given:g} is no value of {image.data_type}, its type")
    return held


def _of_any(
    image: RawImage, sensor: Sensor | None, sensors: Registry[Sensor]
) -> tuple[Sensor, Layout | None]:
    if sensor is None:
        sensor = guess_sensor(
            sensors,
            file_name=image.path.name,
            band_count=image.band_count,
            data_type=image.data_type,
            colour_interpretation=image.colours,
            has_palette=False,
            tags=image.tags,
        )
    return sensor, sensor.layout_for(image.band_count, image.data_type, image.colours, image.path.name)


def _of_radar(
    image: RawImage, sensor: Sensor | None, sensors: Registry[Sensor]
) -> tuple[Sensor, Layout | None]:
    """Find the radar that made complex samples, and their bands as if they were detected."""
    detected, unknown = sensors.get(_DETECTED), sensors.get(_UNKNOWN)
    if sensor is None:
        radars = (one for one in sensors.values() if any(layout.kind == "sar" for layout in one.layouts))
        known = (one for one in radars if one.recognises(image.path.name, image.tags))
        sensor = next(known, unknown)
    return sensor, detected.layout_for(image.band_count, "float32", image.colours, image.path.name)


def _file(image: RawImage, layout: Layout) -> ImageFile:
    driver: Driver = "GTiff"
    names = tuple(band.name for band in layout.bands)
    return ImageFile(path=image.path, row=1, column=1, bands=names, driver=driver)


def _bands(layout: Layout) -> tuple[ProductBand, ...]:
    return tuple(ProductBand(id=band.name, common_name=band.common_name) for band in layout.bands)
