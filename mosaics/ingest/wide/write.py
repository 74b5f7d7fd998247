"""Writes an overview block by block: of each pixel the first scene that has it, and that scene's number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window

from mosaics.catalog.overview import number_type
from mosaics.errors import IngestError, SceneUnreadableError
from mosaics.fast import FastReader
from mosaics.gdal import deepest_reason, open_raster
from mosaics.ingest.conversion import Conversion
from mosaics.ingest.convert import convert
from mosaics.ingest.inspect import inspect
from mosaics.ingest.profile import Reduction
from mosaics.ingest.source import Progress
from mosaics.ingest.wide.job import WIDE_PROFILE, Job, Written
from mosaics.ingest.workplace import is_disk_full, no_room
from mosaics.models import UNMIXED_KINDS, Frame, Raster
from mosaics.read import Resampling, RioTilerReader, SceneReader
from mosaics.tiff.blocks import BlockCache

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader, DatasetWriter

_CACHE_BYTES: Final = 64_000_000
_COMPOSED: Final = 0.8
"""Part of the work that is reading scenes."""
_STAGE: Final = "composing"


def write(job: Job, report: Progress) -> Written:
    """Write the two files of an overview.

    A scene that can't be read at one block is in none: it is no member, and all is composed without it.

    Args:
        job: What to write.
        report: Called with the stage and how far it is, 0 to 1.

    Raises:
        IngestError: If no scene can be read, the disk is full, or a result is not right.
    """
    files = job.sources.files()
    reader = FastReader(reference=RioTilerReader(files=files), blocks=BlockCache(_CACHE_BYTES), files=files)
    colours, numbers = job.folder / "colours.tif", job.folder / "numbers.tif"
    unread: set[int] = set()
    while True:
        with _disk_errors(job), _Composer(job, reader, frozenset(unread)) as composer:
            composer.write(colours, numbers, report)
        if not composer.unread:
            break
        unread |= composer.unread
        if len(unread) == len(job.scenes):
            raise IngestError(f"{job.name}: none of its scenes can be read")
    if not composer.composed + composer.copied:
        raise IngestError(f"{job.name}: its scenes have no valid pixel")
    results = [
        _cog(job, path, reduction, report, part)
        for path, reduction, part in ((colours, job.reduction, 0.8), (numbers, "mode", 0.9))
    ]
    report(_STAGE, 1.0)
    return Written(
        colours=results[0],
        numbers=results[1],
        unread=tuple(sorted(unread)),
        composed=composer.composed,
        copied=composer.copied,
    )


def sizes_below(folder: Path) -> list[int]:
    """Give the sizes of all files below a folder, as a sign of life of who writes them."""
    return sorted(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@dataclass
class _Composer:
    """Composes the blocks of an overview, or takes them as they were where nothing that they show changed."""

    job: Job
    reader: SceneReader
    left_out: frozenset[int]
    """Places of scenes that are no members."""
    unread: set[int] = field(default_factory=set)
    composed: int = 0
    copied: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)
    _before: tuple[DatasetReader, DatasetReader] | None = None

    def __enter__(self) -> Self:
        before = self.job.before
        if before is not None:
            opened = [self._stack.enter_context(open_raster(p)) for p in (before.colours, before.numbers)]
            self._before = (opened[0], opened[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, colours: Path, numbers: Path, report: Progress) -> None:
        """Write both files; blocks where there is nothing are left out of them."""
        job, blocks = self.job, self.job.blocks
        first = job.scenes[0]
        with (
            _create(job, colours, len(first.bands), first.bands[0].data_type) as picture,
            _create(job, numbers, 1, number_type(len(job.scenes))) as told,
        ):
            for row in range(blocks.rows):
                for column in range(blocks.columns):
                    made = self._block(column, row)
                    if made is not None:
                        data, number = made
                        side = blocks.side
                        window = Window(column * side, row * side, side, side)
                        picture.write(data, window=window)
                        picture.write_mask(number > 0, window=window)
                        told.write(number.astype(told.dtypes[0]), 1, window=window)
                        told.write_mask(number > 0, window=window)
                report(_STAGE, _COMPOSED * (row + 1) / blocks.rows)

    def _block(self, column: int, row: int) -> tuple[NDArray[Any], NDArray[np.uint32]] | None:
        """Give values and numbers of a block; None: nothing is there."""
        left, bottom, right, top = self.job.blocks.box(column, row)
        boxes = self.job.boxes
        meeting = (boxes[:, 0] < right) & (boxes[:, 2] > left) & (boxes[:, 1] < top) & (boxes[:, 3] > bottom)
        places = [int(place) for place in np.flatnonzero(meeting) if int(place) not in self.left_out]
        if not places:
            return None
        if self._before is not None and not self.job.is_new[places].any():
            kept = self._as_before(column, row)
            if kept is not None:
                self.copied += 1
                return kept
        made = self._compose(places, column, row)
        self.composed += made is not None
        return made

    def _compose(
        self, places: list[int], column: int, row: int
    ) -> tuple[NDArray[Any], NDArray[np.uint32]] | None:
        blocks, first = self.job.blocks, self.job.scenes[0]
        shape = (blocks.side, blocks.side)
        data = np.zeros((len(first.bands), *shape), first.bands[0].data_type)
        number = np.zeros(shape, np.uint32)
        for place in places:
            part = blocks.part(column, row, self.job.boxes[place])
            if part is None or place in self.unread or number[part.rows, part.columns].all():
                continue
            try:
                raster = self._read(place, part.frame)
            except SceneUnreadableError:
                self.unread.add(place)
                continue
            values, told = data[:, part.rows, part.columns], number[part.rows, part.columns]
            fresh = raster.valid & (told == 0)
            values[:, fresh] = raster.data[:, fresh]
            told[fresh] = place + 1
        return (data, number) if number.any() else None

    def _read(self, place: int, frame: Frame) -> Raster:
        scene = self.job.scenes[place]
        is_unmixed = scene.kind in UNMIXED_KINDS or scene.colormap
        resampling: Resampling = "nearest" if is_unmixed else "bilinear"
        return self.reader.read(scene, range(1, len(scene.bands) + 1), frame, resampling)

    def _as_before(self, column: int, row: int) -> tuple[NDArray[Any], NDArray[np.uint32]] | None:
        """Give a block as it was; None: it was not there, or shows a scene that is no more what it was."""
        before, blocks = self.job.before, self.job.blocks
        assert before is not None, "else nobody asks"
        assert self._before is not None, "else nobody asks"
        colours, numbers = self._before
        side = blocks.side
        x, y = (blocks.column + column - before.column) * side, (blocks.row + row - before.row) * side
        if x < 0 or y < 0 or x >= numbers.width or y >= numbers.height:
            return None
        window = Window(x, y, side, side)
        old = np.where(numbers.read_masks(1, window=window) > 0, numbers.read(1, window=window), 0)
        known = before.renumbered.copy()
        known[np.isin(known, [place + 1 for place in self.left_out])] = 0
        new = known[old]
        if ((old > 0) & (new == 0)).any() or not old.any():
            return None
        return colours.read(window=window), new


def _create(job: Job, path: Path, bands: int, data_type: str) -> DatasetWriter:
    blocks = job.blocks
    return rasterio.open(
        path,
        "w",
        width=blocks.columns * blocks.side,
        height=blocks.rows * blocks.side,
        count=bands,
        dtype=data_type,
        crs="EPSG:3857",
        transform=Affine(*blocks.transform),
        photometric="MINISBLACK",
        alpha="NO",
        sparse_ok=True,
        compress="ZSTD",
        zstd_level=WIDE_PROFILE.work_level,
        driver="GTiff",
        tiled=True,
        blockxsize=blocks.side,
        blockysize=blocks.side,
        interleave=WIDE_PROFILE.interleave(bands).lower(),
        bigtiff="IF_SAFER",
    )


def _cog(job: Job, path: Path, reduction: Reduction, report: Progress, begin: float) -> Path:
    """Write a file in the bank profile, and take the first one away."""
    folder = path.with_suffix("")
    with _disk_errors(job):
        folder.mkdir()
        conversion = Conversion(
            inspection=inspect(path), profile=WIDE_PROFILE, reduction=reduction, has_unfinite=False
        )
        result = convert(conversion, folder, lambda _stage, done: report(_STAGE, begin + done / 10))
        path.unlink()
    return result.path


@contextmanager
def _disk_errors(job: Job) -> Iterator[None]:
    """Turn errors of writing into refusals; a full disk is named as such."""
    try:
        yield
    except (RasterioError, OSError) as error:
        if is_disk_full(error, job.folder):
            raise no_room(job.name, job.folder) from error
        reason = deepest_reason(error, str(job.folder))
        raise IngestError(f"{job.name}: it can't be written: {reason}") from error
