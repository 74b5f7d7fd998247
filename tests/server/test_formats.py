"""Formats and qualities as a client meets them, at each door."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from server.settings import SettingsError, load_settings
from tests.conftest import Reply, Town
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


@pytest.mark.parametrize(("name", "extension"), [("jpg", "jpg"), ("webp", "webp"), ("avif", "avif")])
def test_another_quality_is_another_tile(
    name: str, extension: str, town: Town, own_home: Path, started: Callable[..., Asgi]
) -> None:
    """One home, whose disk keeps tiles: neither its bytes nor the validators of clients are those of old."""
    paths = (f"{XYZ}.{extension}", f"/preview/open.{extension}?width=300")
    usual = started(own_home)
    before = [usual.get(path) for path in paths]
    poor = started(own_home, tiles={f"{name}_quality": 20})
    for path, old in zip(paths, before, strict=True):
        reply = poor.get(path, {"if-none-match": old.headers["etag"]})
        assert reply.status == 200
        assert reply.headers["etag"] != old.headers["etag"]
        assert len(reply.body) < len(old.body)
    again = started(own_home)
    for path, old in zip(paths, before, strict=True):
        assert again.get(path, {"if-none-match": old.headers["etag"]}).status == 304
        assert again.get(path).body == old.body


def test_what_has_no_quality_stays(town: Town, own_home: Path, started: Callable[..., Asgi]) -> None:
    paths = (f"{XYZ}.png", "/preview/open.webp?width=300&max_bytes=3000")
    usual = started(own_home)
    poor = started(
        own_home, tiles={"disk_cache_megabytes": 0, "jpg_quality": 20, "webp_quality": 20, "avif_quality": 20}
    )
    for path in paths:
        old, new = usual.get(path), poor.get(path)
        assert (new.body, new.headers["etag"]) == (old.body, old.headers["etag"])


@pytest.mark.parametrize("quality", [0, 101, "best"])
def test_a_quality_is_1_to_100(tmp_path: Path, quality: object) -> None:
    with pytest.raises(SettingsError, match="webp_quality"):
        load_settings(home=tmp_path, tiles={"webp_quality": quality})
