"""The finished file, read by the format's own library."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mosaics.models import Bounds, EncodedTile
from server.seeding.journal import HEAD_BYTES, Journal
from server.seeding.plan import Place

pytest.importorskip("pmtiles", reason="the extra `pmtiles` is not installed")

from pmtiles.reader import MemorySource, Reader, all_tiles
from pmtiles.tile import TileType

from server.seeding.archive import About, ArchiveStore

ABOUT = About(metadata={"attribution": "© Élan"}, bounds=Bounds(-1.5, 43.0, 1.25, 44.0))
SCENE = (("c", "s", "sensor", None),)


def tile(data: bytes, *, is_empty: bool = False) -> EncodedTile:
    return EncodedTile(data=data, media_type="image/webp", contributors=() if is_empty else SCENE)


def store(path: Path) -> tuple[ArchiveStore, Any]:
    journal = Journal(path, {})
    return ArchiveStore(journal, "image/webp"), closing(journal)


def read(path: Path) -> Reader:
    return Reader(MemorySource(path.read_bytes()))


def test_the_file_is_what_was_kept(tmp_path: Path) -> None:
    output = tmp_path / "o.pmtiles"
    places = [Place(2, 1, 1), Place(3, 2, 2), Place(3, 2, 3), Place(3, 3, 3), Place(3, 3, 2)]
    data = [os.urandom(300), os.urandom(400), b"sea" * 50, b"sea" * 50, b"nothing"]
    archive, journal = store(output)
    with journal:
        for number, (place, each) in enumerate(zip(places, data, strict=True)):
            assert not archive.has(place, f"{number:040x}")
            archive.keep(place, f"{number:040x}", tile(each, is_empty=number == 4))
            assert not output.exists()
        assert archive.finish(ABOUT) == output.stat().st_size
    found = read(output)
    header = found.header()
    assert [found.get(*place) for place in places] == [*data[:4], None]
    assert (header["min_zoom"], header["max_zoom"]) == (2, 3)
    assert header["tile_type"] is TileType.WEBP
    assert header["clustered"]
    counts = [header[f"{name}_count"] for name in ("addressed_tiles", "tile_entries", "tile_contents")]
    assert counts == [4, 3, 3], "the sea is one content, and one entry of two tiles beside each other"
    assert (header["min_lon_e7"], header["max_lat_e7"]) == (-15_000_000, 440_000_000)
    assert found.metadata() == {"attribution": "© Élan"}
    assert [path.name for path in tmp_path.iterdir()] == ["o.pmtiles"]


def test_many_tiles_are_found_through_leaf_directories(tmp_path: Path) -> None:
    output = tmp_path / "o.pmtiles"
    places = [Place(9, x, y) for x in range(90) for y in range(90)]
    archive, journal = store(output)
    with journal:
        for number, place in enumerate(places):
            archive.keep(place, f"{number:040x}", tile(b"%d" % number * (1 + number * 7919 % 31)))
        archive.finish(ABOUT)
    found = read(output)
    header = found.header()
    assert header["leaf_directory_length"] > 0
    assert 127 + header["root_length"] <= HEAD_BYTES
    assert not header["clustered"]
    tiles = dict(all_tiles(found.get_bytes))
    assert tiles == {
        tuple(place): b"%d" % number * (1 + number * 7919 % 31) for number, place in enumerate(places)
    }


def test_what_is_no_longer_asked_for_is_nowhere_in_the_file(tmp_path: Path) -> None:
    output, closed, stays = tmp_path / "o.pmtiles", b"closed since" * 40, b"open still" * 40
    archive, journal = store(output)
    with journal:
        archive.keep(Place(5, 1, 1), "0" * 40, tile(closed))
        archive.keep(Place(5, 1, 2), "1" * 40, tile(stays))
    archive, journal = store(output)
    with journal:
        assert archive.has(Place(5, 1, 2), "1" * 40)
        archive.is_there(Place(5, 1, 2))
        archive.keep(Place(5, 2, 2), "2" * 40, tile(b"new" * 9))
        archive.finish(ABOUT)
    assert closed not in output.read_bytes()
    assert dict(all_tiles(read(output).get_bytes)) == {(5, 1, 2): stays, (5, 2, 2): b"new" * 9}
    assert [path.name for path in tmp_path.iterdir()] == ["o.pmtiles"]


def test_nothing_is_written_where_all_is_empty(tmp_path: Path) -> None:
    archive, journal = store(tmp_path / "o.pmtiles")
    with journal:
        archive.keep(Place(0, 0, 0), "0" * 40, tile(b"x", is_empty=True))
        assert archive.finish(ABOUT) == 0
    assert not list(tmp_path.iterdir())
