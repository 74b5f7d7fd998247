"""Time-lapses: the dates that the caller may see, bounded, paid for, and kept by what is in them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mosaics.timelapse import corner_in_sheet, sheet_columns
from server import lapse
from server.routes import timelapse
from tests.conftest import Reply
from tests.server.routes.albums import Album, lonlat, ring

BOX = ",".join(map(str, (*lonlat(10, 240), *lonlat(240, 10))))
WEST = ",".join(map(str, (*lonlat(10, 240), *lonlat(120, 10))))


def frames(reply: Reply) -> list[np.ndarray]:
    assert reply.status == 200, reply.body
    image = Image.open(io.BytesIO(reply.body))
    found = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        found.append(np.asarray(image.convert("RGBA")).astype(int))
    return found


def test_each_date_is_a_frame_as_a_tile_shows_it(album: Album) -> None:
    query = f"bbox={BOX}&width=128&style=ndvi"
    reply = album.get(f"/timelapse/field?{query}", known=True)
    assert (reply.headers["content-type"], reply.headers["flux-dates"]) == ("image/webp", "4/4")
    found = frames(reply)
    assert len(found) == 4
    middles = [frame[20, 100] for frame in found]
    assert all(middle[3] == 255 for middle in middles)
    greens = [middle[1] - middle[0] for middle in middles]
    assert greens == sorted(greens), "the field gets greener"
    assert found[3][40, 20, 3] == 0, "in August only the east was seen"


def test_a_date_that_is_hidden_is_no_frame(album: Album) -> None:
    query = f"bbox={BOX}&width=128&style=ndvi"
    known, unknown = (album.get(f"/timelapse/field?{query}", known=each) for each in (True, False))
    assert (len(frames(known)), len(frames(unknown))) == (4, 3)
    assert known.headers["etag"] != unknown.headers["etag"]
    interval = f"{query}&time=../2024-05-31"
    same = [album.get(f"/timelapse/field?{interval}", known=each) for each in (True, False)]
    assert same[0].headers["etag"] == same[1].headers["etag"], "the same rights there, the same bytes"
    assert same[0].body == same[1].body


def test_a_date_without_pixels_in_the_area_is_no_frame(album: Album) -> None:
    assert len(frames(album.get(f"/timelapse/field?bbox={WEST}&width=128"))) == 2
    nothing = album.get("/timelapse/field?bbox=10,10,11,11&width=64")
    assert [frame[..., 3].max() for frame in frames(nothing)] == [0]


def test_a_sheet_holds_the_same_pictures(album: Album) -> None:
    reply = album.get(f"/timelapse/field?bbox={BOX}&width=128&style=ndvi&format=png")
    assert reply.headers["content-type"] == "image/png"
    sheet = frames(reply)[0]
    shown = frames(album.get(f"/timelapse/field?bbox={BOX}&width=128&style=ndvi"))
    height, width = shown[0].shape[:2]
    columns = sheet_columns(3, width, height)
    for place, frame in enumerate(shown):
        left, top = corner_in_sheet(place, columns, width, height)
        cell = sheet[top : top + height, left : left + width]
        upper = slice(0, height - 30)
        assert ((cell[upper, :, 3] > 0) == (frame[upper, :, 3] > 0)).mean() > 0.99
        assert np.abs(cell[upper, 70:, :3] - frame[upper, 70:, :3]).mean() < 6


def test_nothing_is_shown_outside_a_polygon(album: Album) -> None:
    triangle = ring(20, 20, 220, 220)
    triangle["coordinates"][0].pop(1)
    found = frames(album.post("/timelapse/field?width=128&format=png", triangle))[0]
    xs, ys = zip(*triangle["coordinates"][0], strict=True)
    box = ",".join(map(str, (min(xs), min(ys), max(xs), max(ys))))
    whole = frames(album.get(f"/timelapse/field?width=128&format=png&bbox={box}"))[0]
    assert found.shape == whole.shape
    half = (found[..., 3] > 0).sum() / (whole[..., 3] > 0).sum()
    assert 0.5 < half < 0.8, "strips and gaps are whole, pictures halved"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("width=63", 400),
        ("width=1025", 422),
        ("width=1e2", 400),
        ("bbox=1,2,3", 400),
        ("format=gif", 400),
        ("delay_ms=10", 400),
        ("delay_ms=10001", 422),
        ("fps=0", 400),
        ("fps=2&delay_ms=100", 400),
        ("time=yesterday", 400),
        ("time=nearest:2024-05-01", 400),
        ("style=none", 400),
        ("colormap=none", 400),
    ],
)
def test_a_malformed_question_is_told(album: Album, query: str, status: int) -> None:
    reply = album.get(f"/timelapse/field?{query}")
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")


def test_too_much_is_refused_or_thinned_out(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lapse, "MOST_FRAMES", 2)
    reply = album.get(f"/timelapse/field?bbox={BOX}&width=100", known=True)
    assert (len(frames(reply)), reply.headers["flux-dates"]) == (2, "2/4")
    monkeypatch.setattr(lapse, "MOST_PIXELS", 10_000)
    assert album.get(f"/timelapse/field?bbox={BOX}&width=100", known=True).status == 422
    monkeypatch.setattr(lapse, "MOST_PIXELS", 100_000)
    monkeypatch.setattr(lapse, "MOST_BYTES", 300)
    assert album.get(f"/timelapse/field?bbox={BOX}&width=110", known=True).status == 422
    monkeypatch.setattr(timelapse, "MOST_DATES", 1)
    assert album.get("/timelapse/field?width=64").status == 422


def test_the_delay_is_as_asked(album: Album) -> None:
    for query, delay in (("", 700), ("&fps=4", 250), ("&delay_ms=40", 40)):
        reply = album.get(f"/timelapse/field?bbox={BOX}&width=64{query}")
        image = Image.open(io.BytesIO(reply.body))
        image.seek(1)
        image.load()
        assert image.info["duration"] == delay


def test_all_frames_are_paid_for(album: Album) -> None:
    meter = album.asgi.application.services.meter

    def milliunits() -> int:
        return sum(four[2] for four in dict(meter._counters.values()).values())

    target = f"/timelapse/field?bbox={BOX}&width=96"
    height, width = frames(album.get(target, known=True))[0].shape[:2]
    before = milliunits()
    again = album.get(target, known=True)
    assert milliunits() - before == round(4 * height * width * 1000 / 65_536)
    held = album.asgi.get(target, {"x-api-key": album.key, "if-none-match": again.headers["etag"]})
    assert held.status == 304
