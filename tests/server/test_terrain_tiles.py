"""Heights as 3D clients and maps ask for them: exact numbers, as PNG only; lines and shades without seams."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from mosaics.geodesy import lonlat_transformer
from mosaics.grids import load_grids
from mosaics.terrain import ENCODINGS
from tests.conftest import Reply, write_raster
from tests.server.conftest import Asgi, run_all

X0, Y0, SIZE, PIXEL = 572_000.0, 6_280_000.0, 512, 2.0
Z, X, Y = 16, 33026, 23930
"""Wholly on the plane."""
OVERLAP = 20
"""Columns that both scenes show."""
XYZ = f"/tiles/heights/WebMercatorQuad/{Z}/{X}/{Y}"
KVP = (
    "/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=heights&STYLE={}&FORMAT=image/{}"
    f"&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX={Z}&TILEROW={Y}&TILECOL={X}"
)


def height_at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Give the heights of a plane, metres, at places of Lambert-93."""
    return 812.3 + 0.31 * (x - X0) + 0.17 * (y - Y0)


@pytest.fixture(scope="module")
def asgi(tmp_path_factory: pytest.TempPathFactory, started: Callable[..., Asgi]) -> Asgi:
    """Give an application over a plane that two scenes show, side by side."""
    folder = tmp_path_factory.mktemp("heights")
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    xs, ys = X0 + (columns + 0.5) * PIXEL, Y0 - (rows + 0.5) * PIXEL
    heights = height_at(xs, ys).astype("float32")
    half = SIZE // 2
    for name, part in (("west", np.s_[:, : half + OVERLAP]), ("east", np.s_[:, half:])):
        piece = heights[part][None]
        left = X0 if name == "west" else X0 + half * PIXEL
        write_raster(folder / f"{name}.tif", piece, origin=(left, Y0), resolution=PIXEL, nodata=-32768)
    home = folder / "home"
    line = ["bank", str(folder / "west.tif"), str(folder / "east.tif"), "--sensor", "dsm"]
    (done,) = run_all(home, [*line, "--collection", "heights", "--public"])
    assert done.status == 0, done.stderr
    return started(home)


def pixels(reply: Reply) -> np.ndarray:
    assert reply.status == 200, reply.body
    return np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA"))


def true_heights(z: int, x: int, y: int, scale: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Give the plane's heights at a tile's pixel centres, and which of them lie well within a scene.

    The outermost pixels of a scene know their neighbours on one side only.
    """
    frame = load_grids().get("WebMercatorQuad").frame(z, x, y, scale)
    left, bottom, right, top = frame.bounds
    across = left + (np.arange(frame.width) + 0.5) * (right - left) / frame.width
    along = top - (np.arange(frame.height) + 0.5) * (top - bottom) / frame.height
    lon, lat = lonlat_transformer(frame.crs).transform(*np.meshgrid(across, along))
    xs, ys = lonlat_transformer("EPSG:2154").transform(lon, lat, direction="INVERSE")
    margin = 3 * PIXEL
    inside = (xs > X0 + margin) & (xs < X0 + SIZE * PIXEL - margin)
    inside &= (ys < Y0 - margin) & (ys > Y0 - SIZE * PIXEL + margin)
    for edge in (SIZE // 2, SIZE // 2 + OVERLAP):
        inside &= np.abs(xs - X0 - edge * PIXEL) > margin
    return height_at(xs, ys), inside


@pytest.mark.parametrize(("style", "step"), [("terrain-rgb", 0.05), ("terrarium", 1 / 256)])
@pytest.mark.parametrize("at", ["", "@2x"])
def test_a_client_reads_the_heights_that_there_are(asgi: Asgi, style: str, step: float, at: str) -> None:
    found = pixels(asgi.get(f"{XYZ}{at}.png?style={style}"))
    heights, inside = true_heights(Z, X, Y, 2 if at else 1)
    assert inside.mean() > 0.9
    assert (found[..., 3] == 255).all()
    decoded = ENCODINGS[style].decode(found[..., :3])
    assert np.abs(decoded - heights)[inside].max() <= step + 0.003, "and what bilinear floats lose"


@pytest.mark.parametrize("style", ["terrain-rgb", "terrarium"])
def test_without_a_height_a_client_is_told_0_metres(asgi: Asgi, style: str) -> None:
    partly = pixels(asgi.get(f"/tiles/heights/WebMercatorQuad/14/{X >> 2}/{Y >> 2}.png?style={style}"))
    decoded = ENCODINGS[style].decode(partly[..., :3])
    assert (partly[..., 3] == 255).all()
    assert 0.1 < (np.abs(decoded) < 1e-6).mean() < 0.9
    assert decoded[np.abs(decoded) > 1e-6].min() > 100
    beside = asgi.get(f"/tiles/heights/WebMercatorQuad/14/{(X >> 2) + 5}/{Y >> 2}.png?style={style}")
    nothing = pixels(beside)
    assert (nothing[..., 3] == 255).all()
    assert np.abs(ENCODINGS[style].decode(nothing[..., :3])).max() < 1e-6
    plain = pixels(asgi.get(f"/tiles/heights/WebMercatorQuad/14/{(X >> 2) + 5}/{Y >> 2}.png"))
    assert not plain.any(), "in a picture it is nothing"


@pytest.mark.parametrize("style", ["terrain-rgb", "terrarium"])
def test_heights_are_given_as_png_only(asgi: Asgi, style: str) -> None:
    for extension in ("jpg", "webp", "avif"):
        for address in (XYZ, "/preview/heights"):
            reply = asgi.get(f"{address}.{extension}?style={style}")
            assert (reply.status, reply.json["code"]) == (400, "format_unfit")
        told = asgi.get(KVP.format(style, "jpeg" if extension == "jpg" else extension))
        assert told.status == 400
        assert b'exceptionCode="InvalidParameterValue" locator="format"' in told.body
    for accept in ("image/webp,*/*", "*/*"):
        for address in (XYZ, "/preview/heights"):
            reply = asgi.get(f"{address}?style={style}", {"accept": accept})
            assert (reply.status, reply.headers["content-type"]) == (200, "image/png")
    exact = pixels(asgi.get(f"{XYZ}?style={style}"))
    assert np.array_equal(exact, pixels(asgi.get(f"{XYZ}.png?style={style}")))
    assert np.array_equal(exact, pixels(asgi.get(KVP.format(style, "png"))))
    small = pixels(asgi.get(f"/preview/heights.png?style={style}&width=64&max_bytes=40000"))
    assert (small[..., 3] == 255).all()
    assert asgi.get(f"{XYZ}.jpg?style=relief").status == 200


def test_clients_are_told_which_formats_a_style_has(asgi: Asgi) -> None:
    styles = {style["id"]: style for style in asgi.get("/layers/heights").json["styles"]}
    assert styles["terrarium"]["formats"] == styles["terrain-rgb"]["formats"] == ["image/png"]
    assert "formats" not in styles["relief"]


@pytest.mark.parametrize("style", ["relief", "hillshade", "slope", "contours"])
def test_tiles_have_no_seam(asgi: Asgi, style: str) -> None:
    """A plane has one shade and one slope; its lines are straight, across tiles and in both scenes."""
    row = f"/tiles/heights/WebMercatorQuad/{Z}/{{}}/{Y}.png?style={style}"
    tiles = [pixels(asgi.get(row.format(X + dx))) for dx in (0, 1)]
    insides = [true_heights(Z, X + dx, Y) for dx in (0, 1)]
    shown = np.hstack(tiles).astype(int)
    heights, inside = (np.hstack(parts) for parts in zip(*insides, strict=True))
    assert 0.3 < inside.mean() < 1
    if style in {"hillshade", "slope"}:
        assert np.ptp(shown[inside], axis=0).max() <= 1
    elif style == "contours":
        line = np.abs(heights / 20 - np.rint(heights / 20)) * 20
        rise = np.hypot(0.31, 0.17) * 2.3885 * np.cos(np.radians(43.6))
        near = np.abs(line) / rise
        assert (shown[..., 3][inside & (near < 0.3)] > 150).all()
        assert (shown[..., 3][inside & (near > 2.5)] == 1).all()
    else:
        steps = np.abs(np.diff(shown[..., :3], axis=1)).max(axis=-1)
        assert steps[inside[:, 1:] & inside[:, :-1]].max() <= 12
