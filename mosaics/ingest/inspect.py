"""Reads a file's header into a frozen value, and refuses what can't be banked with a reason that helps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyproj
from pyproj.exceptions import ProjError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from mosaics.errors import IngestError
from mosaics.gdal import RasterOpenError, open_raster, unplaced_files_expected
from mosaics.geodesy import scene_ground_resolution
from mosaics.ingest.limits import check_blocks, check_data_types, check_not_truncated, check_size
from mosaics.ingest.signature import file_format
from mosaics.ingest.validity import cog_errors

MaskKind = Literal["none", "nodata", "alpha", "internal", "external"]
Transform = tuple[float, float, float, float, float, float]

_EARTH_RADII: Final = (6_340_000.0, 6_400_000.0)
"""Semi-major axes of all ellipsoids and spheres in use for the Earth, metres; Venus has 6 052 000."""
_TAG_DOMAINS: Final = (None, "IMAGERY")
_MAX_TAG_LENGTH: Final = 4096
_MAX_TAGS: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What the header of a file says."""

    path: Path
    """The file, absolute."""
    file_size: int
    """Bytes."""
    driver: Literal["GTiff", "JP2OpenJPEG"]
    """GDAL's name of the format."""
    width: int
    """Columns."""
    height: int
    """Rows."""
    crs: str
    """The CRS as WKT 2."""
    epsg: int | None
    """Its EPSG code, where it has one."""
    transform: Transform
    """Affine (a, b, c, d, e, f): x = a col + b row + c, y = d col + e row + f; rotation is kept."""
    band_count: int
    """Bands without the alpha band."""
    alpha_band: int | None
    """1-based number of the alpha band, if there is one."""
    data_type: str
    """numpy dtype name of all bands."""
    stored_bits: int | None
    """Bits per value where they are fewer than the type has (NBITS)."""
    colour_interpretation: tuple[str, ...]
    """GDAL's word for each band, in file order, without the alpha band."""
    descriptions: tuple[str, ...]
    """The file's name of each band, empty where it has none; without the alpha band."""
    units: tuple[str, ...]
    """Unit of each band, empty where it has none; without the alpha band."""
    scales: tuple[float, ...]
    """Scale of each band, without the alpha band."""
    offsets: tuple[float, ...]
    """Offset of each band, without the alpha band."""
    nodata: float | None
    """The value that means nothing; NaN is one."""
    nodata_is_given: bool = False
    """The file does not say so: whoever banks it does."""
    mask: MaskKind
    """What tells valid pixels; a nodata value comes before an internal mask, then alpha, then external."""
    has_internal_mask: bool
    """There is a mask inside the file."""
    external_mask: Path | None
    """The `.msk` beside the file, if it is used."""
    palette: tuple[tuple[int, tuple[int, int, int, int]], ...]
    """(value, (red, green, blue, alpha)); empty for others."""
    tags: dict[str, str]
    """Tags of the file; those of the domain IMAGERY begin with `IMAGERY:`."""
    block_shape: tuple[int, int]
    """Rows and columns of a block."""
    compression: str | None
    """GDAL's name of the codec."""
    overviews: tuple[int, ...]
    """Decimation of each internal overview, in file order."""
    is_valid_cog: bool
    """rio-cogeo's verdict."""
    cog_errors: tuple[str, ...]
    """Why it is no valid Cloud-Optimized GeoTIFF."""
    ground_resolution: float
    """Metres per pixel, the finer axis at the centre."""
    notes: tuple[str, ...] = field(default=())
    """What the person who banks it should know."""

    @property
    def band_indexes(self) -> list[int]:
        """1-based numbers of the bands in the file, without the alpha band."""
        return [n for n in range(1, self.file_band_count + 1) if n != self.alpha_band]

    @property
    def is_decoded(self) -> bool:
        """Reading takes a processor's time: blocks are not stored as they are."""
        return self.driver != "GTiff" or self.compression is not None

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel, all bands together."""
        return np.dtype(self.data_type).itemsize * self.file_band_count

    @property
    def file_band_count(self) -> int:
        """Bands in the file, alpha included."""
        return self.band_count + (self.alpha_band is not None)


def inspect(path: Path) -> Inspection:
    """Read the header of a file.

    External overviews (`.ovr`) and GDAL's `.aux.xml` are ignored: they can lead to other files. An external
    mask (`.msk`) is used when it is a plain GeoTIFF of the same size.

    Args:
        path: A GeoTIFF or JPEG 2000 file.

    Returns:
        What its header says.

    Raises:
        IngestError: If it can't be banked; the message gives the reason and what would help.
    """
    path = path.absolute()
    kind = file_format(path)
    name = path.name
    with unplaced_files_expected():
        try:
            source = open_raster(path, jp2=kind == "jp2")
        except RasterOpenError as error:
            raise IngestError(f"{name}: can't be opened: {_opening_words(error.reason)}") from error
        with source:
            check_size(name, source.width, source.height, source.count)
            check_data_types(name, tuple(source.dtypes))
            check_blocks(name, source)
            crs, epsg = _georeference(name, source)
            file_size = path.stat().st_size
            if kind == "tiff":
                check_not_truncated(name, source, file_size)
            errors = cog_errors(path) if kind == "tiff" else ("JPEG 2000, not a GeoTIFF",)
            return _inspection(path, source, (crs, epsg), file_size, errors)


def with_nodata(inspection: Inspection, nodata: float) -> Inspection:
    """Take a value for nothing, in a file that does not say what is.

    Args:
        inspection: The file. What it says itself stands, with a note.
        nodata: The value.

    Raises:
        IngestError: If its type has no such value.
    """
    name = inspection.path.name
    if inspection.mask != "none":
        note = f"--nodata is not used: the file says itself where it has data ({inspection.mask})"
        return replace(inspection, notes=(*inspection.notes, note))
    held = held_as(nodata, inspection.data_type)
    if held is None:
        raise IngestError(f"{name}: --nodata {nodata:g} is no value of {inspection.data_type}, its type")
    return replace(inspection, nodata=held, nodata_is_given=True, mask="nodata")


def held_as(value: float, data_type: str) -> float | None:
    """Give a value as a type holds it: an integer exactly, a float to its precision; None: it can't."""
    dtype = np.dtype(data_type)
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            held = float(dtype.type(value))
        return held if np.isfinite(held) or np.isnan(value) else None
    limits = np.iinfo(dtype)
    return value if float(value).is_integer() and limits.min <= value <= limits.max else None


def _inspection(
    path: Path, source: DatasetReader, crs: tuple[str, int | None], file_size: int, errors: tuple[str, ...]
) -> Inspection:
    alpha = _alpha_band(source)
    kept = [index for index in range(source.count) if index + 1 != alpha]
    if not kept:
        raise IngestError(f"{path.name}: its only band is an alpha band; there is nothing to show")
    internal = _has_internal_mask(source, alpha)
    external, notes = (None, ()) if internal else _external_mask(path, source)
    # rasterio gives None for a value that the type can't hold, as GDAL then ignores it
    nodata = next((source.nodatavals[i] for i in kept if source.nodatavals[i] is not None), None)
    mask: MaskKind = "none"
    kinds: tuple[tuple[bool, MaskKind], ...] = (
        (nodata is not None, "nodata"),
        (internal, "internal"),
        (alpha is not None, "alpha"),
        (external is not None, "external"),
    )
    for present, word in kinds:
        if present:
            mask = word
            break
    bits = source.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    transform = tuple(float(number) for number in source.transform[:6])
    assert len(transform) == 6
    return Inspection(
        path=path,
        file_size=file_size,
        driver=source.driver,
        width=source.width,
        height=source.height,
        crs=crs[0],
        epsg=crs[1],
        transform=transform,
        band_count=len(kept),
        alpha_band=alpha,
        data_type=source.dtypes[0],
        stored_bits=int(bits) if bits else None,
        colour_interpretation=tuple(source.colorinterp[i].name for i in kept),
        descriptions=tuple(source.descriptions[i] or "" for i in kept),
        units=tuple(source.units[i] or "" for i in kept),
        scales=tuple(float(source.scales[i]) for i in kept),
        offsets=tuple(float(source.offsets[i]) for i in kept),
        nodata=nodata,
        mask=mask,
        has_internal_mask=internal,
        external_mask=external,
        palette=_palette(source),
        tags=_tags(source),
        block_shape=source.block_shapes[0],
        compression=source.compression.value if source.compression else None,
        overviews=tuple(source.overviews(1)),
        is_valid_cog=not errors,
        cog_errors=errors,
        ground_resolution=scene_ground_resolution(crs[0], transform, source.width, source.height),
        notes=notes,
    )


def _opening_words(reason: str) -> str:
    """Turn GDAL's reason for not opening a file whose first bytes are right into ours."""
    if "Failed to read directory" in reason or "directory" in reason.lower():
        return "its directory of contents is damaged or cut off; copy it again from its source"
    return reason


def _georeference(name: str, source: DatasetReader) -> tuple[str, int | None]:
    """Give the CRS as WKT 2 and its EPSG code; refuse images that lie nowhere on the Earth."""
    transform = source.transform
    unplaced = transform.is_identity or transform.is_degenerate
    if source.crs is None or unplaced:
        points = len(source.gcps[0])
        if source.rpcs is not None:
            raise IngestError(
                f"{name}: it is in sensor geometry (an RPC model, no georeference); orthorectify it first, "
                "for instance with: gdalwarp -rpc -to RPC_DEM=DEM.tif -t_srs EPSG:XXXX INPUT OUTPUT.tif"
            )
        if points:
            raise IngestError(
                f"{name}: it is in sensor geometry ({points} ground control points, no georeference); "
                "orthorectify or geocode it first (a radar image with terrain correction)"
            )
        missing = "no geotransform" if source.crs is not None else "no CRS"
        missing = "no CRS and no geotransform" if source.crs is None and unplaced else missing
        raise IngestError(
            f"{name}: it has no georeference ({missing}); orthorectify it if it is a raw product of a "
            "sensor, or state its place with: gdal_translate -a_srs EPSG:XXXX -a_ullr LEFT TOP "
            "RIGHT BOTTOM INPUT OUTPUT.tif"
        )
    return _earthly_crs(name, source.crs.to_wkt())


def _earthly_crs(name: str, wkt: str) -> tuple[str, int | None]:
    try:
        crs = pyproj.CRS.from_wkt(wkt).to_2d()
        ellipsoid = crs.ellipsoid
        if ellipsoid is not None and not _EARTH_RADII[0] <= ellipsoid.semi_major_metre <= _EARTH_RADII[1]:
            raise IngestError(
                f"{name}: its CRS ({crs.name}) is not on the Earth "
                f"(radius {ellipsoid.semi_major_metre:.0f} m); only images of the Earth are served"
            )
        is_plane = (crs.is_geographic or crs.is_projected) and not crs.is_geocentric
        pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    except ProjError as error:
        raise _unplaceable(name, str(error)) from error
    if not is_plane:
        raise _unplaceable(name, crs.type_name)
    return crs.to_wkt(), crs.to_epsg()


def _unplaceable(name: str, why: str) -> IngestError:
    return IngestError(
        f"{name}: its CRS can't be turned into longitude and latitude ({why}); state the right one with: "
        "gdal_translate -a_srs EPSG:XXXX INPUT OUTPUT.tif"
    )


def _alpha_band(source: DatasetReader) -> int | None:
    bands = [n for n, colour in enumerate(source.colorinterp, start=1) if colour == ColorInterp.alpha]
    return bands[-1] if bands else None


def _has_internal_mask(source: DatasetReader, alpha: int | None) -> bool:
    """Tell whether band 1 has a mask of its own: per dataset, but not made of alpha or nodata."""
    band = 1 if alpha != 1 else min(2, source.count)
    flags = source.mask_flag_enums[band - 1]
    derived = {MaskFlags.alpha, MaskFlags.nodata, MaskFlags.all_valid}
    return not derived & set(flags)


def _external_mask(path: Path, source: DatasetReader) -> tuple[Path | None, tuple[str, ...]]:
    """Find the mask beside the file, and say why it is not used if it isn't."""
    sidecar = path.with_name(f"{path.name}.msk")
    if not sidecar.is_file():
        return None, ()
    try:
        with open_raster(sidecar) as mask:
            if (mask.width, mask.height) != (source.width, source.height):
                return None, (f"{sidecar.name} is not used: its size is not that of the image",)
            if mask.dtypes[0] != "uint8":
                return None, (f"{sidecar.name} is not used: its values are not of type uint8",)
            check_blocks(sidecar.name, mask)
    except (RasterOpenError, IngestError) as error:
        return None, (f"{sidecar.name} is not used: {error}",)
    return sidecar, ()


def _palette(source: DatasetReader) -> tuple[tuple[int, tuple[int, int, int, int]], ...]:
    if source.count > 2 or source.colorinterp[0] != ColorInterp.palette:
        return ()
    try:
        entries = source.colormap(1)
    except ValueError:
        return ()
    return tuple((int(value), (r, g, b, a)) for value, (r, g, b, a) in sorted(entries.items()))


def _tags(source: DatasetReader) -> dict[str, str]:
    tags: dict[str, str] = {}
    for domain in _TAG_DOMAINS:
        for key, value in source.tags(ns=domain).items():
            if len(value) <= _MAX_TAG_LENGTH and len(tags) < _MAX_TAGS:
                tags[f"{domain}:{key}" if domain else key] = value
    return tags
