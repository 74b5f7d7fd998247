"""A bundle as Airbus delivers Pléiades: four bands and a panchromatic one, in parts, in sensor geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import rasterio

from mosaics.gdal import unplaced_files_expected

MIDDLE: Final = 4.85, 45.75
"""Longitude and latitude."""
_POLYNOMIALS: Final = ("LINE_NUM_COEFF", "LINE_DEN_COEFF", "SAMP_NUM_COEFF", "SAMP_DEN_COEFF")


def write_bundle(folder: Path, name: str, *, size: int, seed: int) -> Path:
    """Write a delivery and give the file of its volume.

    Args:
        folder: Where, made.
        name: Of the delivery, in its names.
        size: Columns and rows of the panchromatic image, a multiple of 8; the others are a quarter of it.
        seed: Of its pixels: another seed is another content.
    """
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed)
    for spectral, bands, side, metres in (
        ("MS", ("B2", "B1", "B0", "B3"), size // 4, 2.0),
        ("P", ("P",), size, 0.5),
    ):
        stem = f"PHR1B_{spectral}_{name}"
        pixels = noise.integers(200, 1200, (len(bands), side, side)).astype("uint16")
        half = side // 2
        for row, part in enumerate((pixels[:, :half], pixels[:, half:]), start=1):
            _write_part(folder / f"IMG_{stem}_R{row}C1.TIF", part)
        (folder / f"RPC_{stem}.XML").write_text(_rpc(side, metres))
        (folder / f"DIM_{stem}.XML").write_text(_dimap(stem, spectral, bands, side))
    volume = folder / f"VOL_{name}.XML"
    volume.write_text(_volume(name))
    return volume


def _write_part(path: Path, pixels: np.ndarray) -> None:
    count, height, width = pixels.shape
    shape = {"count": count, "height": height, "width": width, "dtype": pixels.dtype.name}
    with unplaced_files_expected(), rasterio.open(path, "w", driver="GTiff", **shape) as target:
        target.write(pixels)


def _volume(name: str) -> str:
    parts = "".join(
        f'<Component><COMPONENT_TYPE version="2.0">DIMAP</COMPONENT_TYPE>'
        f'<COMPONENT_PATH href="DIM_PHR1B_{spectral}_{name}.XML"/></Component>'
        for spectral in ("MS", "P")
    )
    return _document(
        "VOLUME", f"<Dataset_Content><Dataset_Components>{parts}</Dataset_Components></Dataset_Content>"
    )


def _dimap(stem: str, spectral: str, bands: tuple[str, ...], side: int) -> str:
    files = "".join(
        f'<Data_File tile_R="{row}" tile_C="1"><DATA_FILE_PATH href="IMG_{stem}_R{row}C1.TIF"/></Data_File>'
        for row in (1, 2)
    )
    places = "".join(
        f"<Raster_Index><BAND_ID>{band}</BAND_ID><BAND_INDEX>{n}</BAND_INDEX></Raster_Index>"
        for n, band in enumerate(bands, start=1)
    )
    return _document(
        "PHR_SENSOR",
        f"<Dataset_Identification><DATASET_NAME>{stem}</DATASET_NAME></Dataset_Identification>"
        "<Geoposition><Raster_CRS><RASTER_GEOMETRY>SENSOR</RASTER_GEOMETRY></Raster_CRS><Geoposition_Models>"
        f'<Rational_Function_Model><Component><COMPONENT_PATH href="RPC_{stem}.XML"/></Component>'
        "</Rational_Function_Model></Geoposition_Models></Geoposition>"
        "<Processing_Information><Product_Settings><PROCESSING_LEVEL>SENSOR</PROCESSING_LEVEL>"
        f"<SPECTRAL_PROCESSING>{spectral}</SPECTRAL_PROCESSING></Product_Settings></Processing_Information>"
        f"<Raster_Data><Data_Access><Data_Files>{files}</Data_Files></Data_Access>"
        f"<Raster_Dimensions><NROWS>{side}</NROWS><NCOLS>{side}</NCOLS><NBANDS>{len(bands)}</NBANDS>"
        f"</Raster_Dimensions><Raster_Index_List>{places}</Raster_Index_List>"
        "<Raster_Display><Special_Value><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>"
        "<SPECIAL_VALUE_COUNT>0</SPECIAL_VALUE_COUNT></Special_Value></Raster_Display></Raster_Data>"
        "<Dataset_Sources><Source_Identification><Strip_Source><MISSION>PHR</MISSION>"
        "<MISSION_INDEX>1B</MISSION_INDEX><IMAGING_DATE>2024-05-17</IMAGING_DATE>"
        "<IMAGING_TIME>10:42:19.0Z</IMAGING_TIME></Strip_Source></Source_Identification></Dataset_Sources>",
    )


def _rpc(side: int, metres: float) -> str:
    """Write coefficients that put pixels down north up, `metres` apart."""
    coefficients = {name: [0.0] * 20 for name in _POLYNOMIALS}
    coefficients["LINE_NUM_COEFF"][2] = -1.0
    coefficients["SAMP_NUM_COEFF"][1] = 1.0
    coefficients["LINE_DEN_COEFF"][0] = coefficients["SAMP_DEN_COEFF"][0] = 1.0
    model = "".join(
        f"<{name}_{place}>{value}</{name}_{place}>"
        for name, values in coefficients.items()
        for place, value in enumerate(values, start=1)
    )
    half = side / 2
    validity = {
        "LONG_SCALE": half * metres / 77_800, "LONG_OFF": MIDDLE[0],
        "LAT_SCALE": half * metres / 111_150, "LAT_OFF": MIDDLE[1],
        "HEIGHT_SCALE": 500.0, "HEIGHT_OFF": 250.0,
        "SAMP_SCALE": half, "SAMP_OFF": half, "LINE_SCALE": half, "LINE_OFF": half,
    }  # fmt: skip
    numbers = "".join(f"<{name}>{value!r}</{name}>" for name, value in validity.items())
    return _document(
        "PHR_SENSOR",
        "<Rational_Function_Model><Global_RFM>"
        f"<Inverse_Model>{model}</Inverse_Model><RFM_Validity>{numbers}</RFM_Validity>"
        "</Global_RFM></Rational_Function_Model>",
    )


def _document(profile: str, inner: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Dimap_Document><Metadata_Identification>'
        '<METADATA_FORMAT version="2.0">DIMAP</METADATA_FORMAT>'
        f"<METADATA_PROFILE>{profile}</METADATA_PROFILE></Metadata_Identification>{inner}</Dimap_Document>\n"
    )
