"""A tile that must be made: once for all, in turn, in time, while somebody waits, and kept on disk.

The reader stops where a test wants it to, so nothing here depends on how fast the machine is.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mosaics.errors import NobodyWaitsError
from mosaics.stopping import at_once
from mosaics.tiff import raster
from tests.conftest import Reply, Town, flux, position_pixels, write_raster
from tests.server.conftest import TILE, Asgi

GRANTED = TILE.format("granted")
OTHERS = [GRANTED.replace(".png", end) for end in (".webp", ".jpg", "@2x.png", "@2x.webp", "@2x.jpg")]
OPEN = TILE.format("open")
END = {"type": "http.request", "body": b"", "more_body": False}


class GatedReader:
    """Reads scenes as the reader it wraps, one gate later."""

    def __init__(self, reader):
        self.reader = reader
        self.count = 0
        self.begun = threading.Event()
        self.gate = threading.Event()

    def read(self, *arguments):
        if arguments[-1] is at_once:  # as any reader that would have to wait
            raise NobodyWaitsError
        self.count += 1
        self.begun.set()
        assert self.gate.wait(20)
        return self.reader.read(*arguments)


class Line:
    """One request, and the client at its other end."""

    def __init__(self, asgi: Asgi, path: str, key: str | None) -> None:
        self.sent: list[dict] = []
        self.messages: asyncio.Queue = asyncio.Queue()
        self.messages.put_nowait(END)
        headers = [(b"host", b"flux.example")] + ([(b"x-api-key", key.encode())] if key else [])
        bare, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": bare,
            "raw_path": bare.encode(),
            "query_string": query.encode(),
            "headers": headers,
            "client": ("127.0.0.1", 4711),
        }
        self.task = asyncio.create_task(asgi.application.asgi(scope, self.messages.get, self.send))

    async def send(self, message) -> None:
        self.sent.append(message)

    def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def reply(self) -> Reply:
        await self.task
        start, answered = self.sent
        found = {k.decode(): v.decode("latin-1") for k, v in start["headers"]}
        return Reply(start["status"], found, answered["body"])


@pytest.fixture
def gated(own_home: Path, started: Callable[..., Asgi]):
    """Give an application with one thread and a reader that waits."""

    def start(**http) -> tuple[Asgi, GatedReader]:
        asgi = started(own_home, http={"threads": 1, **http}, tiles={"disk_cache_megabytes": 0})
        reader = GatedReader(asgi.application.services.reader)
        object.__setattr__(asgi.application.services, "reader", reader)
        return asgi, reader

    return start


def run(asgi: Asgi, test) -> None:
    asgi.runner.run(asyncio.wait_for(test(), 30))


async def begun(reader: GatedReader) -> None:
    assert await asyncio.to_thread(reader.begun.wait, 20)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing tells us but looking
        await asyncio.sleep(0.005)


def test_many_ask_for_one_tile_and_it_is_read_once(gated, town: Town) -> None:
    asgi, reader = gated()

    async def test():
        lines = [Line(asgi, GRANTED, town.key) for _ in range(100)]
        await begun(reader)
        lines[0].leave()  # who was first
        assert (await lines[0].reply()).status == 499
        reader.gate.set()
        replies = [await line.reply() for line in lines[1:]]
        assert {reply.status for reply in replies} == {200}
        assert len({reply.body for reply in replies}) == 1
        assert reader.count == 1

    run(asgi, test)
    text = asgi.application.asgi._metrics.text({}).decode()
    assert re.search(r'^flux_http_clients_gone_total\{route="\w+"\} 1\.0$', text, re.MULTILINE)


def test_what_nobody_waits_for_any_more_is_not_read(gated, town: Town) -> None:
    asgi, reader = gated()
    admission = asgi.application.services.admission

    async def test():
        first = Line(asgi, GRANTED, town.key)
        await begun(reader)
        waiting = [Line(asgi, path, town.key) for path in OTHERS]
        await until(lambda: admission.waiting == len(OTHERS))
        for line in waiting[1:]:
            line.leave()
        await until(lambda: admission.waiting == 1)
        reader.gate.set()
        assert (await first.reply()).status == (await waiting[0].reply()).status == 200
        assert reader.count == 2

    run(asgi, test)


def test_a_mosaic_is_stopped_between_its_scenes(gated, town: Town, own_home: Path, tmp_path: Path) -> None:
    for number in (1, 2):  # two half scenes more, over the one that fills the tile
        pixels = position_pixels(700, 900, 3)
        pixels[:, :, number::2] = 0
        newer = write_raster(tmp_path / f"n_2024100{number}.tif", pixels, photometric="RGB", nodata=0)
        flux(own_home, "bank", str(newer), "--collection", "open")
    asgi, reader = gated()
    services = asgi.application.services

    async def test():
        line = Line(asgi, OPEN, None)
        await begun(reader)
        line.leave()
        assert (await line.reply()).status == 499
        reader.gate.set()
        await until(lambda: services.admission.running == 0)
        assert reader.count == 1
        assert (await Line(asgi, OPEN, None).reply()).status == 200
        assert reader.count > 2, "the tile has several scenes"

    run(asgi, test)


def test_a_scene_is_stopped_between_its_blocks(
    own_home: Path, started: Callable[..., Asgi], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cog = tmp_path / "root" / "small_20240101.tif"
    write_raster(cog, position_pixels(700, 900, 3), photometric="RGB", driver="COG", blocksize=128)
    flux(own_home, "bank", str(cog), "--collection", "small", "--public", FLUX_DATA_ROOTS=str(cog.parent))
    begun_to, gate, decoded = threading.Event(), threading.Event(), []

    def decode(*arguments):
        decoded.append(arguments)
        begun_to.set()
        assert gate.wait(20)
        return real(*arguments)

    real = raster.decode
    monkeypatch.setattr(raster, "decode", decode)
    asgi = started(own_home, http={"threads": 1}, data_roots=[cog.parent])
    small = TILE.format("small")

    async def test():
        line = Line(asgi, small, None)
        assert await asyncio.to_thread(begun_to.wait, 20)
        line.leave()
        assert (await line.reply()).status == 499
        gate.set()
        await until(lambda: asgi.application.services.admission.running == 0)
        assert len(decoded) == 1
        assert (await Line(asgi, small, None).reply()).status == 200
        assert len(decoded) == len({data for data, _, _ in decoded}) >= 4, "the first was kept"

    run(asgi, test)


@pytest.mark.parametrize("ows", [False, True])
def test_what_can_not_begin_in_time_is_refused_and_begun_work_is_kept(gated, town: Town, ows: bool) -> None:
    asgi, reader = gated(deadline_seconds=0.2)
    wmts = (
        "/wmts?service=WMTS&request=GetTile&version=1.0.0&layer=granted&style=default&format=image/jpeg"
        "&tilematrixset=WebMercatorQuad&tilematrix=17&tilerow=47859&tilecol=66052"
    )

    async def test():
        first = Line(asgi, GRANTED, town.key)
        await begun(reader)
        late = await Line(asgi, wmts if ows else OTHERS[0], town.key).reply()
        assert late.status == 503
        assert late.headers["retry-after"].isdigit()
        assert late.headers["cache-control"] == "no-store"
        assert b"ExceptionReport" in late.body if ows else late.json["code"] == "too_late"
        assert (await first.reply()).status == 503
        reader.gate.set()
        await until(lambda: asgi.application.services.admission.running == 0)
        assert (await Line(asgi, GRANTED, town.key).reply()).status == 200
        assert reader.count == 1, "what was begun went on, and what was not was dropped"

    run(asgi, test)


def test_a_full_queue_refuses_what_must_be_made_and_nothing_else(gated, town: Town) -> None:
    asgi, reader = gated(queue=1)

    async def test():
        reader.gate.set()
        assert (await Line(asgi, OPEN, None).reply()).status == 200
        reader.gate.clear()
        reader.begun.clear()
        first = Line(asgi, GRANTED, town.key)
        await begun(reader)
        second = Line(asgi, OTHERS[0], town.key)
        await until(lambda: asgi.application.services.admission.waiting == 1)
        refused = await Line(asgi, OTHERS[1], town.key).reply()
        assert refused.status == 503
        assert refused.json["code"] == "overloaded"
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert (await Line(asgi, OPEN, None).reply()).status == 200, "it is in the cache"
        reader.gate.set()
        assert (await first.reply()).status == (await second.reply()).status == 200

    run(asgi, test)


def test_a_failure_is_told_to_all_who_wait(gated, town: Town, own_home: Path) -> None:
    asgi, reader = gated()
    (own_home / "data" / "cogs" / "granted" / "granted_20240517.tif").unlink()

    async def test():
        lines = [Line(asgi, GRANTED, town.key) for _ in range(20)]
        await begun(reader)
        reader.gate.set()
        assert {(await line.reply()).status for line in lines} == {502}
        assert reader.count == 1

    run(asgi, test)


def test_tiles_outlive_the_server_on_disk_and_rights_still_hold(
    town: Town, own_home: Path, started: Callable[..., Asgi]
) -> None:
    headers = {"X-API-Key": town.key}
    made = started(own_home).get(GRANTED, headers)
    assert made.status == 200
    (own_home / "data" / "cogs" / "granted" / "granted_20240517.tif").unlink()
    again = started(own_home)
    kept = again.get(GRANTED, headers)
    assert (kept.status, kept.body, kept.headers["etag"]) == (200, made.body, made.headers["etag"])
    assert again.get(GRANTED, {"X-API-Key": town.other_key}).status == 404
    assert again.get(GRANTED).status == 401
    for path in (own_home / "cache" / "tiles").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    assert started(own_home).get(GRANTED, headers).status == 502
