"""Coefficients of real products in all their forms: they close on the ground and agree with one another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

from mosaics.gdal import unplaced_files_expected
from mosaics.products.delivery import DeliveryUnreadableError
from mosaics.products.rpc import read_rpc
from mosaics.products.xml import parse_xml
from tests.conftest import IMAGERY

SKELETONS = IMAGERY / "skeletons"
OPTICAL = IMAGERY / "optical" / "pleiades"
PHR = SKELETONS / "pleiades_real" / "RPC_PHR1B_P_201709281038045_SEN_PRG_FC_178608-001.XML"
VENTOUX = OPTICAL / "ventoux_RPC_PHR1B_P_201308051042194.XML"
SPOT6 = SKELETONS / "spot6" / "rpc_SPOT6.xml"
PNEO = SKELETONS / "pneo_pleiades_jp2" / "RPC_md_pneo.XML"
INTERNAL = SKELETONS / "pleiades_real" / "PHRDIMAP_P1BP--2018122638935449CP.XML"
PLE = SKELETONS / "pneo_pleiades_jp2" / "RPC_md_ple.XML"

pytestmark = pytest.mark.skipif(not SKELETONS.is_dir(), reason="no product skeletons here")


def terms(first: float, second: float, height: float) -> np.ndarray:
    """Give the twenty products of RPC00B (STDI-0002), the first variable being its L."""
    el, pe, ha = first, second, height
    return np.array(
        [
            *(1, el, pe, ha, el * pe, el * ha, pe * ha, el * el, pe * pe, ha * ha),
            *(pe * el * ha, el**3, el * pe * pe, el * ha * ha, el * el * pe, pe**3, pe * ha * ha),
            *(el * el * ha, pe * pe * ha, ha**3),
        ]
    )


def to_ground(path: Path, sample: float, line: float, height: float) -> tuple[float, float]:
    """Give (longitude, latitude) by the product's own model from the image, in its own counting of pixels."""
    root = parse_xml(path)
    model = root.find(".//Direct_Model")
    model = model if model is not None else root.find(".//ImagetoGround_Values")
    validity = root.find(".//RFM_Validity")

    def one(name: str) -> float:
        return float(validity.findtext(name))

    def polynomial(name: str) -> np.ndarray:
        return np.array([float(model.findtext(f"{name}_COEFF_{place}")) for place in range(1, 21)])

    x, y, h = (
        (value - one(f"{name}_OFF")) / one(f"{name}_SCALE")
        for name, value in (("SAMP", sample), ("LINE", line), ("HEIGHT", height))
    )
    # the direct model gives longitude as SAMP (or LONG) and latitude as LINE (or LAT); its L is the column
    names = ("SAMP", "LINE") if model.find("SAMP_NUM_COEFF_1") is not None else ("LON", "LAT")
    found = [
        (polynomial(f"{name}_NUM") @ terms(x, y, h)) / (polynomial(f"{name}_DEN") @ terms(x, y, h))
        for name in names
    ]
    return (
        found[0] * one("LONG_SCALE") + one("LONG_OFF"),
        found[1] * one("LAT_SCALE") + one("LAT_OFF"),
    )


@pytest.mark.parametrize(
    ("path", "first", "size"),
    [
        (PHR, 1, (22940, 40000)),
        (VENTOUX, 1, (41801, 39182)),
        (SPOT6, 1, (24777, 21953)),
        (PLE, 1, (6132, 10375)),
        (PNEO, 0, (12169, 11729)),
    ],
    ids=["phr", "ventoux", "spot6", "ple", "pneo"],
)
def test_the_way_to_the_ground_and_back_ends_where_it_began(
    path: Path, first: int, size: tuple[int, int]
) -> None:
    model = read_rpc(path)
    corners = [(row, column) for row in (0, size[0] - 1) for column in (0, size[1] - 1)]
    with RPCTransformer(model) as transformer:
        for height in (model.height_off, model.height_off + 0.5 * model.height_scale):
            for row, column in [*corners, (size[0] // 2, size[1] // 2)]:
                lon, lat = to_ground(path, column + first, row + first, height)
                found = transformer.rowcol([lon], [lat], [height], op=float)
                # GDAL's transformer counts from the edge of the first pixel
                assert found[0][0] == pytest.approx(row + 0.5, abs=0.05)
                assert found[1][0] == pytest.approx(column + 0.5, abs=0.05)


def test_cnes_internal_coefficients_reach_the_corners_of_their_image() -> None:
    """Each corner of the frame is met at some height of its terrain, of 464 to 597 m above the geoid."""
    model, root = read_rpc(INTERNAL), parse_xml(INTERNAL)
    corners = root.findall("Product_Frame/Dataset_Frame/Vertex")
    assert len(corners) == 4
    heights = np.arange(500.0, 620.0)
    with RPCTransformer(model) as transformer:
        for corner in corners:
            lon, lat, column, row = (float(corner.findtext(name)) for name in ("LON", "LAT", "COL", "ROW"))
            rows, columns = transformer.rowcol([lon] * 120, [lat] * 120, list(heights), op=float)
            away = np.hypot(np.array(rows) - (row - 0.5), np.array(columns) - (column - 0.5))
            assert away.min() < 0.5
            assert 530 < heights[away.argmin()] < 600


def test_cnes_internal_coefficients_are_those_of_its_other_direction() -> None:
    model, root = read_rpc(INTERNAL), parse_xml(INTERNAL)
    direct = root.find(".//Direct_Model")

    def ground(name: str, x: float, y: float, h: float) -> float:
        numbers = np.array(direct.findtext(name).split(), float)
        return (numbers[:20] @ terms(x, y, h)) / (numbers[20:] @ terms(x, y, h))

    with RPCTransformer(model) as transformer:
        for row, column in ((0, 0), (0, 39999), (38247, 0), (38247, 39999), (19000, 20000)):
            x, y = (column - model.samp_off) / model.samp_scale, (row - model.line_off) / model.line_scale
            lon = ground("F_LON", x, y, 0.5) * model.long_scale + model.long_off
            lat = ground("F_LAT", x, y, 0.5) * model.lat_scale + model.lat_off
            height = model.height_off + 0.5 * model.height_scale
            found = transformer.rowcol([lon], [lat], [height], op=float)
            assert found[0][0] == pytest.approx(row + 0.5, abs=0.05)
            assert found[1][0] == pytest.approx(column + 0.5, abs=0.05)


def test_cnes_internal_coefficients_that_are_cut_are_told(tmp_path: Path) -> None:
    text = INTERNAL.read_text()
    cut = tmp_path / "document.DIM"
    cut.write_text(re.sub(r"<F_ROW>\S+ ", "<F_ROW>", text))
    with pytest.raises(DeliveryUnreadableError, match="says no LINE_NUM_COEFF_1"):
        read_rpc(cut)


def test_a_keyword_list_says_the_same_as_the_product() -> None:
    found, other = read_rpc(OPTICAL / "ventoux_left_pan.geom"), read_rpc(VENTOUX)
    for name, value in other.to_dict().items():
        if not name.startswith("err_"):
            assert getattr(found, name) == pytest.approx(value, rel=1e-12, abs=1e-15), name
    assert other.line_off == pytest.approx(21109.5), "one less than the document says"
    assert (found.err_bias, found.err_rand) == (0, 0)


@pytest.mark.parametrize(
    "path",
    [
        OPTICAL / "ventoux_right_pan.geom",
        OPTICAL / "ventoux_lowres_xs.geom",
        SKELETONS / "pleiades_real" / "phr_pan.geom",
        SKELETONS / "pleiades_real" / "phr_xs.geom",
        SKELETONS / "spot6" / "spot6-1.geom",
    ],
    ids=lambda path: path.stem,
)
def test_other_keyword_lists_place_their_own_middle(path: Path) -> None:
    """Each says where the middle of its image lies, which is reached within a pixel."""
    said = dict(re.findall(r"^(ref_point_\w+):\s+(\S+)", path.read_text(), re.MULTILINE))
    with RPCTransformer(read_rpc(path)) as transformer:
        rows, columns = transformer.rowcol(
            [float(said["ref_point_lon"])],
            [float(said["ref_point_lat"])],
            [float(said["ref_point_hgt"])],
            op=float,
        )
    assert rows[0] == pytest.approx(float(said["ref_point_line"]) + 0.5, abs=1)
    assert columns[0] == pytest.approx(float(said["ref_point_samp"]) + 0.5, abs=1)


def test_a_tag_of_a_file_of_the_same_size_counts_pixels_alike() -> None:
    """The chip is of the other image of the pair, which has as many rows and columns."""
    found = read_rpc(PHR)
    with rasterio.open(OPTICAL / "phr1b_rpc_in_tags.tif") as source:
        tagged = source.rpcs
    for name in ("line_off", "line_scale", "samp_off", "samp_scale"):
        assert getattr(found, name) == getattr(tagged, name), name


@contextmanager
def beside_read() -> Iterator[None]:
    """Let GDAL read side files, which the environment of this project forbids."""
    with unplaced_files_expected(), rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE"):
        yield


def rpb(model: RPC) -> str:
    names = {"line": "line", "samp": "samp", "lat": "lat", "long": "long", "height": "height"}
    lines = ['satId = "QB02";', "BEGIN_GROUP = IMAGE", "\terrBias = 1.5;", "\terrRand = 0.25;"]
    for ours, theirs in names.items():
        lines += [
            f"\t{theirs}Offset = {getattr(model, f'{ours}_off')};",
            f"\t{theirs}Scale = {getattr(model, f'{ours}_scale')};",
        ]
    for ours, theirs in (("line_num", "lineNum"), ("line_den", "lineDen"), ("samp_num", "sampNum")):
        values = ",\n\t\t\t".join(map(str, getattr(model, f"{ours}_coeff")))
        lines.append(f"\t{theirs}Coef = (\n\t\t\t{values});")
    values = ", ".join(map(str, model.samp_den_coeff))
    return "\n".join([*lines, f"\tsampDenCoef = ({values});", "END_GROUP = IMAGE", "END;"])


def text(model: RPC, unit: str = "") -> str:
    lines = [
        f"{name}: {value}{unit}"
        for name, value in model.to_gdal().items()
        if not name.endswith("COEFF") and not name.startswith("ERR")
    ]
    for name in ("line_num", "line_den", "samp_num", "samp_den"):
        values = getattr(model, f"{name}_coeff")
        lines += [f"{name.upper()}_COEFF_{place}: {value:+.17E}" for place, value in enumerate(values, 1)]
    return "\n".join(lines)


def test_rpb_and_text_are_read_as_gdal_reads_them(tmp_path: Path) -> None:
    model = read_rpc(PHR)
    profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "uint8"}
    with unplaced_files_expected(), rasterio.open(tmp_path / "a.tif", "w", **profile) as target:
        target.write(np.ones((1, 4, 4), "uint8"))
    for name, content in (
        ("a.RPB", rpb(model)),
        ("a_RPC.TXT", text(model)),
        ("a_rpc.txt", text(model, " pixels").replace("\n", "\r\n")),
    ):
        side = tmp_path / name
        side.write_bytes(content.encode())
        found = read_rpc(side)
        with beside_read(), rasterio.open(tmp_path / "a.tif") as source:
            read_by_gdal = source.rpcs
        side.unlink()
        for key, value in model.to_dict().items():
            if not key.startswith("err_"):
                assert getattr(found, key) == pytest.approx(value, rel=1e-15), (name, key)
                if name != "a_rpc.txt":
                    assert getattr(read_by_gdal, key) == pytest.approx(getattr(found, key), rel=1e-15)
    assert read_rpc_of(tmp_path, rpb(model)).err_bias == 1.5


def read_rpc_of(folder: Path, content: str) -> RPC:
    (folder / "one.txt").write_text(content)
    return read_rpc(folder / "one.txt")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("<LAT_SCALE>0.05436212948903929", "<LAT_SCALE>0", "LAT_SCALE is 0"),
        ("<LINE_OFF>11470.5</LINE_OFF>", "", "says no LINE_OFF"),
        ("<Inverse_Model>", "<Other>", "no well-formed XML"),
        ("Inverse_Model>", "Other_Model>", "says no LINE_NUM_COEFF_1"),
        ("Global_RFM>", "Other>", "no rational polynomial"),
        ("<SAMP_OFF>20000.5", "<SAMP_OFF>nan", "says no SAMP_OFF"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, before: str, after: str, words: str) -> None:
    content = PHR.read_text()
    assert before in content
    (tmp_path / "RPC.XML").write_text(content.replace(before, after))
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_rpc(tmp_path / "RPC.XML")


def test_a_file_without_coefficients_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeliveryUnreadableError, match="says no LINE_OFF"):
        read_rpc_of(tmp_path, "nothing of that kind")
    with pytest.raises(DeliveryUnreadableError, match="can't be read"):
        read_rpc(tmp_path / "missing.txt")
