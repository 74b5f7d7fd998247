"""Each kind of DIMAP delivery banked from end to end: parts, order and numbers of bands, masks, places."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rio_tiler.models import ImageData

from mosaics.errors import IngestError
from mosaics.ingest.sandbox import Sandbox
from tests.mosaics.ingest.deliveries.banked import Banked, banked
from tests.mosaics.ingest.deliveries.optical_images import (
    COLUMNS,
    LOSSLESS,
    PLACE,
    ROWS,
    edited,
    told,
)
from tests.mosaics.ingest.deliveries.sensor_images import MIDDLE, linear_rpc, write
from tests.mosaics.ingest.deliveries.test_bank import gml
from tests.mosaics.products import test_dimap as dimap
from tests.mosaics.products import test_dimap1 as dimap1

pytestmark = pytest.mark.skipif(not dimap.SKELETONS.is_dir(), reason="no product skeletons here")

SPOT = 300
"""Rows and columns of a scene of SPOT 5 here."""


def tiled(folder: Path, stem: str, values: np.ndarray, at: tuple[int, int], **more: Any) -> None:
    """Write an image in parts, cut at a row and at a column."""
    place = more.pop("transform", None)
    rows, columns = (0, at[0], values.shape[1]), (0, at[1], values.shape[2])
    end = "JP2" if more.get("driver", "").startswith("JP2") else "TIF"
    for down in (0, 1):
        for across in (0, 1):
            part = values[:, rows[down] : rows[down + 1], columns[across] : columns[across + 1]]
            moved = (
                {}
                if place is None
                else {"transform": place @ rasterio.Affine.translation(columns[across], rows[down])}
            )
            if part.size:
                write(folder / f"IMG_{stem}_R{down + 1}C{across + 1}.{end}", part, **moved, **more)


GAINS = {"B0": (9.5, 0.0), "B1": (10.5, 1.0), "B2": (11.5, 2.0), "B3": (12.5, 3.0)}


def dataset(path: Path, stem: str, size: tuple[int, int], *, end: str = "TIF", **more: str) -> None:
    """Make a DIM file of the skeleton say something: four parts, gains by band, ORTHO or SENSOR."""
    parts = "".join(
        f'<Data_File tile_R="{r}" tile_C="{c}"><DATA_FILE_PATH href="IMG_{stem}_R{r}C{c}.{end}"/></Data_File>'
        for r, c in ((1, 1), (1, 2), (2, 1), (2, 2))
    )
    edited(
        path,
        ("<Data_Files>.*</Data_Files>", f"<Data_Files>{parts}</Data_Files>"),
        (r"<NROWS>\d+", f"<NROWS>{size[0]}"),
        (r"<NCOLS>\d+", f"<NCOLS>{size[1]}"),
    )
    for name, (gain, bias) in GAINS.items():
        text = re.sub(
            rf"(<Band_Radiance>\s*<BAND_ID>{name}.*?<GAIN>)GAIN(</GAIN>\s*<BIAS>)BIAS",
            rf"\g<1>{gain}\g<2>{bias}",
            path.read_text(),
            flags=re.DOTALL,
        )
        path.write_text(text)
    if more.get("level", "ORTHO") == "ORTHO":
        edited(
            path,
            ("<RASTER_GEOMETRY>SENSOR", "<RASTER_GEOMETRY>RECTIFIED"),
            ("<PROCESSING_LEVEL>SENSOR", "<PROCESSING_LEVEL>ORTHO"),
        )


def bundle(tmp_path: Path, *, driver: str = "GTiff") -> Path:
    """Write a bundle of Pléiades on the ground: colours, and a panchromatic image four times as fine."""
    folder = Path(shutil.copytree(dimap.BUNDLE, tmp_path / "in"))
    for each in folder.iterdir():
        each.chmod(0o644)
        if each.suffix == ".TIF":
            each.unlink()
    end, more = ("JP2", LOSSLESS) if driver != "GTiff" else ("TIF", {})
    dataset(folder / "DIM_foo.XML", "foo", (ROWS, COLUMNS), end=end)
    edited(folder / "DIM_foo.XML", ("<SPECTRAL_PROCESSING>PMS", "<SPECTRAL_PROCESSING>MS"))
    dataset(folder / "DIM_foo2.XML", "foo2", (4 * ROWS, 4 * COLUMNS), end=end)
    edited(folder / "DIM_foo2.XML", ("<BAND_ID>B0", "<BAND_ID>P"))
    tiled(folder, "foo", told(4), (50, 70), **PLACE, **more)
    fine = {**PLACE, "transform": PLACE["transform"] @ rasterio.Affine.scale(0.25)}
    tiled(folder, "foo2", told(1, 4 * ROWS, 4 * COLUMNS), (200, 300), **fine, **more)
    return folder


def check_gains(made: Banked) -> None:
    for band in made.bands():
        gain, bias = GAINS[band["name"]]
        assert (band["raster:scale"], band["raster:offset"]) == (pytest.approx(1 / gain), bias)


@pytest.mark.parametrize("driver", ["GTiff", "JP2OpenJPEG"])
def test_a_bundle_of_pleiades_in_parts(tmp_path: Path, sandbox: Sandbox, driver: str) -> None:
    folder = bundle(tmp_path, driver=driver)
    made = banked(tmp_path / "home", sandbox, folder)
    np.testing.assert_array_equal(made.values(), told(4))
    np.testing.assert_array_equal(made.values("pan"), told(1, 4 * ROWS, 4 * COLUMNS))
    assert [band["name"] for band in made.bands()] == ["B2", "B1", "B0", "B3"], "as they lie in the file"
    assert [band["eo:common_name"] for band in made.bands()] == ["red", "green", "blue", "nir"]
    check_gains(made)
    assert made.scene.styles[0] == "natural"
    assert {"pan", "pansharp", "ndvi", "cir"} <= set(made.scene.styles)
    assert made.scene.sensor_id == "pleiades"


def test_indices_of_radiance_are_those_of_reflectance(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = bundle(tmp_path)
    sun = {"B0": 1915.0, "B1": 1830.0, "B2": 1594.0, "B3": 1060.0}
    for name, value in sun.items():
        edited(
            folder / "DIM_foo.XML",
            (rf"(<Band_Solar_Irradiance>\s*<BAND_ID>{name}.*?<VALUE>)VALUE", rf"\g<1>{value}"),
        )
    made = banked(tmp_path / "home", sandbox, folder)
    check_gains(made)
    physical = {
        band["name"]: (counts / GAINS[band["name"]][0] + GAINS[band["name"]][1]) / sun[band["name"]]
        for band, counts in zip(made.bands(), told(4).astype("float64"), strict=True)
    }
    nir, red = physical["B3"], physical["B2"]
    render = made.properties["renders"]["ndvi"]
    counts = np.ma.MaskedArray(told(4).astype("float32"))
    theirs = ImageData(counts).apply_expression(render["expression"])
    np.testing.assert_allclose(theirs.array.data[0], (nir - red) / (nir + red), atol=1e-5)


def test_masks_of_a_bundle_are_burnt_in(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = bundle(tmp_path)
    (folder / "MASKS").mkdir()
    left, top = PLACE["transform"] @ (10, 20)
    right, bottom = PLACE["transform"] @ (100, 80)
    ring = f"{left} {top} {right} {top} {right} {bottom} {left} {bottom} {left} {top}"
    gml(folder / "MASKS" / "ROI_foo_MSK.GML", ring)
    gml(folder / "CLD_foo_MSK.GML", ring.replace(str(bottom), str(top - 20)))
    made = banked(tmp_path / "home", sandbox, folder)
    seen = np.isfinite(made.values()[0])
    assert seen[21:79, 11:99].all()
    assert not seen[:19].any()
    assert not seen[:, 102:].any()
    classes = made.values("mask")[0]
    assert (classes[22:28, 12:98] == 6).all()
    assert (classes[35:75, 12:98] == 1).all()


def test_sensor_geometry(tmp_path: Path, sandbox: Sandbox) -> None:
    """SPOT 7 by its own file of coefficients."""
    folder = Path(shutil.copytree(dimap.PHR, tmp_path / "in"))
    for each in folder.iterdir():
        each.chmod(0o644)
        if each.suffix == ".TIF":
            each.unlink()
    model = linear_rpc()
    rpc = (folder / "RPC_foo.XML").read_text()
    said: dict[str, float] = {}
    for name, value in model.to_dict().items():
        if isinstance(value, list):
            said |= {f"{name}_{place}": each for place, each in enumerate(value, 1)}
        elif value is not None:
            said[name] = value + (1 if name in {"line_off", "samp_off"} else 0)
    for name, value in said.items():
        rpc = re.sub(rf"<{name}>[^<]*<", f"<{name.upper()}>{value}<", rpc, flags=re.IGNORECASE)
    (folder / "RPC_foo.XML").write_text(re.sub("<(FIRST_ROW|FIRST_COL)>[^<]*<", r"<\1>1<", rpc))
    dataset(folder / "DIM_foo.XML", "foo", (400, 400), level="SENSOR")
    edited(
        folder / "DIM_foo.XML",
        ("<MISSION>PHR", "<MISSION>SPOT"),
        ("<MISSION_INDEX>1A", "<MISSION_INDEX>7"),
    )
    tiled(folder, "foo", told(4, 400, 400), (150, 250))
    made = banked(tmp_path / "home", sandbox, folder)
    assert (made.scene.sensor_id, made.properties["platform"]) == ("spot-6-7", "spot-7")
    check_gains(made)
    with rasterio.open(made.path()) as source:
        (x,), (y,) = rasterio.warp.transform("EPSG:4326", source.crs, [MIDDLE[0]], [MIDDLE[1]])
        row, column = source.index(x, y)
        found = source.read()[:, row, column]
    np.testing.assert_allclose(found, told(4, 400, 400)[:, 200, 200], atol=2)


def test_false_colours_are_asked_about(tmp_path: Path, sandbox: Sandbox) -> None:
    """Of MS-X sources disagree on the order: the product has to say, and so has who banks it."""
    folder = bundle(tmp_path)
    (folder / "VOL_PHR.XML").unlink()
    (folder / "DIM_foo2.XML").unlink()
    tiled(folder, "foo", told(3), (50, 70), **PLACE)
    edited(folder / "DIM_foo.XML", ("<NBANDS>4", "<NBANDS>3"), ("<RED_CHANNEL>B2", "<RED_CHANNEL>B3"))
    edited(
        folder / "DIM_foo.XML",
        ("<GREEN_CHANNEL>B1", "<GREEN_CHANNEL>B2"),
        ("<BLUE_CHANNEL>B0", "<BLUE_CHANNEL>B1"),
    )
    path = folder / "DIM_foo.XML"
    with pytest.raises(IngestError, match="Which are they"):
        banked(tmp_path / "home", sandbox, path)
    made = banked(tmp_path / "home", sandbox, path, bands={"ms": ("nir", "red", "green")})
    assert [band["eo:common_name"] for band in made.bands()] == ["nir", "red", "green"]
    assert "ndvi" in made.scene.styles


def test_what_is_made_for_display(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = bundle(tmp_path)
    (folder / "VOL_PHR.XML").unlink()
    (folder / "DIM_foo2.XML").unlink()
    tiled(folder, "foo", told(3, dtype="uint8"), (50, 70), **PLACE)
    edited(folder / "DIM_foo.XML", ("<NBANDS>4", "<NBANDS>3"), ("PROCESSING>BASIC", "PROCESSING>DISPLAY"))
    made = banked(tmp_path / "home", sandbox, folder / "DIM_foo.XML")
    assert made.scene.styles[0] == "natural"
    assert made.properties["flux:radiometry"] == {"ms": "display"}
    assert "raster:scale" not in made.bands()[0], "what is for eyes only measures nothing"


def test_pleiades_neo_has_six_bands(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = Path(shutil.copytree(dimap.PNEO / "MS-FS", tmp_path / "in"))
    for each in (folder, *folder.iterdir()):
        each.chmod(0o755)
    edited(folder / "DIM_MS-FS.XML", ("<NROWS>1366", f"<NROWS>{ROWS}"), ("<NCOLS>1663", f"<NCOLS>{COLUMNS}"))
    write(folder / "IMG_RGB_R1C1.TIF", told(6)[:3], **PLACE)
    write(folder / "IMG_NED_R1C1.TIF", told(6)[3:], **PLACE)
    made = banked(tmp_path / "home", sandbox, folder)
    np.testing.assert_array_equal(made.values(), told(6))
    assert [band["name"] for band in made.bands()] == ["R", "G", "B", "NIR", "RE", "DB"]
    assert [band["eo:common_name"] for band in made.bands()] == [
        *("red", "green", "blue", "nir", "rededge", "coastal")
    ]
    assert made.bands()[5]["eo:center_wavelength"] == pytest.approx(0.4365)
    assert {band["raster:scale"] for band in made.bands()} == {1e-4}
    assert made.scene.styles[0] == "natural"
    assert {"bathy", "ndre", "rededge"} <= set(made.scene.styles)


def test_a_bundle_of_pleiades_neo(tmp_path: Path, sandbox: Sandbox) -> None:
    """The volume of the skeleton names a panchromatic image that it has not; here it is."""
    folder = Path(shutil.copytree(dimap.PNEO, tmp_path / "in"))
    for each in (folder, *folder.rglob("*")):
        each.chmod(0o755)
    edited(
        folder / "MS-FS" / "DIM_MS-FS.XML",
        ("<NROWS>1366", f"<NROWS>{ROWS}"),
        ("<NCOLS>1663", f"<NCOLS>{COLUMNS}"),
    )
    pan = Path(shutil.copytree(folder / "MS-FS", folder / "PAN")) / "DIM_PAN.XML"
    (folder / "PAN" / "DIM_MS-FS.XML").rename(pan)
    for colours in (folder / "PAN").glob("*.TIF"):
        colours.unlink()
    file = '<Data_File tile_R="1" tile_C="1"><DATA_FILE_PATH href="IMG_P_R1C1.TIF"/></Data_File>'
    index = "<Raster_Index><BAND_ID>R</BAND_ID><BAND_INDEX>1</BAND_INDEX></Raster_Index>"
    shown = f"<Raster_Display><Raster_Index_List>{index}</Raster_Index_List></Raster_Display>"
    edited(
        pan,
        ("<Data_Files>.*</Data_Files>", f"<Data_Files>{file}{shown}</Data_Files>"),
        ("<NBANDS>6", "<NBANDS>1"),
        (f"<NROWS>{ROWS}", f"<NROWS>{4 * ROWS}"),
        (f"<NCOLS>{COLUMNS}", f"<NCOLS>{4 * COLUMNS}"),
        ("<BAND_ID>R<", "<BAND_ID>P<"),
    )
    write(folder / "MS-FS" / "IMG_RGB_R1C1.TIF", told(6)[:3], **PLACE)
    write(folder / "MS-FS" / "IMG_NED_R1C1.TIF", told(6)[3:], **PLACE)
    fine = {**PLACE, "transform": PLACE["transform"] @ rasterio.Affine.scale(0.25)}
    write(folder / "PAN" / "IMG_P_R1C1.TIF", told(1, 4 * ROWS, 4 * COLUMNS), **fine)
    made = banked(tmp_path / "home", sandbox, folder)
    np.testing.assert_array_equal(made.values(), told(6))
    np.testing.assert_array_equal(made.values("pan"), told(1, 4 * ROWS, 4 * COLUMNS))
    assert [band["eo:common_name"] for band in made.bands("pan")] == ["pan"]
    assert {band["unit"] for key in ("data", "pan") for band in made.bands(key)} == {"1e-4"}
    assert (made.scene.sensor_id, made.scene.styles[0]) == ("pleiades-neo", "natural")
    assert {"pan", "pansharp", "bathy", "ndre"} <= set(made.scene.styles)
    picture = made.picture_in("pansharp")
    assert (picture[..., 3] > 0).mean() > 0.9
    assert picture[..., :3].std() > 5


def test_spot_5_lies_where_its_model_says(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = dimap1.changed(tmp_path, ("XS1", "XS2", "XS3", "SWIR"))
    for each in (folder, *folder.iterdir()):
        each.chmod(0o755)
    edited(
        folder / "METADATA.DIM",
        ("<MISSION_INDEX>4", "<MISSION_INDEX>5"),
        ("<NROWS>6000", f"<NROWS>{SPOT}"),
        ("<NCOLS>6000", f"<NCOLS>{SPOT}"),
        ("<Geoposition_Points>.*</Geoposition_Points>", ""),
    )
    write(folder / "IMAGERY.TIF", told(4, SPOT, SPOT, "uint8"))
    made = banked(tmp_path / "home", sandbox, folder)
    assert [band["name"] for band in made.bands()] == ["XS3", "XS2", "XS1", "SWIR"]
    assert [band["eo:common_name"] for band in made.bands()] == ["nir", "red", "green", "swir16"]
    assert [band.get("raster:scale", 1) for band in made.bands()] == pytest.approx([1 / 3, 1 / 2, 1, 1 / 4])
    assert made.scene.styles[0] == "falsecolour"
    assert "swir" in made.scene.styles
    row, column = 150, 200
    longitude = 4.3640990841 - 2.6643496819e-05 * row + 1.4239355527e-04 * column
    longitude += -2.0095394654e-10 * row * column + 2.6521261246e-11 * row**2 - 6.8487943015e-10 * column**2
    latitude = 44.208332836 - 8.7782663961e-05 * row - 1.7179784977e-05 * column
    latitude += 1.8702677440e-11 * row * column - 2.2187479777e-12 * row**2 - 2.3351749623e-12 * column**2
    with rasterio.open(made.path()) as source:
        (x,), (y,) = rasterio.warp.transform("EPSG:4326", source.crs, [longitude], [latitude])
        found = source.read()[(slice(None), *source.index(x, y))]
    np.testing.assert_allclose(found, told(4, SPOT, SPOT, "uint8")[:, row - 1, column - 1], atol=1)


def test_a_group_of_files_of_several_types(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = Path(shutil.copytree(dimap.PNEO / "MS-FS", tmp_path / "in"))
    for each in (folder, *folder.iterdir()):
        each.chmod(0o755)
    edited(folder / "DIM_MS-FS.XML", ("<NROWS>1366", f"<NROWS>{ROWS}"), ("<NCOLS>1663", f"<NCOLS>{COLUMNS}"))
    write(folder / "IMG_RGB_R1C1.TIF", told(3, dtype="uint8"), **PLACE)
    write(folder / "IMG_NED_R1C1.TIF", told(3), **PLACE)
    made = banked(tmp_path / "home", sandbox, folder)
    assert {band["data_type"] for band in made.bands()} == {"uint16"}
    np.testing.assert_array_equal(made.values()[:3], told(3, dtype="uint8"))
    np.testing.assert_array_equal(made.values()[3:], told(3))
