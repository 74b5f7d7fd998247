from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Server, Town


def preview(server: Server, query: str, extension: str = ".webp") -> tuple[int, bytes, str]:
    reply = server.get(f"/preview/open{extension}?{query}")
    return reply.status, reply.body, reply.headers["content-type"]


def test_a_preview_shows_the_whole_layer(town: Town, town_server: Server) -> None:
    status, body, media_type = preview(town_server, "width=300", ".png")
    picture = np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))
    assert (status, media_type) == (200, "image/png")
    assert picture.shape[1] == 300
    assert (picture[..., 3] > 0).mean() > 0.9
    west, east = picture[60:-60, 30, 0].mean(), picture[60:-60, -30, 0].mean()
    assert (west < 60, east > 190) == (True, True), "red rises eastward in the scene"


@pytest.mark.parametrize("size", [2000, 5000, 20000])
def test_a_preview_fits_into_the_bytes_asked(town: Town, town_server: Server, size: int) -> None:
    status, body, _ = preview(town_server, f"width=512&max_bytes={size}")
    assert status == 200
    assert len(body) <= size
    assert Image.open(io.BytesIO(body)).size[0] == 512


@pytest.mark.parametrize(
    ("query", "extension", "status"),
    [
        ("width=99999", ".webp", 422),
        ("width=1024&max_bytes=500", ".png", 422),
        ("width=0", ".webp", 400),
        ("width=1e3", ".webp", 400),
        ("max_bytes=10", ".webp", 400),
        ("width=300&style=none", ".webp", 400),
    ],
)
def test_what_can_not_be_given_is_told(
    town: Town, town_server: Server, query: str, extension: str, status: int
) -> None:
    answered, body, media_type = preview(town_server, query, extension)
    assert (answered, media_type) == (status, "application/problem+json"), body
