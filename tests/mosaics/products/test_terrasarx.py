"""TerraSAR-X as a real annotation of 2008 says it, and small products with grids, layers and maps."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.terrasarx import find_terrasarx, read_terrasarx
from tests.conftest import IMAGERY

REAL = IMAGERY / "skeletons" / "terrasarx"
NAME = "TSX1_SAR__SSC______SM_S_SRA_20080310T133220_20080310T133228"
COS = "IMAGEDATA/IMAGE_HH_SRA_strip_011.cos"
FACTOR = 1.04344690525452603e-05
HEIGHT, WIDTH = 32710, 15328

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no product skeletons here")


def test_a_real_annotation_without_its_pixels() -> None:
    path = find_terrasarx(REAL)
    assert path == find_terrasarx(REAL / f"{NAME}.xml") == REAL / f"{NAME}.xml"
    delivery = read_terrasarx(path)
    assert (delivery.name, delivery.sensor_id) == (NAME, "terrasar-x")
    assert (delivery.platform, delivery.level) == ("TerraSAR-X", "SSC____SM_S")
    assert delivery.acquired == datetime(2008, 3, 10, 13, 32, 24, 350454, tzinfo=UTC)
    assert delivery.copyright == "TerraSAR-X project"
    assert delivery.view.incidence == pytest.approx(39.1546891)
    radar = delivery.radar
    assert radar is not None
    assert (radar.instrument_mode, radar.product_type, radar.frequency_band) == ("SM", "SSC", "X")
    assert (radar.polarizations, radar.center_frequency_ghz) == (("HH",), 9.65)
    assert (radar.orbit_state, radar.observation_direction) == ("descending", "right")
    assert (radar.relative_orbit, radar.absolute_orbit) == (83, 4091)
    assert radar.pixel_spacing_range == pytest.approx(1.36410510540008545)
    (group,) = delivery.groups
    assert (group.height, group.width, group.is_complex, group.quantity) == (HEIGHT, WIDTH, True, "sigma0")
    assert [(file.path, file.driver) for file in group.files] == [(REAL / COS, "COSAR")]
    places = [(point.row, point.column) for point in group.points]
    assert places[:2] == [(0.5, 0.5), (0.5, 15324.5)], "the product counts from 1"
    assert places[4] == (16353.5, 7557.5), "the scene's middle"
    assert group.points[0].longitude == pytest.approx(-111.664738184)
    assert group.points[0].height == pytest.approx(1854.90268687)
    with pytest.raises(DeliveryIncompleteError, match=r"1 of 2 .*IMAGE_HH_SRA_strip_011\.cos"):
        check_complete(delivery)


@pytest.mark.parametrize(
    ("row", "column", "angle"),
    [
        (0, 0, 37.9118762632605453),
        (0, 15324, 40.634938448),
        (32709, 15324, 40.5154334727),
        (16353, 7557, 39.1546891079296557),
    ],
)
def test_sigma0_by_hand_where_the_angle_is_told(row: int, column: int, angle: float) -> None:
    (group,) = read_terrasarx(REAL / f"{NAME}.xml").groups
    counts = np.array([[30 - 40j]], dtype="complex64")
    made = group.calibrations[0](counts, slice(row, row + 1), slice(column, column + 1))
    assert made[0, 0] == pytest.approx(FACTOR * 2500 * np.sin(np.radians(angle)), rel=1e-6)


def test_a_grid_beside_it_gives_more_points(tmp_path: Path) -> None:
    folder = product(tmp_path)
    grid = [(1 + 8177 * i, 1 + 3831 * j, 30 + 0.1 * i + 0.5 * j) for i in range(5) for j in range(5)]
    georef(folder, grid)
    (group,) = read_terrasarx(folder / f"{NAME}.xml").groups
    assert [(point.row, point.column) for point in group.points] == [(i - 0.5, j - 0.5) for i, j, _ in grid]
    assert (group.points[6].longitude, group.points[6].height) == (9, 70)
    counts = np.array([[50]])
    made = group.calibrations[0](counts, slice(8177, 8178), slice(7662, 7663))
    assert made[0, 0] == pytest.approx(FACTOR * 2500 * np.sin(np.radians(31.1)), rel=1e-5)


def test_a_grid_that_does_not_say_its_pixels_is_left(tmp_path: Path) -> None:
    folder = product(tmp_path)
    georef(folder, [(1, 1, 30.0)] * 4)
    path = folder / "ANNOTATION" / "GEOREF.xml"
    path.write_text(re.sub("<row>.*?</col>", "", path.read_text()))
    (group,) = read_terrasarx(folder / f"{NAME}.xml").groups
    assert len(group.points) == 5, "corners and middle of the scene"


@pytest.mark.parametrize(("variant", "told", "quantity"), [("EEC", True, "sigma0"), ("GEC", False, "beta0")])
def test_images_on_the_ground(tmp_path: Path, variant: str, quantity: str, *, told: bool) -> None:
    folder = product(tmp_path)
    change(folder, "<productVariant>SSC", f"<productVariant>{variant}")
    change(folder, "COMPLEX</imageDataType>", "DETECTED</imageDataType>")
    change(folder, "COSAR</imageDataFormat>", "GEOTIFF</imageDataFormat>")
    change(folder, "IMAGE_HH_SRA_strip_011.cos", "IMAGE_HH_SRA_strip_011.tif")
    for name in ("refRow", "refColumn"):
        change(folder, f"<{name}>", f"<{name}>0<!--", f"</{name}>", f"--></{name}>")
    if told:
        corners = {"upperLeft": (-112.2, 36.4), "upperRight": (-111.6, 36.4)}
        corners |= {"lowerLeft": (-112.2, 35.6), "lowerRight": (-111.6, 35.6)}
        frame = "".join(
            f"<{name}Longitude>{x}</{name}Longitude><{name}Latitude>{y}</{name}Latitude>"
            for name, (x, y) in corners.items()
        )
        frame = f"<geoParameter><sceneCoordsGeographic>{frame}</sceneCoordsGeographic></geoParameter>"
        change(
            folder, "<productSpecific>", f"<productSpecific><geocodedImageInfo>{frame}</geocodedImageInfo>"
        )
    (group,) = read_terrasarx(folder / f"{NAME}.xml").groups
    assert (group.geometry, group.points, group.quantity) == ("ground", (), quantity)
    assert (group.is_complex, group.files[0].driver) == (False, "GTiff")
    row, column = (int(share * size) for share, size in ((0.4676, HEIGHT), (0.5048, WIDTH)))
    made = group.calibrations[0](np.array([[50]]), slice(row, row + 1), slice(column, column + 1))
    sine = np.sin(np.radians(39.1546891079)) if told else 1
    assert made[0, 0] == pytest.approx(FACTOR * 2500 * sine, rel=1e-3), "at the scene's middle"


def test_each_layer_has_its_own_factor(tmp_path: Path) -> None:
    folder = product(tmp_path)
    text = (folder / f"{NAME}.xml").read_text()
    for tag in ("imageData", "calibrationConstant"):
        block = re.search(rf"<{tag} .*?</{tag}>", text, re.DOTALL)
        assert block is not None
        second = block[0].replace("<polLayer>HH", "<polLayer>VV").replace("IMAGE_HH", "IMAGE_VV")
        second = second.replace("1.04344690525452603E-05", "2E-5")
        text = text.replace(block[0], second + block[0])
    (folder / f"{NAME}.xml").write_text(text)
    (group,) = read_terrasarx(folder / f"{NAME}.xml").groups
    assert [file.path.name[:8] for file in group.files] == ["IMAGE_HH", "IMAGE_VV"]
    hh, vv = (each(np.array([[9]]), slice(0, 1), slice(0, 1))[0, 0] for each in group.calibrations)
    assert vv / hh == pytest.approx(2e-5 / FACTOR)


def test_without_calibration_it_is_amplitude(tmp_path: Path) -> None:
    folder = product(tmp_path)
    change(folder, "CALIBRATED</radiometricCorrection>", "NOTCALIBRATED</radiometricCorrection>")
    (group,) = read_terrasarx(folder / f"{NAME}.xml").groups
    assert group.quantity == "amplitude"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("<numberOfRows>32710", "<numberOfRows>many", "how large"),
        ("<path>IMAGEDATA", "<path>../IMAGEDATA", "outside the delivery"),
        ("level1Product", "level2Product", "no annotation"),
        ("<polLayer>HH", "<polLayer>XX", "known polarization"),
        ("</imageData>", "</imageData><imageData><polLayer>HH</polLayer></imageData>", "for each beam"),
    ],
)
def test_what_can_not_be_understood_is_told(tmp_path: Path, before: str, after: str, words: str) -> None:
    folder = product(tmp_path)
    change(folder, before, after)
    if "beam" in words:
        change(
            folder,
            after[len("</imageData>") :],
            "<imageData><polLayer>HH</polLayer><file><location><filename>a</filename></location></file></imageData>",
        )
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_terrasarx(folder / f"{NAME}.xml")


def test_it_is_found_where_it_lies(tmp_path: Path) -> None:
    folder = product(tmp_path)
    image = folder / COS
    image.parent.mkdir()
    image.write_bytes(b"x")
    assert find_terrasarx(image) == find_terrasarx(tmp_path) == folder / f"{NAME}.xml"
    check_complete(read_terrasarx(folder / f"{NAME}.xml"))
    assert find_terrasarx(tmp_path / "missing") is None
    (tmp_path / f"{NAME}.xml").write_text("x")
    (tmp_path / f"{NAME}_2.xml").write_text("x")
    with pytest.raises(DeliveryUnreadableError, match="2 products"):
        find_terrasarx(tmp_path)
    (tmp_path / "TDM1_SAR__COS_BIST_SM_S_SRA_20110829T013013_20110829T013021.xml").write_text("x")
    with pytest.raises(DeliveryUnreadableError, match="two satellites saw together"):
        find_terrasarx(tmp_path)


def product(tmp_path: Path) -> Path:
    folder = tmp_path / "delivery"
    folder.mkdir()
    shutil.copyfile(REAL / f"{NAME}.xml", folder / f"{NAME}.xml")
    return folder


def georef(folder: Path, grid: list[tuple[int, int, float]]) -> None:
    """Write a grid of places with rows, columns and angles."""
    points = "".join(
        f"<gridPoint><lat>50</lat><lon>9</lon><height>70</height><inc>{angle}</inc>"
        f"<row>{row}</row><col>{column}</col></gridPoint>"
        for row, column, angle in grid
    )
    (folder / "ANNOTATION").mkdir()
    (folder / "ANNOTATION" / "GEOREF.xml").write_text(
        f"<geoReference><geolocationGrid>{points}</geolocationGrid></geoReference>"
    )


def change(folder: Path, *pairs: str) -> None:
    path = folder / f"{NAME}.xml"
    text = path.read_text()
    for before, after in zip(pairs[::2], pairs[1::2], strict=True):
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)
