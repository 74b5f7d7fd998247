"""The guard around GDAL: its environment, the one way to open a raster, and a test that both hold.

Nothing else in the project calls `rasterio.open` on a file that it did not write itself a moment ago. GDAL
opens no address: what lies in a store of objects it reads through a stream of ours.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioDeprecationWarning, RasterioError
from rasterio.io import DatasetReader, FilePath

from mosaics.errors import MosaicsError

ALLOWED_DRIVERS: Final = frozenset({"GTiff", "COG", "MEM", "Memory", "JP2OpenJPEG"})
"""Drivers that stay registered: the two formats we read, the one we write, and two that only hold memory."""

DELIVERED_DRIVERS: Final = frozenset({"COSAR", "NITF", "SAR_CEOS"})
"""Formats that providers deliver in; only the child process that takes deliveries apart has them."""

SKIPPED_DRIVERS: Final = tuple(
    """
    VRT;DERIVED;GTI;GDALG;STACIT;STACTA;WMS;WMTS;WCS;OGCAPI;HTTP;EEDA;EEDAI;PLMOSAIC;DAAS;LIBERTIFF;SNAP_TIFF
    AAIGrid;ACE2;ADRG;AIG;AVIF;AirSAR;ARG;BAG;BASISU;BIGGIF;BLX;BMP;BSB;BT;BYN;CAD;CALS;CEOS;COASP;COSAR;CPG
    CTG;CTable2;DDS;DIMAP;DIPEx;DOQ1;DOQ2;DTED;ECRGTOC;ECW;EHdr;EIR;ELAS;ENVI;ERS;ESAT;ESRIC;EXR;FAST;FIT
    FITS;GFF;GIF;GPKG;GRASS;GRASSASCIIGrid;GRIB;GS7BG;GSAG;GSBG;GSC;GTX;GXF;GenBin;GeoRaster;HDF4;HDF4Image
    HDF5;HDF5Image;HEIF;HF2;HFA;ILWIS;IRIS;ISCE;ISG;ISIS2;ISIS3;JAXAPALSAR;JDEM;JP2ECW;JP2KAK;JP2Lura;JP2MrSID
    JPEG;JPEG2000;JPEGXL;JPIPKAK;KEA;KMLSUPEROVERLAY;KRO;KTX2;L1B;LAN;LCP;LOSLAS;Leveller;MAP;MBTiles;MFF;MFF2
    MRF;MSG;MSGN;MiraMonRaster;MrSID;NDF;NGSGEOID;NITF;NOAA_B;NSIDCbin;NTv2;NWT_GRC;NWT_GRD;OCI;OZI;PAux
    PCIDSK;PCRaster;PDF;PDS;PDS4;PNG;PNM;PRF;PostGISRaster;R;RCM;RDB;RIK;RMF;ROI_PAC;RPFTOC;RRASTER;RS2;RST
    Rasterlite;S102;S104;S111;SAFE;SAGA;SAR_CEOS;SDTS;SENTINEL2;SGI;SIGDEM;SNODAS;SRP;SRTMHGT;TGA;TIL;TSX
    Terragen;TileDB;USGSDEM;VICAR;WEBP;XPM;XYZ;ZMap;Zarr;netCDF
    ADBC;AIVector;AVCBin;AVCE00;AmigoCloud;Arrow;AutoCAD;CSV;CSW;Carto;DGN;DGNv8;DWG;DXF;EDIGEO;ESRI Shapefile
    ESRIJSON;Elasticsearch;FileGDB;FlatGeobuf;GML;GMLAS;GMT;GNMDatabase;GNMFile;GPSBabel;GPX;GeoJSON;GeoJSONSeq
    GeoRSS;HANA;IDB;Idrisi;Interlis 1;Interlis 2;JML;JSONFG;KML;LIBKML;LVBAG;MSSQLSpatial;MVT;MapInfo File
    MapML;MiraMonVector;MongoDBv3;MySQL;NAS;NGW;OAPIF;OCI;ODBC;ODS;OGDI;OGR_GMT;OGR_VRT;OSM;OpenFileGDB;PGDUMP
    PGeo;PMTiles;Parquet;PostgreSQL;S57;SOSI;SQLite;SVG;SXF;Selafin;TIGER;TopoJSON;UK .NTF;VDV;VFK;WAsP;WFS
    XLS;XLSX;XODR
    """.replace("\n", ";").split(";")
)
"""Names of every driver GDAL 3.10 to 3.13 may have and we don't use; blanks around the names."""

_REDIRECT: Final = "OVERVIEW_FILE"
_LOG = logging.getLogger(__name__)


class FileLike(Protocol):
    """What GDAL can read in place of a path."""

    @property
    def name(self) -> str:
        """For messages."""

    def handle(self) -> Any:
        """Open it, at its beginning.

        The object has `read`, `seek` and `tell`, which raise nothing, and what rasterio opens it once more
        by: `fs.open`, `path` and `mode`, as files of fsspec have.
        """


class RasterOpenError(MosaicsError, OSError):
    """A file is no raster that we open; the message says which and why, without its folder."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{Path(path).name}: {reason}")
        self.path = str(path)
        """What was to be opened."""
        self.reason = reason
        """Why it was not, without the name."""


class GdalUnsafeError(MosaicsError):
    """GDAL would open what it must not, so nothing may be served or banked by this process."""


def environment(cache_megabytes: int = 256, drivers: frozenset[str] = frozenset()) -> dict[str, str]:
    """Give GDAL's settings as process environment variables.

    Args:
        cache_megabytes: Upper bound of GDAL's block cache.
        drivers: Some that stay registered beside `ALLOWED_DRIVERS`.

    Returns:
        Name to value. A child process that runs GDAL's own tools must not get GDAL_SKIP.
    """
    return {
        "CPL_DEBUG": "OFF",
        "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff",
        "GDAL_CACHEMAX": str(cache_megabytes),
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_DRIVER_PATH": "disable",
        "GDAL_HTTP_CONNECTTIMEOUT": "5",
        "GDAL_HTTP_MAX_RETRY": "1",
        "GDAL_HTTP_TIMEOUT": "10",
        "GDAL_NUM_THREADS": "1",
        "GDAL_PAM_ENABLED": "NO",
        "GDAL_SKIP": ",".join(sorted({name.strip() for name in SKIPPED_DRIVERS} - {""} - drivers)),
        "GDAL_TIFF_INTERNAL_MASK": "YES",
        "GDAL_VRT_ENABLE_PYTHON": "NO",
        "PROJ_NETWORK": "OFF",
    }


def configure(cache_megabytes: int = 256, drivers: frozenset[str] = frozenset()) -> None:
    """Set GDAL's environment for this process and the ones it starts.

    Call it once, before the first raster is opened: GDAL reads GDAL_SKIP when it registers its drivers and
    never again.

    Args:
        cache_megabytes: Upper bound of GDAL's block cache.
        drivers: Some that stay registered beside `ALLOWED_DRIVERS`.
    """
    os.environ.update(environment(cache_megabytes, drivers))
    # its successor, `opener`, adds a file system to GDAL at each opening, under the feet of other threads
    warnings.filterwarnings("ignore", "FilePath is supplanted", category=RasterioDeprecationWarning)
    logger = logging.getLogger("rasterio._env")
    if not any(isinstance(known, _NoSkipNoise) for known in logger.filters):
        logger.addFilter(_NoSkipNoise())


def open_raster(
    path: str | Path | FileLike,
    *,
    jp2: bool = False,
    overview_level: int | None = None,
    driver: str | None = None,
) -> DatasetReader:
    """Open a raster, the only way that is safe: GeoTIFF (or JPEG 2000) and nothing that leads elsewhere.

    A GeoTIFF may carry a tag that makes GDAL read its overviews from any other file or address, whatever the
    driver. The tag is read before anything else, which does no I/O, and such a file is refused.

    Args:
        path: A local path, or what is read in place of one.
        jp2: Accept a JPEG 2000 at a path too.
        overview_level: Give this overview (0 is the finest) as a dataset of its own.
        driver: One of `DELIVERED_DRIVERS`, for a file at a path; only where it is registered.

    Returns:
        The open dataset; a context manager. Not to be shared between threads.

    Raises:
        RasterOpenError: If there is no such file, it is no such raster, or it redirects its overviews.
    """
    if isinstance(path, str | Path):
        name = shown = _plain_path(path)
        assert driver is None or driver in DELIVERED_DRIVERS, "others are told by the file's first bytes"
        opened = _path_opener(name, driver or ("JP2OpenJPEG" if jp2 and _is_jp2(name) else "GTiff"))
    else:
        name, shown = "", path.name
        opened = _stream_opener(path)
    try:
        source = opened()
    except (RasterioError, OSError, ValueError) as error:
        raise RasterOpenError(shown, deepest_reason(error, name)) from error
    redirected = _REDIRECT in source.tags(ns="OVERVIEWS")
    if not redirected and overview_level is None:
        return source
    source.close()
    if redirected:
        raise RasterOpenError(
            shown,
            "a tag of this file (OVERVIEW_FILE) makes GDAL read another file in its place; "
            "rewrite the image without it",
        )
    try:
        return opened(OVERVIEW_LEVEL=overview_level)
    except (RasterioError, OSError, ValueError) as error:
        raise RasterOpenError(shown, f"it has no overview {overview_level}") from error


def _path_opener(name: str, driver: str) -> Callable[..., DatasetReader]:
    def opened(**options: Any) -> DatasetReader:
        return rasterio.open(name, driver=driver, **options)

    return opened


def _stream_opener(stream: FileLike) -> Callable[..., DatasetReader]:
    def opened(**options: Any) -> DatasetReader:
        named = FilePath(stream.handle())
        try:
            return named.open(driver="GTiff", **options)
        finally:
            named.close()  # the name goes, what was opened by it stays open

    return opened


@contextmanager
def unplaced_files_expected() -> Iterator[None]:
    """Keep rasterio quiet on files without georeference; filters are per process, so not for threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def deepest_reason(error: BaseException, path: str = "") -> str:
    """Give the first cause of a GDAL error as one line, without the file's folder."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())
    if path:
        text = text.replace(path, Path(path).name)
    return text or type(error).__name__


def self_test() -> None:
    """Try to open a hostile file, and refuse to go on if it opens.

    The file is a VRT, named as a GeoTIFF, that shows the bytes of another file as pixels. It is tried through
    `open_raster` and without a named driver: that second door stays shut until a WarpedVRT is made, which
    registers the VRT driver again whatever GDAL_SKIP says. So call this first, and never rely on GDAL_SKIP
    alone.

    Raises:
        GdalUnsafeError: If either way in is open.
    """
    with tempfile.TemporaryDirectory(prefix="flux-self-test-") as folder:
        secret = Path(folder) / "secret.bin"
        secret.write_bytes(bytes(range(64)))
        trap = Path(folder) / "trap.tif"
        trap.write_text(
            '<VRTDataset rasterXSize="8" rasterYSize="8">'
            '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
            f'<SourceFilename relativeToVRT="0">{secret}</SourceFilename>'
            "<ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset><LineOffset>8</LineOffset>"
            "</VRTRasterBand></VRTDataset>",
            encoding="utf-8",
        )
        if _opens(trap, guarded=True):
            raise GdalUnsafeError("GDAL opened a hostile VRT although only GeoTIFF is allowed")
        opened = _opens(trap, guarded=False)
    with rasterio.Env() as env:
        left = sorted(set(env.drivers()) - ALLOWED_DRIVERS)
    if opened or "VRT" in left:
        raise GdalUnsafeError(
            "GDAL would open a hostile VRT: its drivers were registered before mosaics.gdal.configure()"
        )
    if left:
        _LOG.warning("GDAL has drivers that are not switched off: %s", ", ".join(left))


def _opens(path: Path, *, guarded: bool) -> bool:
    try:
        with unplaced_files_expected(), open_raster(path) if guarded else rasterio.open(path):
            return True
    except (RasterOpenError, RasterioError):
        return False


def _plain_path(path: str | Path) -> str:
    """Give the path so that neither rasterio nor GDAL can take it for anything but a file's."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, which the caller decides
    if absolute.startswith("/vsi") or "\x00" in absolute:
        raise RasterOpenError(path, "only plain files are opened")
    return absolute


def _is_jp2(name: str) -> bool:
    """Tell by its first bytes whether a file is JPEG 2000: the JP2 signature box or a bare codestream."""
    try:
        with Path(name).open("rb") as file:
            return file.read(12).startswith((b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"))
    except OSError:
        return False


class _NoSkipNoise(logging.Filter):
    """Drops GDAL's word that a driver to skip does not exist: our list covers several versions."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "to unload from GDAL_SKIP" not in record.getMessage()
