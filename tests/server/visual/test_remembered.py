"""A remembered answer of a tile that was drawn ahead: its bytes are read from its file each time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import server.hits
from mosaics.stored import StoredBlocks
from server.hits import Found, Hits
from tests.conftest import Reply
from tests.server.conftest import Asgi
from tests.server.visual.world import EDGE, address


class Remembering:
    """A home that remembers, and notes which answers were remembered."""

    def __init__(self, home: Path, asgi: Asgi, key: str) -> None:
        self.home, self.asgi, self.key = home, asgi, key
        memo = asgi.application.asgi._hits
        assert memo is not None
        self.memo: Hits = memo
        self.stored: StoredBlocks = asgi.application.services.stored
        self.found = 0
        find = self.memo.find

        def noted(scope: Any) -> Any:
            what = find(scope)
            self.found += isinstance(what, Found)
            return what

        object.__setattr__(self.memo, "find", noted)

    def ask(self, path: str, **headers: str) -> Reply:
        return self.asgi.get(path, {"x-api-key": self.key, **headers})

    def warm(self, path: str) -> Reply:
        for _ in range(2):
            reply = self.ask(path)
        assert self.found > 0
        return reply

    def scene(self, collection: str) -> Any:
        return self.asgi.application.services.knowledge.index.newest_first(collection)[0]


@pytest.fixture
def remembering(
    made: tuple[Path, dict[str, str]], started: Callable[..., Asgi], tmp_path: Path
) -> Remembering:
    home = tmp_path / "home"
    shutil.copytree(made[0], home, copy_function=shutil.copy2)
    return Remembering(home, started(home, tiles={"disk_cache_megabytes": 0}), made[1]["whole"])


def test_its_bytes_are_held_by_nobody(remembering: Remembering) -> None:
    first = remembering.ask(address("granted"))
    again = remembering.warm(address("granted"))
    (hit,) = remembering.memo._hits.values()
    assert (hit.body, hit.size) == (b"", len(first.body))
    assert remembering.memo.size_bytes == server.hits._OVERHEAD
    same = {name: value for name, value in first.headers.items() if name != "x-request-id"}
    assert same == {name: value for name, value in again.headers.items() if name != "x-request-id"}
    assert first.body == again.body
    made = remembering.warm(address("granted", EDGE, ".png"))
    assert [hit.body for hit in remembering.memo._hits.values()] == [b"", made.body], "one that was made"


def test_a_validator_that_holds_brings_no_body(remembering: Remembering) -> None:
    etag = remembering.warm(address("granted")).headers["etag"]
    for _ in range(3):
        reply = remembering.ask(address("granted"), **{"if-none-match": etag})
        assert (reply.status, reply.body) == (304, b"")
    assert {hit.stored is None for hit in remembering.memo._hits.values()} == {True, False}


@pytest.fixture
def touched() -> Iterator[Callable[[Path], None]]:
    """Give what changes when a file was written to; at the end it is as it was."""
    before: dict[Path, os.stat_result] = {}

    def touch(path: Path) -> None:
        before[path] = status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    yield touch
    for path, status in before.items():
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("what", ["moved away", "cut short", "replaced", "source touched"])
def test_a_file_that_is_another_is_not_read(
    remembering: Remembering, touched: Callable[[Path], None], what: str
) -> None:
    before = remembering.warm(address("granted"))
    scene = remembering.scene("granted")
    companion = Path(scene.visual.href)
    if what == "moved away":
        companion.rename(companion.with_suffix(".away"))
        remembering.stored._open.clear()
    elif what == "cut short":
        os.truncate(companion, companion.stat().st_size // 2)
    elif what == "replaced":
        other = companion.with_suffix(".other")
        shutil.copy(remembering.scene("open").visual.href, other)
        other.rename(companion)
    else:
        touched(Path(scene.href))
        remembering.stored._open.clear()
    found = remembering.found
    after = remembering.ask(address("granted"))
    assert remembering.found == found, "it was asked anew"
    assert after.status == 200
    assert after.body == before.body, "made of the scene"
    assert after.headers["etag"] == before.headers["etag"]


def test_one_of_another_length_is_not_sent_under_the_old_one(remembering: Remembering) -> None:
    """Whatever lies there then, a body never contradicts the headers that are sent with it."""
    before = remembering.warm(address("granted"))
    (name,) = remembering.memo._hits
    hit = remembering.memo._hits[name]
    object.__setattr__(hit, "size", hit.size + 1)
    found = remembering.found
    assert remembering.ask(address("granted")).body == before.body
    assert remembering.found == found
