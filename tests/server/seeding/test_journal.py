"""The work file of an archive: what is whole goes on, whatever happened to the rest."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from server.seeding.journal import HEAD_BYTES, RECORD, Journal, WorkTakenError

ABOUT = {"layer": "a", "for": "everything"}
KEYS = [f"{number:040x}" for number in range(10)]
DATA = [os.urandom(500 + number) for number in range(10)]


def kept(path: Path, numbers: range) -> list[int]:
    with closing(Journal(path, ABOUT)) as journal:
        return [journal.keep(number, KEYS[number], DATA[number]) for number in numbers]


def known(path: Path) -> list[int]:
    with closing(Journal(path, ABOUT)) as journal:
        return [number for number in range(10) if journal.has(number, KEYS[number])]


@contextmanager
def longest_file(size_bytes: int) -> Iterator[None]:
    """Let the system write no file beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_kept_is_known_again_under_its_key_only(tmp_path: Path) -> None:
    assert kept(tmp_path / "o", range(3)) == [500, 501, 502]
    assert known(tmp_path / "o") == [0, 1, 2]
    with closing(Journal(tmp_path / "o", ABOUT)) as journal:
        assert not journal.has(0, KEYS[1])
        journal.keep(0, KEYS[1], DATA[5])
    with closing(Journal(tmp_path / "o", ABOUT)) as journal:
        assert journal.has(0, KEYS[1])
        assert not journal.has(0, KEYS[0])


def test_equal_tiles_are_kept_once_and_empty_ones_only_noted(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "o", ABOUT)) as journal:
        written = [journal.keep(n, KEYS[n], data) for n, data in enumerate((DATA[0], DATA[0], b"", DATA[1]))]
        assert written == [500, 0, 0, 501]
        records = journal.records(np.arange(4, dtype=np.uint64))
    assert records["id"].tolist() == [0, 1, 3]
    assert records["offset"].tolist() == [0, 0, 500]
    assert kept(tmp_path / "o", range(1)) == [0], "also in a later run"


@pytest.mark.parametrize("cut", [1, RECORD.itemsize - 1, RECORD.itemsize])
def test_a_record_half_written_is_made_again(tmp_path: Path, cut: int) -> None:
    kept(tmp_path / "o", range(4))
    index = tmp_path / "o.part.index"
    os.truncate(index, index.stat().st_size - cut)
    assert known(tmp_path / "o") == [0, 1, 2]
    assert (tmp_path / "o.part").stat().st_size == HEAD_BYTES + 500 + 501 + 502
    assert kept(tmp_path / "o", range(3, 5)) == [503, 504]
    assert known(tmp_path / "o") == [0, 1, 2, 3, 4]


def test_tiles_whose_bytes_are_not_there_are_made_again(tmp_path: Path) -> None:
    kept(tmp_path / "o", range(4))
    work = tmp_path / "o.part"
    os.truncate(work, work.stat().st_size - 1)
    assert known(tmp_path / "o") == [0, 1, 2]
    with work.open("r+b") as file:
        file.seek(HEAD_BYTES + 501)
        file.write(b"\0\0\0\0\0\0\0\0")
    assert known(tmp_path / "o") == [0]


def test_tiles_of_others_are_not_mixed_in(tmp_path: Path) -> None:
    kept(tmp_path / "o", range(1))
    with pytest.raises(WorkTakenError, match="for: everything"):
        Journal(tmp_path / "o", {**ABOUT, "for": "institution:x"})
    with closing(Journal(tmp_path / "o", ABOUT)), pytest.raises(WorkTakenError, match="another run"):
        Journal(tmp_path / "o", ABOUT)
    assert known(tmp_path / "o") == [0]


@pytest.mark.parametrize("room", [HEAD_BYTES + 500 + 501 + 100, HEAD_BYTES + 500 + 501])
def test_a_full_disk_leaves_whole_tiles(tmp_path: Path, room: int) -> None:
    with closing(Journal(tmp_path / "o", ABOUT)) as journal:
        with longest_file(room):
            assert [journal.keep(n, KEYS[n], DATA[n]) for n in range(2)] == [500, 501]
            with pytest.raises(OSError, match="File too large"):
                journal.keep(2, KEYS[2], DATA[2])
        assert (tmp_path / "o.part").stat().st_size == HEAD_BYTES + 500 + 501
        assert journal.keep(3, KEYS[3], DATA[3]) == 503
    assert known(tmp_path / "o") == [0, 1, 3]
