"""Blocks that processes share: whole or not there, bounded, and nobody waits for anybody."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

import mosaics.tiff.shelf
from mosaics.errors import NobodyWaitsError
from mosaics.stopping import at_once
from mosaics.tiff.block import Block
from mosaics.tiff.blocks import BlockCache
from mosaics.tiff.shelf import LOCK, Shelf

SIDE = 256


def block(value: int, dtype: str = "uint16", bands: int = 3, *, whole: bool = True) -> Block:
    samples = np.arange(SIDE * SIDE * bands).reshape(SIDE, SIDE, bands) % 200 + value
    return Block(samples=samples.astype(dtype), whole=whole)


def shelf(folder: Path, blocks: float = 100) -> Shelf:
    return Shelf(folder=folder, max_bytes=round(blocks * (block(0).samples.nbytes + 4096)))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name != LOCK]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64", "bool"])
@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_put_there_is_found(tmp_path: Path, dtype: str, bands: int, whole: bool) -> None:
    one, other = shelf(tmp_path), shelf(tmp_path)
    wanted = block(7, dtype, bands, whole=whole)
    put = one.put(("file", "i", 0, 1), wanted)
    for found in (put, one.get(("file", "i", 0, 1)), other.get(("file", "i", 0, 1))):
        assert found is not None
        assert (found.samples.dtype, found.whole) == (wanted.samples.dtype, whole)
        assert np.array_equal(found.samples, wanted.samples)
        assert not found.samples.flags.writeable
    assert other.get(("file", "i", 0, 2)) is None


def test_samples_that_lie_apart_are_put_as_they_read(tmp_path: Path) -> None:
    wide = block(3, bands=4)
    apart = Block(samples=wide.samples[::-1, :, 1:3], whole=False)
    assert np.array_equal(shelf(tmp_path).put("a", apart).samples, apart.samples)


def test_another_process_finds_it(tmp_path: Path) -> None:
    shelf(tmp_path).put(("file", 5), block(9))
    program = (
        "import sys; from pathlib import Path; from mosaics.tiff.shelf import Shelf\n"
        "found = Shelf(folder=Path(sys.argv[1]), max_bytes=1 << 30).get(('file', 5))\n"
        "print(int(found.samples.sum()), found.whole)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == [str(int(block(9).samples.sum())), "True"]


def test_small_blocks_are_not_worth_it(tmp_path: Path) -> None:
    small = Block(samples=np.zeros((64, 64, 1), "u1"), whole=True)
    assert shelf(tmp_path).put("a", small) is small
    assert files(tmp_path) == []


def test_it_is_bounded_and_who_has_one_keeps_it(tmp_path: Path) -> None:
    one, other = shelf(tmp_path, 20), shelf(tmp_path, 20)
    held = one.put("first", block(1))
    for number in range(100):
        (one if number % 2 else other).put(number, block(number))
        size = sum(path.stat().st_size for path in files(tmp_path))
        assert size <= one.max_bytes * (1 + 2 / 16 + 2 / 20)
    assert len(files(tmp_path)) >= 15
    assert one.get("first") is None
    assert np.array_equal(held.samples, block(1).samples), "it is mapped"


def test_what_was_used_goes_last(tmp_path: Path) -> None:
    one = shelf(tmp_path, 20)
    for number in range(20):
        one.put(number, block(number))
        os.utime(one._path(number), (1000 + number, 1000 + number))
    for number in range(5):
        assert one.get(number) is not None
    one.max_bytes //= 2
    one.sweep()
    assert len(files(tmp_path)) <= 10
    assert all(one.get(number) is not None for number in range(5))


def test_a_full_memory_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, wanted = shelf(tmp_path), block(4)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "writev", full)
    with capture_logs() as logs:
        assert one.put("a", wanted) is wanted
        assert one.put("b", wanted) is wanted, "and it is not tried again at once"
    assert [entry["event"] for entry in logs] == ["shelf_full"]
    assert files(tmp_path) == []
    monkeypatch.undo()
    one._paused_until = time.monotonic()
    one.put("a", wanted)
    assert len(files(tmp_path)) == 1


def test_a_write_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writev = os.writev

    def slowly(descriptor: int, parts: Any) -> int:
        return writev(descriptor, [parts[0][:1000]])

    monkeypatch.setattr(os, "writev", slowly)
    assert np.array_equal(shelf(tmp_path).put("a", block(6)).samples, block(6).samples)


@pytest.mark.parametrize(
    "content", [b"", b"x", b"{}".ljust(4096), b"\0" * 10_000, b'{"dtype":"|O"}'.ljust(9000)]
)
def test_a_file_that_is_none_is_not_found(tmp_path: Path, content: bytes) -> None:
    one = shelf(tmp_path)
    one._path("a").write_bytes(content)
    with capture_logs() as logs:
        assert one.get("a") is None
    assert [entry["event"] for entry in logs] == ["shelf_unreadable"]


def test_what_a_dead_writer_left_goes(tmp_path: Path) -> None:
    old, fresh, lock = tmp_path / ".7-1", tmp_path / ".8-1", tmp_path / LOCK
    for path in (old, fresh, lock):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    os.utime(lock, (1, 1))
    shelf(tmp_path).sweep()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".8-1", LOCK]


def test_two_caches_decode_once(tmp_path: Path) -> None:
    made: list[Any] = []

    def decode(keys: Any) -> list[Block]:
        made.extend(keys)
        return [block(key) for key in keys]

    one, other = (BlockCache(10**8, shelf(tmp_path)) for _ in range(2))
    one.get([1, 2], decode)
    found = other.get([2, 3, 1], decode)
    assert made == [1, 2, 3]
    assert [int(each.samples[0, 0, 0]) for each in found] == [2, 3, 1]
    again = other.get([2, 3, 1], lambda _: pytest.fail("they are held"))
    assert all(one.samples is before.samples for one, before in zip(again, found, strict=True))


def test_what_is_on_the_shelf_is_there_at_once(tmp_path: Path) -> None:
    one, other = (BlockCache(10**8, shelf(tmp_path)) for _ in range(2))
    one.get([1], lambda keys: [block(keys[0])])
    assert other.get([1], lambda _: pytest.fail("it is there"), at_once)[0].whole
    with pytest.raises(NobodyWaitsError):
        other.get([1, 2], lambda _: pytest.fail("nobody may wait"), at_once)


def test_no_shelf_lies_in_the_way_of_a_bound(tmp_path: Path) -> None:
    """Of what is mapped no more is held than of what was decoded here."""
    size = block(0).samples.nbytes
    cache = BlockCache(3 * size + 1000, shelf(tmp_path))
    for number in range(10):
        cache.get([number], lambda keys: [block(keys[0])])
        assert cache.size_bytes <= 3 * size + 1000
    for number in range(10):
        cache.get([number], lambda _: pytest.fail("it is on the shelf"))
        assert cache.size_bytes <= 3 * size + 1000


def test_the_least_is_what_it_says() -> None:
    assert block(0, "uint8", 1).samples.nbytes >= mosaics.tiff.shelf._LEAST
