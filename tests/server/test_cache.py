"""Tiles in memory: bounded in bytes, the least recently used first, by whatever threads."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from mosaics.models import EncodedTile
from server.cache.memory import MemoryTileCache


def tile(size: int, mark: int = 0) -> EncodedTile:
    return EncodedTile(data=bytes([mark]) * size, media_type="image/png")


def test_what_is_put_is_given_back() -> None:
    cache = MemoryTileCache(100_000)
    assert cache.get("a") is None
    kept = EncodedTile(data=b"x", media_type="image/webp", contributors=(("c", "s", "sensor", None),))
    cache.put("a", kept)
    assert cache.get("a") == kept
    cache.put("a", tile(3))
    assert cache.get("a") == tile(3)


def test_the_least_recently_used_go_first() -> None:
    cache = MemoryTileCache(5_000)
    for name in "abc":
        cache.put(name, tile(1_000))
    assert cache.get("a") is not None
    cache.put("d", tile(1_000))
    assert cache.get("b") is None
    assert [name for name in "acd" if cache.get(name)] == ["a", "c", "d"]


def test_small_tiles_weigh_more_than_their_bytes() -> None:
    cache = MemoryTileCache(100_000)
    for number in range(10_000):
        cache.put(str(number), tile(1))
    assert sum(cache.get(str(number)) is not None for number in range(10_000)) < 300


@pytest.mark.parametrize("size", [0, 100])
def test_a_tile_that_is_larger_than_the_cache_is_not_kept(size: int) -> None:
    cache = MemoryTileCache(size)
    cache.put("a", tile(50_000))
    assert cache.get("a") is None
    assert cache.size_bytes == 0


def test_threads_never_pass_the_bound_nor_mix_tiles() -> None:
    cache = MemoryTileCache(50_000)

    def work(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(3_000):
            mark = chosen.randrange(200)
            found = cache.get(str(mark))
            assert found is None or set(found.data) == {mark}
            cache.put(str(mark), tile(chosen.randrange(1, 5_000), mark))
            assert cache.size_bytes <= 50_000

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
