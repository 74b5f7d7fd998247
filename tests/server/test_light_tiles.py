"""Tiles that take a millisecond are made where they are asked for: the same bytes, and nobody waits more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mosaics.errors import NobodyWaitsError
from mosaics.stopping import at_once
from tests.conftest import Town
from tests.server.conftest import TILE, Asgi

JPG = TILE.format("granted").replace(".png", ".jpg")
BESIDE = JPG.replace("66052", "66053")


class Watched:
    """A reader that notes in which thread it read, and what it could not read there."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.done: list[str] = []

    def read(self, *arguments: Any) -> Any:
        where = "loop" if threading.current_thread() is threading.main_thread() else "thread"
        assert (where == "loop") == (arguments[-1] is at_once)
        try:
            found = self.reader.read(*arguments)
        except NobodyWaitsError:
            self.done.append(f"not {where}")
            raise
        self.done.append(where)
        return found


@pytest.fixture
def watched(own_home: Path, started: Callable[..., Asgi]) -> Callable[..., tuple[Asgi, Watched]]:
    def start(**tiles: int) -> tuple[Asgi, Watched]:
        asgi = started(own_home, tiles=tiles)
        services = asgi.application.services
        reader = Watched(services.reader)
        object.__setattr__(services, "reader", reader)
        return asgi, reader

    return start


def test_what_must_be_opened_or_decoded_is_done_in_a_thread(
    watched: Callable[..., tuple[Asgi, Watched]], town: Town
) -> None:
    asgi, reader = watched(cache_megabytes=0, disk_cache_megabytes=0)
    key = {"x-api-key": town.key}
    first = asgi.get(JPG, key)
    again = asgi.get(JPG, key)
    assert reader.done == ["not loop", "thread", "loop"]
    assert (first.status, first.body, first.headers["etag"]) == (200, again.body, again.headers["etag"])
    assert len(first.body) > 1000
    assert asgi.get(BESIDE, key).status == 200
    assert reader.done[3:] == ["loop"], "of the same block"


@pytest.mark.parametrize("end", [".png", ".webp", ".avif", "@2x.jpg"])
def test_what_takes_longer_is_never_tried_there(
    watched: Callable[..., tuple[Asgi, Watched]], town: Town, end: str
) -> None:
    asgi, reader = watched(cache_megabytes=0, disk_cache_megabytes=0)
    for _ in range(2):
        assert asgi.get(JPG.replace(".jpg", end), {"x-api-key": town.key}).status == 200
    assert reader.done == ["thread"] * 2


def test_where_pixels_become_much_fewer_a_thread_does_it(
    watched: Callable[..., tuple[Asgi, Watched]], town: Town
) -> None:
    asgi, reader = watched(cache_megabytes=0, disk_cache_megabytes=0)
    far = JPG.replace("17/66052/47859", "12/2064/1495")
    bodies = [asgi.get(far, {"x-api-key": town.key}).body for _ in range(3)]
    assert set(reader.done) == {"not loop", "thread"}
    assert len(set(bodies)) == 1


def test_a_tile_made_there_is_kept_like_any(watched: Callable[..., tuple[Asgi, Watched]], town: Town) -> None:
    asgi, reader = watched()
    services = asgi.application.services
    key = {"x-api-key": town.key}
    asgi.get(JPG, key)
    made = asgi.get(BESIDE, key)
    assert reader.done == ["not loop", "thread", "loop"]
    etag = made.headers["etag"].strip('"')
    services.cache_threads.shutdown(wait=True)
    assert services.cache.get(etag).data == made.body
    assert services.deep_cache.second.get(etag).data == made.body, "on the disk as well"
    asgi.get(BESIDE, {**key, "x-other": "1"})
    assert reader.done == ["not loop", "thread", "loop"]


def test_a_file_that_breaks_is_told_as_ever(watched: Callable[..., tuple[Asgi, Watched]], town: Town) -> None:
    asgi, _ = watched(cache_megabytes=0, disk_cache_megabytes=0)
    key = {"x-api-key": town.key}
    asgi.get(JPG, key)
    asgi.get(JPG, key)
    services = asgi.application.services
    path = Path(services.knowledge.index.newest_first("granted")[0].href)
    away = path.rename(path.with_suffix(".away"))
    try:
        assert asgi.get(JPG, key).json["code"] == "source_unreadable"
    finally:
        away.rename(path)
