"""The tiled copy that is made while a file is measured: the same file comes of it, or none is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mosaics.errors import IngestError
from mosaics.ingest.conversion import Conversion
from mosaics.ingest.convert import convert
from mosaics.ingest.examine import Examination, examine
from mosaics.ingest.profile import PROFILE
from tests.mosaics.ingest.conftest import little_room, silent

TILES = {"compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256}


def examined(path: Path, room: Path | None, href: str | None = None) -> Examination:
    if room is not None:
        room.mkdir()
    return examine(path, href, silent, threads=2, room=room)


def made_of(examination: Examination, folder: Path) -> bytes:
    folder.mkdir()
    conversion = Conversion(
        inspection=examination.inspection,
        profile=PROFILE,
        reduction="average",
        has_unfinite=examination.has_unfinite,
        threads=2,
        copy=examination.copy,
    )
    result = convert(conversion, folder, silent)
    assert list(folder.iterdir()) == [result.path]
    return result.path.read_bytes()


@pytest.mark.parametrize("tells", ["nothing", "nodata", "mask", "alpha"])
@pytest.mark.parametrize("size", [(1027, 1301), (300, 200)])
@pytest.mark.parametrize("data_type", ["uint8", "float32"])
def test_the_same_file_comes_of_it(
    make_image: Callable[..., Path], tmp_path: Path, data_type: str, size: tuple[int, int], tells: str
) -> None:
    values = np.random.default_rng(3).integers(1, 250, (4, *size)).astype(data_type)
    values[:, 60 : size[0] // 2, 33:181] = 0
    if data_type == "float32":
        values[:, :9, 4:] = np.nan
    path = make_image(
        values,
        nodata=0 if tells == "nodata" else None,
        mask=values[0] != 0 if tells == "mask" else None,
        colours=("red", "green", "blue", "alpha") if tells == "alpha" else (),
        tags={None: {"MISSION": "X"}},
        **TILES,
    )
    without, room = examined(path, None), tmp_path / "room"
    with_copy = examined(path, room)
    assert without.copy is None
    # what becomes of values that are not finite must be certain
    assert (with_copy.copy is None) == (data_type == "float32" and tells == "nothing")
    assert dataclasses.replace(with_copy, copy=None) == without
    assert made_of(with_copy, tmp_path / "with") == made_of(without, tmp_path / "without")
    assert list(room.iterdir()) == [], "it was taken along"


def test_none_is_made_of_what_is_served_where_it_lies_or_is_quickly_read_again(
    make_image: Callable[..., Path], tmp_path: Path, positions: Any
) -> None:
    values = positions(1, 300, 400).astype("uint16")
    plain = make_image(values, "plain.tif")
    served = make_image(values, "served.tif", **TILES)
    for number, (path, href) in enumerate(((plain, None), (served, str(served)))):
        room = tmp_path / str(number)
        found = examined(path, room, href)
        assert (found.conversion_reason is None) == (href is not None)
        assert found.copy is None
        assert list(room.iterdir()) == []


def test_a_full_disk_is_named(make_image: Callable[..., Path], tmp_path: Path) -> None:
    path = make_image(np.random.default_rng(1).integers(0, 9, (1, 1500, 1500)).astype("uint16"), **TILES)
    with little_room(), pytest.raises(IngestError, match=r"no space left .* about three times the size"):
        examined(path, tmp_path / "room")


def test_a_damaged_block_is_named(make_image: Callable[..., Path], tmp_path: Path) -> None:
    path = make_image(np.random.default_rng(1).integers(0, 9, (1, 900, 900)).astype("uint16"), **TILES)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    with pytest.raises(IngestError, match="damaged or truncated: pixels between rows"):
        examined(path, tmp_path / "room")
