"""Caches of tiles: what is given back is what was put, whatever happens to it meanwhile."""

import fcntl
import multiprocessing
import os
import random
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mosaics.models import EncodedTile
from server.cache.disk import DiskTileCache
from server.cache.layered import LayeredTileCache
from server.cache.memory import MemoryTileCache
from server.cache.null import NullTileCache
from tests.conftest import wait_until

MEGABYTE = 1_000_000
CONTRIBUTORS = (("spot", "s-1", "s6", None), ("ortho", "é-2", "phr", "region-only"))


def tile(size=1000, mark=0, **more):
    return EncodedTile(data=bytes([mark]) * size, media_type="image/png", **more)


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "home" / "cache"


@pytest.fixture
def disk(folder, executor):
    return DiskTileCache(folder, MEGABYTE, executor)


@pytest.fixture(params=["memory", "disk", "layered", "null"])
def cache(request, disk):
    return {
        "memory": lambda: MemoryTileCache(MEGABYTE),
        "disk": lambda: disk,
        "layered": lambda: LayeredTileCache(MemoryTileCache(MEGABYTE), disk),
        "null": NullTileCache,
    }[request.param]()


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")


def entry(folder):
    (found,) = files(folder)
    return found


# what every cache holds to


def test_a_key_never_put_is_a_miss(cache):
    assert cache.get("a") is None


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable()),
    data=st.binary(max_size=3000),
    media_type=st.sampled_from(["image/png", "image/webp"]),
    contributors=st.lists(st.tuples(st.text(), st.text(), st.text(), st.none() | st.text()), max_size=3).map(
        tuple
    ),
)
def test_what_is_put_is_given_back_whole_or_not_at_all(cache, key, data, media_type, contributors):
    kept = EncodedTile(data=data, media_type=media_type, contributors=contributors)
    cache.put(key, kept)
    found = cache.get(key)
    assert found == (None if isinstance(cache, NullTileCache) else kept)


def test_the_last_put_holds(cache):
    cache.put("a", tile(mark=1))
    cache.put("a", tile(mark=2))
    assert cache.get("a") in {None, tile(mark=2)}
    assert cache.get("A") is None


def test_threads_never_mix_tiles(cache):
    def work(seed):
        chosen = random.Random(seed)
        for _ in range(300):
            mark = chosen.randrange(40)
            found = cache.get(str(mark))
            assert found is None or set(found.data) == {mark}
            cache.put(str(mark), tile(chosen.randrange(1, 3000), mark))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_what_is_larger_than_the_cache_is_not_kept(cache):
    cache.put("a", tile(2 * MEGABYTE))
    assert cache.get("a") is None


# the disk alone


def test_tiles_outlive_a_restart(folder, executor):
    kept = tile(contributors=CONTRIBUTORS)
    DiskTileCache(folder, MEGABYTE, executor).put("a", kept)
    assert DiskTileCache(folder, MEGABYTE, executor).get("a") == kept


def test_names_tell_nothing_and_nobody_else_may_read(folder, disk):
    disk.put("secret-scene", tile())
    path = entry(folder)
    assert "secret" not in str(path.relative_to(folder))
    assert len(path.relative_to(folder).parts) == 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("where", [0, 8, 30, 60, -1])
def test_a_flipped_bit_is_a_miss_and_is_thrown_away(folder, disk, where):
    disk.put("a", tile())
    path = entry(folder)
    whole = bytearray(path.read_bytes())
    whole[where] ^= 1
    path.write_bytes(whole)
    assert disk.get("a") is None
    assert not path.exists()
    disk.put("a", tile())
    assert disk.get("a") == tile()


@pytest.mark.parametrize("length", [0, 3, 6, 21, 22, 25, 26, 60, 500])
def test_a_cut_file_is_a_miss(folder, disk, length):
    disk.put("a", tile())
    os.truncate(entry(folder), length)
    assert disk.get("a") is None


def test_an_entry_of_another_key_is_a_miss(folder, disk):
    disk.put("a", tile(mark=1))
    first = entry(folder)
    disk.put("b", tile(mark=2))
    (second,) = set(files(folder)) - {first}
    second.write_bytes(first.read_bytes())
    assert disk.get("a") == tile(mark=1)
    assert disk.get("b") is None


@pytest.mark.parametrize("what", ["folder", "link", "pipe"])
def test_something_else_in_its_place_is_a_miss(folder, disk, tmp_path, what):
    disk.put("a", tile())
    path = entry(folder)
    moved = path.rename(tmp_path / "moved")
    if what == "folder":
        (path / "below").mkdir(parents=True)
    elif what == "link":
        path.symlink_to(moved)
    else:
        os.mkfifo(path)
    assert disk.get("a") is None
    disk.put("a", tile())
    disk.sweep()


def test_a_disk_that_is_full_or_broken_is_a_miss_and_is_logged_once(tmp_path, executor):
    (tmp_path / "file").write_bytes(b"")
    clock = [1000.0]
    cache = DiskTileCache(tmp_path / "file" / "cache", MEGABYTE, executor, lambda: clock[0])
    with capture_logs() as logs:
        for _ in range(50):
            cache.put("a", tile())
            assert cache.get("a") is None
            cache.sweep()
    assert [line["event"] for line in logs] == ["disk_cache_failed"]
    clock[0] += 61
    with capture_logs() as logs:
        cache.put("a", tile())
    assert len(logs) == 1


def test_a_disk_that_fills_while_writing_leaves_nothing_behind(folder, disk):
    disk.put("a", tile())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with capture_logs() as logs:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))  # the kernel cuts the file short
        try:
            disk.put("b", tile(5000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "were written" in logs[0]["error"]
    assert len(files(folder)) == 1
    assert disk.get("a") == tile()
    assert disk.get("b") is None


def test_a_folder_that_is_deleted_under_way_comes_back(folder, disk):
    disk.put("a", tile())
    folder.rename(folder.with_name("gone"))
    assert disk.get("a") is None
    disk.put("a", tile())
    assert disk.get("a") == tile()


def settle(executor):
    """Wait for a sweep that a put began: while one sweeps, another does not."""
    executor.submit(lambda: None).result()


def size_of(folder):
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in files(folder))


def test_it_stays_within_its_bound(folder, executor):
    cache = DiskTileCache(folder, MEGABYTE, executor)
    for number in range(800):
        cache.put(str(number), tile(5000))

    def settled() -> bool:  # it is passed for a moment, until the next sweep
        cache.put("one more", tile(5000))
        settle(executor)
        return size_of(folder) <= MEGABYTE

    wait_until(settled, seconds=20)
    assert size_of(folder) > MEGABYTE // 4
    assert cache.get("799") is not None


def test_the_least_recently_used_go_first(folder, executor):
    clock = [1_000_000.0]
    cache = DiskTileCache(folder, 400_000, executor, lambda: clock[0])
    for number in range(90):
        cache.put(str(number), tile(4000))
        path = max(files(folder), key=lambda each: each.stat().st_ctime_ns)
        os.utime(path, (number, number))
    settle(executor)
    assert cache.get("3") is not None  # used now
    for number in range(90, 110):
        cache.put(str(number), tile(4000))
    settle(executor)
    cache.sweep()
    kept = {number for number in range(110) if cache.get(str(number)) is not None}
    assert size_of(folder) <= 400_000
    assert 3 in kept
    assert not kept & {0, 1, 2, 4, 5, 6}
    assert {100, 109} <= kept


def test_while_one_worker_throws_away_another_does_not(folder, disk, executor):
    for number in range(10):
        disk.put(str(number), tile())
    settle(executor)
    small = DiskTileCache(folder, 8192, disk._executor)
    disk.sweep()
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        small.sweep()
        assert len(files(folder)) == 10
    small.sweep()
    assert len(files(folder)) == 1


def test_what_a_dead_worker_left_half_written_goes(folder, disk, executor):
    disk.put("a", tile())
    settle(executor)
    old, new = folder / "new" / "1-1-1", folder / "new" / "1-1-2"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    disk.sweep()
    assert not old.exists()
    assert new.exists()


def _worker(folder, seed, rounds):
    chosen = random.Random(seed)
    with ThreadPoolExecutor(1) as pool:
        cache = DiskTileCache(folder, MEGABYTE // 2, pool)
        for _ in range(rounds):
            mark = chosen.randrange(250)
            found = cache.get(str(mark))
            assert found is None or set(found.data) == {mark}
            cache.put(str(mark), tile(chosen.randrange(1, 9000), mark))


def test_workers_share_it_and_one_that_is_killed_harms_nothing(folder, executor):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_worker, args=(folder, seed, 400)) for seed in (1, 2)]
    killed = context.Process(target=_worker, args=(folder, 3, 1_000_000))
    for each in (*workers, killed):
        each.start()
    for each in workers:
        each.join(60)
    killed.kill()
    killed.join(10)
    assert [each.exitcode for each in workers] == [0, 0]
    cache = DiskTileCache(folder, MEGABYTE // 2, executor)
    with capture_logs() as logs:
        found = [mark for mark in range(250) if cache.get(str(mark)) is not None]
    assert found
    assert not logs, "a kill left a damaged entry"
    cache.sweep()
    assert size_of(folder) <= MEGABYTE // 2
