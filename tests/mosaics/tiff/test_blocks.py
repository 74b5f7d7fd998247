"""The cache of decoded blocks: bounded, shared, and each block made once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mosaics.errors import NobodyWaitsError
from mosaics.tiff.block import Block
from mosaics.tiff.blocks import BlockCache


def block(value: int, size: int = 1000) -> Block:
    return Block(samples=np.full((size, 1, 1), value, "u1"), whole=True)


def test_it_keeps_no_more_than_its_bytes_and_drops_the_oldest() -> None:
    cache = BlockCache(10_000)
    for number in range(30):
        cache.get([number], lambda keys: [block(keys[0])])
        if number:
            cache.get([0], lambda _: pytest.fail("used a moment ago"))
        assert cache.size_bytes <= 10_000
    made = []
    cache.get([1], lambda keys: made.append(keys) or [block(1)])
    assert made == [[1]]


def test_what_is_larger_than_the_cache_is_given_and_not_kept() -> None:
    cache = BlockCache(500)
    assert cache.get(["a"], lambda _: [block(7)])[0].samples[0, 0, 0] == 7
    assert cache.size_bytes == 0


def test_many_threads_make_each_block_once() -> None:
    cache, made, lock = BlockCache(1_000_000), [], threading.Lock()
    gate = threading.Barrier(8)

    def make(keys: list[int]) -> list[Block]:
        with lock:
            made.extend(keys)
        return [block(key) for key in keys]

    def ask(turn: int) -> bool:
        gate.wait()
        order = list(range(20)) if turn % 2 else list(reversed(range(20)))
        return [int(found.samples[0, 0, 0]) for found in cache.get(order, make)] == order

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert all(answers)
    assert sorted(made) == list(range(20))


def test_a_failure_is_told_to_all_who_wait_and_is_not_remembered() -> None:
    cache = BlockCache(1_000_000)
    begun, go_on = threading.Event(), threading.Event()

    def fail(_: object) -> list[Block]:
        begun.set()
        go_on.wait(5)
        raise OSError("broken")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, ["a"], fail)
        begun.wait(5)
        second = pool.submit(cache.get, ["a"], lambda _: pytest.fail("another makes it"))
        go_on.set()
        for waiting in (first, second):
            with pytest.raises(OSError, match="broken"):
                waiting.result(5)
    assert cache.get(["a"], lambda _: [block(1)])[0].whole


def leaving(begun: threading.Event, leave: threading.Event) -> Iterator[Block]:
    """Make one block, then go when told."""
    yield block(1)
    begun.set()
    assert leave.wait(5)
    raise NobodyWaitsError


def test_who_leaves_takes_nobody_along() -> None:
    """Whoever waits for the blocks of one who leaves makes them, once for all, and gets what was made."""
    cache, made = BlockCache(1_000_000), []
    begun, leave = threading.Event(), threading.Event()
    waiting = threading.Barrier(4)

    def make(keys: list[str]) -> Iterator[Block]:
        made.extend(keys)
        return (block(ord(key)) for key in keys)

    def ask() -> list[int]:
        waiting.wait(5)
        return [int(found.samples[0, 0, 0]) for found in cache.get(["a", "b", "c"], make)]

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, ["a", "b", "c"], lambda _: leaving(begun, leave))
        assert begun.wait(5)
        others = [pool.submit(ask) for _ in range(3)]
        waiting.wait(5)
        leave.set()
        with pytest.raises(NobodyWaitsError):
            first.result(5)
        assert [other.result(5) for other in others] == [[1, 98, 99]] * 3
    assert sorted(made) == ["b", "c"]


def test_two_may_leave_and_the_third_goes_on() -> None:
    cache, gates = BlockCache(1_000_000), [threading.Event() for _ in range(4)]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, ["a", "b"], lambda _: leaving(*gates[:2]))
        assert gates[0].wait(5)
        second = pool.submit(cache.get, ["b", "c"], lambda _: leaving(*gates[2:]))
        assert gates[2].wait(5), "the second makes c, then waits for b"
        gates[3].set()
        with pytest.raises(NobodyWaitsError):
            second.result(5)
        third = pool.submit(cache.get, ["b"], lambda _: [block(7)])
        gates[1].set()
        assert third.result(5)[0].samples[0, 0, 0] == 7
        with pytest.raises(NobodyWaitsError):
            first.result(5)
