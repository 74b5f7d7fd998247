"""Blocks of companions: given as they lie in the file, and only while file and scene are what they were."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin
from scenes import scene

from mosaics.contribution import Contribution
from mosaics.models import EncodedTile, Scene, Visual
from mosaics.resolve import RENDERER_VERSION
from mosaics.stored import StoredBlocks, Unread
from mosaics.styles import load_styles
from mosaics.tiff.pictures import PictureCog, Placing
from mosaics.visual import StoredBlock
from tests.conftest import position_pixels

SIDE = 256
STYLE = load_styles().get("natural")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def encoded(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (number * 40 % 256, 100, 200)).save(buffer, "jpeg")
    return buffer.getvalue()


def written(path: Path) -> dict[tuple[int, int, int], bytes]:
    """Write two levels, 1 and 2 x 2 blocks; of the finest the last is missing, the second valid in part."""
    blocks = {(1, 0, 0): encoded(0)} | {(0, n // 2, n % 2): encoded(1 + n) for n in range(3)}
    part = np.ones((SIDE, SIDE), dtype=bool)
    part[:9] = False
    with path.open("wb") as file:
        cog = PictureCog(
            file=file,
            blocks=(1, 1),
            levels=2,
            image_format="jpg",
            placing=Placing(epsg=3857, origin=(0.0, 0.0), cell=1.0),
        )
        for place, data in blocks.items():
            cog.put(*place, data, part if place == (0, 0, 1) else None)
        cog.finish()
    return blocks


@dataclasses.dataclass
class Case:
    folder: Path
    blocks: dict[tuple[int, int, int], bytes]
    scene: Scene
    clock: Clock
    stored: StoredBlocks

    @property
    def path(self) -> Path:
        return self.folder / "visual.tif"

    def block(self, place: tuple[int, int, int] = (0, 0, 0), **more: Any) -> StoredBlock:
        assert self.scene.visual is not None
        level, row, column = place
        values: dict[str, Any] = {
            "contribution": Contribution.of(self.scene, STYLE),
            "visual": self.scene.visual,
            "level": level,
            "row": row,
            "column": column,
            "needs_whole": False,
            "needs_partial": False,
        }
        return StoredBlock(**{**values, **more})

    def both(self, block: StoredBlock) -> bytes | None:
        """Read a block, and again at once: both give the same."""
        found = self.stored.read(block)
        again = self.stored.at_once(block)
        if found is None:
            assert again is Unread.ABSENT
            return None
        assert isinstance(again, EncodedTile)
        assert again == found
        return found.data

    def later(self) -> None:
        self.clock.now += 1.5


def visual(path: Path, source: Path, **more: Any) -> Visual:
    status = source.stat()
    values: dict[str, Any] = {
        "href": str(path),
        "file_size": path.stat().st_size,
        "source_generation": "g",
        "source_state": (status.st_size, status.st_mtime_ns),
        "style_id": STYLE.id,
        "style_digest": STYLE.digest,
        "renderer_version": RENDERER_VERSION,
        "image_format": "jpg",
        "quality": 85,
        "grid_id": "WebMercatorQuad",
        "zooms": (10, 11),
        "crs": "EPSG:3857",
        "origin": (0.0, 0.0),
        "span": 512.0,
        "columns": 1,
        "rows": 1,
    }
    return Visual(**{**values, **more})


@pytest.fixture
def case(tmp_path: Path) -> Case:
    path, source = tmp_path / "visual.tif", tmp_path / "source.tif"
    blocks = written(path)
    source.write_bytes(b"of the scene")
    clock = Clock()
    return Case(
        tmp_path,
        blocks,
        scene(href=str(source), visual=visual(path, source)),
        clock,
        StoredBlocks(roots=(tmp_path.resolve(),), clock=clock),
    )


def test_blocks_are_given_as_they_lie_there(case: Case) -> None:
    for place, data in case.blocks.items():
        assert case.both(case.block(place)) == data
    assert case.both(case.block((0, 1, 1))) is None


def test_nothing_is_opened_at_once(case: Case) -> None:
    assert case.stored.at_once(case.block()) is Unread.LATER
    case.stored.read(case.block((1, 0, 0)))
    assert isinstance(case.stored.at_once(case.block()), EncodedTile)
    case.later()
    assert case.stored.at_once(case.block()) is Unread.LATER


def test_what_the_system_does_not_hold_in_memory_is_left_for_a_thread(case: Case) -> None:
    case.stored.read(case.block((1, 0, 0)))
    with case.path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if case.stored.at_once(case.block()) is not Unread.LATER:
        pytest.skip("this file system holds all in memory")
    assert case.both(case.block()) == case.blocks[0, 0, 0]


def test_only_whole_blocks_where_they_have_to_be(case: Case) -> None:
    assert case.both(case.block((0, 0, 0), needs_whole=True)) is not None
    assert case.both(case.block((0, 0, 1), needs_whole=True)) is None
    assert case.both(case.block((0, 0, 0), needs_partial=True)) is None
    assert case.both(case.block((0, 0, 1), needs_partial=True)) is not None


@pytest.mark.parametrize("what", ["touched", "other", "gone"])
def test_a_scene_that_changed_has_no_blocks_any_more(case: Case, what: str) -> None:
    source = Path(case.scene.href)
    assert case.both(case.block()) is not None
    if what == "touched":
        os.utime(source, ns=(1, 1))
    elif what == "other":
        source.write_bytes(b"another")
    else:
        source.unlink()
    case.later()
    assert case.both(case.block()) is None


def test_a_scene_in_a_store_is_told_by_its_generation_alone(case: Case) -> None:
    assert case.scene.visual is not None
    stored = dataclasses.replace(case.scene.visual, source_state=None)
    case.scene = dataclasses.replace(case.scene, href="s3://bucket/key", visual=stored)
    assert case.both(case.block()) == case.blocks[0, 0, 0]


@pytest.mark.parametrize("what", ["gone", "cut", "longer", "other"])
def test_a_companion_that_changed_is_not_used(case: Case, what: str) -> None:
    assert case.both(case.block()) is not None
    if what == "gone":
        case.path.unlink()
    elif what == "cut":
        os.truncate(case.path, case.path.stat().st_size - 1)
    elif what == "longer":
        with case.path.open("ab") as file:
            file.write(b"x")
    else:
        case.path.write_bytes(b"x" * case.path.stat().st_size)
    assert case.stored.at_once(case.block()) is Unread.LATER
    assert case.stored.read(case.block()) is None
    assert case.both(case.block()) is None


def test_one_that_comes_back_is_used_again(case: Case) -> None:
    kept = case.folder / "kept"
    shutil.copy2(case.path, kept)
    case.path.unlink()
    assert case.both(case.block()) is None
    kept.rename(case.path)
    assert case.both(case.block()) is None
    case.later()
    assert case.both(case.block()) == case.blocks[0, 0, 0]


@pytest.mark.parametrize(
    "other",
    [
        {"zooms": (10, 12)},
        {"zooms": (10, 10)},
        {"columns": 2},
        {"rows": 2},
        {"image_format": "webp"},
        {"file_size": 5},
    ],
)
def test_a_file_that_is_not_what_the_catalogue_says_is_not_used(case: Case, other: dict[str, Any]) -> None:
    assert case.scene.visual is not None
    changed = dataclasses.replace(case.scene.visual, **other)
    case.scene = dataclasses.replace(case.scene, visual=changed)
    assert case.both(case.block((0, 0, 0))) is None


def test_nothing_outside_the_data_folders_is_opened(
    case: Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "visual.tif"
    case.path.rename(elsewhere)
    case.path.symlink_to(elsewhere)
    assert case.both(case.block()) is None


def test_files_and_tables_are_bounded(case: Case) -> None:
    assert case.scene.visual is not None
    case.stored.most_files = 3
    scenes = []
    for number in range(5):
        path = case.folder / f"{number}.tif"
        shutil.copy2(case.path, path)
        copied = dataclasses.replace(case.scene.visual, href=str(path))
        scenes.append(dataclasses.replace(case.scene, id=str(number), visual=copied))
    for each in scenes:
        case.scene = each
        assert case.both(case.block()) is not None
    assert list(case.stored._open) == [each.visual.href for each in scenes[2:]]
    case.stored.most_bytes = 1
    case.scene = scenes[0]
    assert case.both(case.block()) is not None
    assert list(case.stored._open) == [scenes[0].visual.href]
    assert case.stored._size == 5 * 17


def test_companions_with_shared_tables_are_read_too(case: Case) -> None:
    """GDAL writes the tables of all blocks once; what is given has them, and shows what GDAL shows."""
    pixels = position_pixels(SIDE * 2, SIDE * 2, 3)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            case.path,
            "w",
            driver="GTiff",
            width=SIDE * 2,
            height=SIDE * 2,
            count=3,
            dtype="uint8",
            crs="EPSG:3857",
            transform=from_origin(512, 1024, 1, 1),
            tiled=True,
            blockxsize=SIDE,
            blockysize=SIDE,
            compress="JPEG",
            photometric="YCBCR",
        ) as target,
    ):
        target.write(pixels)
        mask = np.full((SIDE * 2, SIDE * 2), 255, "u1")
        mask[:10] = 0
        target.write_mask(mask)
    made = visual(case.path, Path(case.scene.href), zooms=(10, 10), columns=2, rows=2)
    case.scene = dataclasses.replace(case.scene, visual=made)
    with rasterio.open(case.path) as source:
        expected = np.moveaxis(source.read(), 0, -1).astype(int)
    for row in range(2):
        for column in range(2):
            data = case.both(case.block((0, row, column)))
            assert data is not None
            part = expected[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            for shown in (
                np.asarray(Image.open(io.BytesIO(data))),
                cv2.imdecode(np.frombuffer(data, "u1"), cv2.IMREAD_COLOR)[..., ::-1],
            ):
                assert np.abs(shown - part).max() <= 3
            whole = case.both(case.block((0, row, column), needs_whole=True))
            assert (whole is not None) == (row == 1)
