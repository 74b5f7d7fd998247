"""Work in threads: in order, only a little ahead, and errors come where the item is due."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from mosaics.ingest.ahead import in_threads


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("items", [0, 1, 2, 7])
def test_results_come_in_the_order_of_the_items(count: int, items: int) -> None:
    def slow_at_first(item: int) -> int:
        time.sleep(0.02 if item % 2 == 0 else 0)
        return -item

    assert list(in_threads(range(items), [slow_at_first] * count)) == [(n, -n) for n in range(items)]


def test_each_worker_has_a_thread_and_is_at_most_one_item_ahead() -> None:
    begun: dict[str, list[int]] = {"a": [], "b": []}
    threads: dict[str, set[int]] = {"a": set(), "b": set()}

    def worker(name: str, item: int) -> int:
        begun[name].append(item)
        threads[name].add(threading.get_ident())
        return item

    with closing(in_threads(range(100), [lambda n: worker("a", n), lambda n: worker("b", n)])) as made:
        for item, _ in made:
            assert all(n <= item + 2 for n in begun["a"] + begun["b"])
            if item == 9:
                break
    assert begun == {"a": [0, 2, 4, 6, 8, 10], "b": [1, 3, 5, 7, 9, 11]}
    assert len(threads["a"]) == len(threads["b"]) == 1
    assert threads["a"] != threads["b"]


def test_an_error_is_raised_at_its_item() -> None:
    def worker(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    made = in_threads(range(9), [worker, worker])
    assert [next(made)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(made)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
