"""Formats as a client meets them, at each door."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Reply
from tests.server.conftest import Asgi

PLACE = (14, 8256, 5982)
"""Partly on the open scene, partly beside it."""
Z, X, Y = PLACE
XYZ = f"/tiles/open/WebMercatorQuad/{Z}/{X}/{Y}"
KVP = (
    "/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=open&STYLE=default&FORMAT=image/{}"
    f"&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX={Z}&TILEROW={Y}&TILECOL={X}"
)
REST = f"/wmts/1.0.0/open/default/default/WebMercatorQuad/{Z}/{Y}/{X}"


def pixels(reply: Reply) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA")).astype(int)


@pytest.mark.parametrize(
    ("asked", "lossless"),
    [
        (f"{XYZ}.avif", f"{XYZ}.png"),
        (f"{XYZ}@2x.avif", f"{XYZ}@2x.png"),
        (KVP.format("avif"), KVP.format("png")),
        (f"{REST}.avif", f"{REST}.png"),
        ("/preview/open.avif?width=200", "/preview/open.png?width=200"),
        ("/preview/open.avif?width=200&max_bytes=4000", "/preview/open.png?width=200"),
    ],
)
def test_avif_shows_what_png_shows(town_asgi: Asgi, asked: str, lossless: str) -> None:
    reply = town_asgi.get(asked)
    assert (reply.status, reply.headers["content-type"]) == (200, "image/avif")
    found, expected = pixels(reply), pixels(town_asgi.get(lossless))
    assert found.shape == expected.shape
    assert 0.02 < (expected[..., 3] > 0).mean() < 1
    assert np.array_equal(found[..., 3], expected[..., 3])
    shown = expected[..., 3] > 0
    assert np.abs(found - expected)[shown].mean() < 5
    assert np.array_equal(imagecodecs.avif_decode(reply.body)[..., 3], expected[..., 3])


def test_without_an_extension_nothing_becomes_avif(town_asgi: Asgi) -> None:
    everything = {"accept": "image/avif,image/webp,*/*"}
    assert town_asgi.get(XYZ, everything).headers["content-type"] == "image/webp"
    assert town_asgi.get(XYZ, {"accept": "image/avif,*/*"}).headers["content-type"] == "image/png"
