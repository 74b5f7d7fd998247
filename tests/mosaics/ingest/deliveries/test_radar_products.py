"""Each kind of radar delivery banked from end to end: values by hand, items, styles that show something."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio

from mosaics.gdal import RasterOpenError, open_raster
from mosaics.ingest.sandbox import Sandbox
from tests.mosaics.ingest.deliveries.banked import Banked, banked, opened
from tests.mosaics.ingest.deliveries.sensor_images import write
from tests.mosaics.products import test_alos2 as alos2
from tests.mosaics.products import test_iceye as iceye
from tests.mosaics.products import test_radarsat2 as radarsat2
from tests.mosaics.products import test_saocom as saocom
from tests.mosaics.products import test_sentinel1 as sentinel1
from tests.mosaics.products import test_terrasarx as terrasarx

pytestmark = pytest.mark.skipif(not radarsat2.REAL.is_dir(), reason="no product skeletons here")


def constant(value: complex, shape: tuple[int, int], dtype: str) -> np.ndarray:
    """Give one band of one value: whatever the warp does, it stays."""
    return np.full((1, *shape), value, dtype)


def check_radar(
    made: Banked, quantity: str, *, default: str = "sar-db-copol", unit: str | None = "1"
) -> None:
    """See what is alike in all radar scenes."""
    assert made.scene.kind == "sar"
    assert made.scene.styles[0] == default
    assert {band.get("unit") for band in made.bands()} == {unit}
    assert {band["data_type"] for band in made.bands()} == {"float32"}
    assert set(made.properties["flux:radiometry"].values()) == {quantity}
    assert made.properties["sar:polarizations"] == [band["name"] for band in made.bands()]
    assert {"sar:instrument_mode", "sar:frequency_band", "product:type"} <= made.properties.keys()
    picture = made.picture()
    assert picture[picture[..., 3] > 0][:, :3].mean() > 20, "it is not black"


def close(made: Banked, *wanted: float, rel: float = 1e-6) -> None:
    """Compare all pixels that show something."""
    for band, value in zip(made.values(), wanted, strict=True):
        seen = band[np.isfinite(band)]
        assert seen.size > 100
        np.testing.assert_allclose(seen, value, rtol=rel)


def small_radarsat2(tmp_path: Path, kind: str, image: np.ndarray, gain: float, offset: float = 0) -> Path:
    """Give a product whose table is the same everywhere."""
    folder = radarsat2.product(tmp_path, kind)
    (folder / "byte_scanline.tif").unlink()
    write(folder / "imagery_HH.tif", image)
    listed = " ".join([str(gain)] * 20)
    (folder / "lut.xml").write_text(f"<lut><offset>{offset}</offset><gains>{listed}</gains></lut>")
    return folder


def test_radarsat2_detected(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = small_radarsat2(tmp_path, "Mag", constant(20, (20, 20), "uint16"), 2500, 100)
    made = banked(tmp_path / "home", sandbox, folder)
    close(made, (20**2 + 100) / 2500, (20**2 + 100) / 2500)
    check_radar(made, "sigma0")
    assert "calibrated to sigma0" in made.properties["processing:lineage"]
    assert made.properties["product:type"] == "SGF"


def test_radarsat2_single_looks(tmp_path: Path, sandbox: Sandbox) -> None:
    samples = np.concatenate([constant(30, (20, 20), "int16"), constant(-40, (20, 20), "int16")])
    folder = small_radarsat2(tmp_path, "Complex", samples, 125)
    made = banked(tmp_path / "home", sandbox, folder)
    close(made, 2500 / 125**2, 2500 / 125**2)
    check_radar(made, "sigma0")


def test_radarsat2_without_a_table(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = small_radarsat2(tmp_path, "Mag", constant(20, (20, 20), "uint16"), 2500)
    radarsat2.change(folder, '"Sigma Nought"', '"Another"')
    made = banked(tmp_path / "home", sandbox, folder)
    close(made, 20, 20)
    check_radar(made, "amplitude", unit=None, default="sar-db")


ROWS, COLUMNS = 60, 40
"""Of products of TerraSAR-X here."""


def small_terrasarx(tmp_path: Path) -> Path:
    """Give the real annotation of an image of a few pixels that shows the same ground."""
    folder = terrasarx.product(tmp_path)
    path = folder / f"{terrasarx.NAME}.xml"
    text = path.read_text()
    for name, size, small in (("Row", terrasarx.HEIGHT, ROWS), ("Column", terrasarx.WIDTH, COLUMNS)):
        text = text.replace(f"<numberOf{name}s>{size}<", f"<numberOf{name}s>{small}<")

        def scaled(match: re.Match[str], size: int = size, small: int = small) -> str:
            return f"{match[1]}{(float(match[2]) - 0.5) * small / size + 0.5}<"

        text = re.sub(rf"(<ref{name}>)([\d.]+)<", scaled, text)
    path.write_text(text)
    return folder


def cosar(path: Path, value: complex) -> None:
    """Write single looks as COSAR has them: four lines that describe, then lines with their ends."""
    line = (COLUMNS + 2) * 4
    head = np.zeros((4, line // 4), ">i4")
    head[0, :7] = [line * (ROWS + 4), 0, COLUMNS, ROWS, 1, line, ROWS + 4]
    head[0, 7] = int.from_bytes(b"CSAR", "big")
    head[0, 8] = 1
    lines = np.zeros((ROWS, COLUMNS + 2, 2), ">i2")
    lines[:, 0, 1], lines[:, 1, 1] = 1, COLUMNS
    lines[:, 2:] = value.real, value.imag
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(head.tobytes() + lines.tobytes())


def test_terrasarx_single_looks(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = small_terrasarx(tmp_path)
    cosar(folder / terrasarx.COS, 30 - 40j)
    made = banked(tmp_path / "home", sandbox, folder)
    sine = np.sin(np.radians(39.1546891))
    assert made.middle()[0] == pytest.approx(terrasarx.FACTOR * 2500 * sine, rel=3e-3)
    check_radar(made, "sigma0", default="sar-db-copol-x")
    assert made.properties["sat:absolute_orbit"] == 4091
    image = folder / terrasarx.COS
    assert sandbox.run("a", opened, image, "COSAR", report=lambda *_: None) == (1, ROWS, COLUMNS)
    with pytest.raises(RasterOpenError):
        open_raster(image, driver="COSAR")


def detected_terrasarx(tmp_path: Path, variant: str) -> tuple[Path, Path]:
    """Give an annotation of a detected image, and where that belongs."""
    folder = small_terrasarx(tmp_path)
    for before, after in (
        ("<productVariant>SSC", f"<productVariant>{variant}"),
        ("COMPLEX</imageDataType>", "DETECTED</imageDataType>"),
        ("COSAR</imageDataFormat>", "GEOTIFF</imageDataFormat>"),
        ("IMAGE_HH_SRA_strip_011.cos", "IMAGE_HH_SRA_strip_011.tif"),
    ):
        terrasarx.change(folder, before, after)
    return folder, folder / terrasarx.COS.replace(".cos", ".tif")


def test_terrasarx_in_ground_range(tmp_path: Path, sandbox: Sandbox) -> None:
    """MGD: detected, and placed by the corners and the middle of the scene."""
    folder, image = detected_terrasarx(tmp_path, "MGD")
    write(image, constant(50, (ROWS, COLUMNS), "uint16"))
    made = banked(tmp_path / "home", sandbox, folder)
    sine = np.sin(np.radians(39.1546891))
    assert made.middle()[0] == pytest.approx(terrasarx.FACTOR * 2500 * sine, rel=3e-3)
    check_radar(made, "sigma0", default="sar-db-copol-x")
    assert made.properties["product:type"] == "MGD"
    assert made.item["bbox"][2] == pytest.approx(-111.664738184, abs=0.01), "within a pixel"


def test_terrasarx_with_the_relief_taken_out(tmp_path: Path, sandbox: Sandbox) -> None:
    """EEC: on the ground, and its corners tell where the angles of the scene belong."""
    folder, image = detected_terrasarx(tmp_path, "EEC")
    corners = {"upperLeft": (-112.2, 36.4), "upperRight": (-111.6, 36.4)}
    corners |= {"lowerLeft": (-112.2, 35.6), "lowerRight": (-111.6, 35.6)}
    frame = "".join(
        f"<{name}Longitude>{x}</{name}Longitude><{name}Latitude>{y}</{name}Latitude>"
        for name, (x, y) in corners.items()
    )
    frame = f"<geoParameter><sceneCoordsGeographic>{frame}</sceneCoordsGeographic></geoParameter>"
    terrasarx.change(
        folder, "<productSpecific>", f"<productSpecific><geocodedImageInfo>{frame}</geocodedImageInfo>"
    )
    place = {"crs": "EPSG:4326", "transform": rasterio.transform.from_origin(-112.2, 36.4, 0.015, 0.8 / 60)}
    write(image, constant(50, (ROWS, COLUMNS), "uint16"), **place)
    made = banked(tmp_path / "home", sandbox, folder)
    row, column = int(0.4676 * ROWS), int(0.5048 * COLUMNS)
    sine = np.sin(np.radians(39.1546891))
    assert made.values()[0, row, column] == pytest.approx(terrasarx.FACTOR * 2500 * sine, rel=5e-3)
    check_radar(made, "sigma0", default="sar-db-copol-x")
    assert made.properties["proj:code"] == "EPSG:4326"


def test_terrasarx_on_the_ground(tmp_path: Path, sandbox: Sandbox) -> None:
    folder, image = detected_terrasarx(tmp_path, "GEC")
    place = {"crs": "EPSG:32612", "transform": rasterio.transform.from_origin(430_000, 4_020_000, 100, 100)}
    write(image, constant(50, (ROWS, COLUMNS), "uint16"), **place)
    made = banked(tmp_path / "home", sandbox, folder)
    close(made, terrasarx.FACTOR * 2500)
    check_radar(made, "beta0", default="sar-db-copol-x")
    assert made.properties["proj:code"] == "EPSG:32612"


def test_sentinel1_ground_range(tmp_path: Path, sandbox: Sandbox) -> None:
    manifest = sentinel1.product(tmp_path)
    for stem, amplitude in ((sentinel1.VV, 400), (sentinel1.VH, 1000)):
        vectors = sentinel1.VECTOR.format(0, " ".join([str(amplitude)] * 3))
        (manifest.parent / "annotation" / "calibration" / f"calibration-{stem}.xml").write_text(
            f"<calibration><calibrationVectorList>{vectors}</calibrationVectorList></calibration>"
        )
        write(manifest.parent / "measurement" / f"{stem}.tiff", constant(200, (167, 256), "uint16"))
    made = banked(tmp_path / "home", sandbox, manifest.parent)
    close(made, 200**2 / 400**2, 200**2 / 1000**2)
    check_radar(made, "sigma0")
    assert {"sar-dualpol", "sar-db-cross"} <= set(made.scene.styles)
    assert made.properties["sat:orbit_state"] == "descending"
    assert made.properties["sat:relative_orbit"] == 125


def test_alos2_geotiff(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = alos2.product(tmp_path)
    place = {"crs": "EPSG:32720", "transform": rasterio.transform.from_origin(292_000, 8_818_000, 6.25, 6.25)}
    for band, count in (("HH", 5000), ("HV", 2000)):
        (folder / f"IMG-{band}-{alos2.ID}").unlink()
        write(folder / f"IMG-{band}-{alos2.ID}.tif", constant(count, (90, 80), "uint16"), **place)
        alos2.change(folder, f'"IMG-{band}-{alos2.ID}"', f'"IMG-{band}-{alos2.ID}.tif"')
    made = banked(tmp_path / "home", sandbox, folder)
    close(made, 5000**2 * 10**-8.3, 2000**2 * 10**-8.3)
    check_radar(made, "sigma0")
    assert made.properties["platform"] == "alos-2"


def ceos(path: Path, value: int) -> None:
    """Write an image as CEOS has it: the real descriptor, told another size, and a record for each line."""
    rows, columns = 90, 80
    head = bytearray(path.read_bytes())
    length = 192 + 2 * columns
    for start, width, number in (
        *((180, 6, rows), (186, 6, length), (236, 8, rows), (248, 8, columns), (280, 8, 2 * columns)),
    ):
        head[start : start + width] = str(number).rjust(width).encode()
    records = np.zeros((rows, length), "uint8")
    for row in range(rows):
        begin = struct.pack(">I4BI", row + 2, 50, 11, 18, 20, length)
        records[row, : len(begin)] = np.frombuffer(begin, "uint8")
    records[:, 192:] = np.full((rows, columns), value, ">u2").view("uint8")
    path.write_bytes(bytes(head) + records.tobytes())


def test_alos2_ceos(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = alos2.product(tmp_path)
    alos2.change(folder, 'NoOfLines_0="13161"', 'NoOfLines_0="90"')
    alos2.change(folder, 'NoOfPixels_0="12870"', 'NoOfPixels_0="80"')
    for band, count in (("HH", 5000), ("HV", 2000)):
        ceos(folder / f"IMG-{band}-{alos2.ID}", count)
    made = banked(tmp_path / "home", sandbox, folder)
    close(made, 5000**2 * 10**-8.3, 2000**2 * 10**-8.3)
    check_radar(made, "sigma0")
    west, south, east, north = made.item["bbox"]
    assert (west, north) == pytest.approx((-62.9, -10.68), abs=0.02), "its leader says where it lies"
    assert (east, south) == pytest.approx((-62.16, -11.42), abs=0.02)
    image = folder / f"IMG-HH-{alos2.ID}"
    assert sandbox.run("a", opened, image, "SAR_CEOS", report=lambda *_: None) == (1, 90, 80)
    with pytest.raises(RasterOpenError):
        open_raster(image, driver="SAR_CEOS")


@pytest.mark.parametrize("kind", ["GRD", "SLC"])
def test_iceye(tmp_path: Path, sandbox: Sandbox, kind: str) -> None:
    """Its images lie on the ground by a transform that is turned, as the radar flew."""
    folder = tmp_path / "in"
    folder.mkdir()
    changed = {"iceye:calibration_factor": 2e-5, "proj:shape": [90, 80], "sar:product_type": f"{kind}-COG"}
    path = iceye.item(folder, changed)
    bands = [constant(80, (90, 80), "float32")] + [constant(1, (90, 80), "float32")] * (kind == "SLC")
    turned = rasterio.Affine.translation(500_000, 5_000_000) @ rasterio.Affine.rotation(30)
    place = {"crs": "EPSG:32631", "transform": turned @ rasterio.Affine.scale(2.5, -2.5)}
    write(folder / f"{iceye.NAME}.tif", np.concatenate(bands), **place)
    made = banked(tmp_path / "home", sandbox, path)
    close(made, 2e-5 * 6400)
    check_radar(made, "sigma0" if kind == "GRD" else "beta0", default="sar-db-copol-x")
    assert made.properties["sar:center_frequency"] == 9.6
    with rasterio.open(made.path()) as source:
        assert source.crs.to_epsg() == 32631
        lonlat = rasterio.warp.transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    assert made.item["bbox"] == pytest.approx(lonlat, abs=2e-4)


def test_iceye_before_2027(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / f"{iceye.OLD}.xml").write_text(iceye.LEGACY.format(name=iceye.OLD))
    write(folder / f"{iceye.OLD}.tif", constant(300, (200, 100), "uint16"))
    made = banked(tmp_path / "home", sandbox, folder)
    close(made, 3.5e-6 * 300**2)
    check_radar(made, "sigma0", default="sar-db-copol-x")


@pytest.mark.parametrize(("kind", "level"), [("slc", "L1A"), ("di", "L1B"), ("gec", "L1C"), ("gtc", "L1D")])
def test_saocom(tmp_path: Path, sandbox: Sandbox, kind: str, level: str) -> None:
    document = saocom.product(tmp_path / "in", kind=kind, level=level)
    place = {"crs": "EPSG:32721", "transform": rasterio.transform.from_origin(420_000, 6_980_000, 20, 20)}
    for each in (document.with_suffix("") / "Data").glob("*.xml"):
        each.write_text(each.read_text().replace(">20761<", ">90<").replace(">3077<", ">80<"))
        value = constant(
            0.3 - 0.4j if kind == "slc" else 0.25, (90, 80), "complex64" if kind == "slc" else "float32"
        )
        write(each.with_suffix(""), value, **(place if kind in {"gec", "gtc"} else {}))
    made = banked(tmp_path / "home", sandbox, document)
    close(made, *[0.25] * 4)
    check_radar(made, "sigma0")
