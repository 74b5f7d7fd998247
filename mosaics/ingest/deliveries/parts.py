"""The image that the files of a band group make together: parts side by side, bands in the group's order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window

from mosaics.errors import IngestError
from mosaics.gdal import RasterOpenError, deepest_reason, open_raster, unplaced_files_expected
from mosaics.ingest.limits import check_blocks, check_size
from mosaics.products.delivery import (
    BandGroup,
    DeliveryIncompleteError,
    DeliveryUnreadableError,
    ImageFile,
    Samples,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """An open file and where it lies in the whole image."""

    source: DatasetReader
    name: str
    top: int
    left: int
    bands: tuple[int, ...]
    """Of the group, from 0, which each of the file's bands is."""
    samples: Samples
    """What the file's own bands are."""
    has_alpha: bool
    """Behind its bands there is one more that tells where there is anything."""


class PartedImage:
    """The whole image of a band group, open; a context manager for one thread."""

    def __init__(self, group: BandGroup) -> None:
        self.group = group
        self.height, self.width = group.height, group.width
        self._stack = ExitStack()
        self._parts: tuple[_Part, ...] = ()

    def __enter__(self) -> Self:
        """Open all parts and see that they make one image.

        Raises:
            IngestError: If they don't, or one can't be opened.
        """
        with ExitStack() as stack, unplaced_files_expected():
            opened = [(file, stack.enter_context(_open(file))) for file in self.group.files]
            if self.group.geometry == "ground" and all((f.row, f.column) == (1, 1) for f, _ in opened):
                # cut out or resampled since, as some are delivered; it says itself where it lies
                self.height, self.width = opened[0][1].shape
            self._parts = _laid_out(self.group, opened, (self.height, self.width))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        self._stack.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is unlike what the metadata says."""
        group = self.group
        if (self.height, self.width) == (group.height, group.width):
            return ()
        said = f"{group.width} x {group.height}"
        return (f"the image has {self.width} x {self.height} pixels, its metadata says {said}",)

    @property
    def first(self) -> DatasetReader:
        """The file of the upper left part, which says where the image lies."""
        return self._parts[0].source

    @property
    def data_type(self) -> np.dtype[Any]:
        """Type of the values that are read; complex for complex samples of any size."""
        return np.result_type(*(_data_type(part) for part in self._parts))

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read a window of all bands.

        Args:
            window: Within the image.

        Returns:
            Stored values, shape (bands, rows, columns), in the group's order; and where alpha bands, if any,
            say that there is something, shape (rows, columns).

        Raises:
            IngestError: If a block can't be decoded; the message names the file.
        """
        top, left = int(window.row_off), int(window.col_off)
        height, width = int(window.height), int(window.width)
        found = np.zeros((len(self.group.bands), height, width), self.data_type)
        there = np.ones((height, width), bool)
        for part in self._parts:
            rows = _overlap(top, height, part.top, part.source.height)
            columns = _overlap(left, width, part.left, part.source.width)
            if rows is None or columns is None:
                continue
            inner = Window.from_slices(
                (rows[0] - part.top, rows[1] - part.top), (columns[0] - part.left, columns[1] - part.left)
            )
            to = slice(rows[0] - top, rows[1] - top), slice(columns[0] - left, columns[1] - left)
            found[(list(part.bands), *to)] = _read(
                part, inner, range(1, part.source.count + 1 - part.has_alpha)
            )
            if part.has_alpha:
                there[to] &= _read(part, inner, [part.source.count])[0] > 0
        return found, there


def _open(file: ImageFile) -> DatasetReader:
    driver = None if file.driver in {"GTiff", "JP2OpenJPEG"} else file.driver
    try:
        source = open_raster(file.path, jp2=True, driver=driver)
    except RasterOpenError as error:
        raise DeliveryUnreadableError(f"{file.path.name}: can't be opened: {error.reason}") from error
    try:
        check_size(file.path.name, source.width, source.height, source.count)
        check_blocks(file.path.name, source)
    except IngestError:
        source.close()
        raise
    return source


def _laid_out(
    group: BandGroup, opened: Sequence[tuple[ImageFile, DatasetReader]], size: tuple[int, int]
) -> tuple[_Part, ...]:
    """Find where each part lies; of each set of bands the parts must make the whole image."""
    height, width = size
    order = {band.id: place for place, band in enumerate(group.bands)}
    sets: dict[tuple[str, ...], list[tuple[ImageFile, DatasetReader]]] = {}
    for file, source in opened:
        _check_bands(group, file, source)
        sets.setdefault(file.bands, []).append((file, source))
    parts: list[_Part] = []
    for bands, members in sets.items():
        tops = _edges(group, {file.row: source.height for file, source in members}, height, "rows")
        lefts = _edges(group, {file.column: source.width for file, source in members}, width, "columns")
        _check_grid(group, members, tops, lefts)
        parts += [
            _Part(
                source=source,
                name=file.path.name,
                top=tops[file.row],
                left=lefts[file.column],
                bands=tuple(order[band] for band in bands),
                samples=file.samples,
                has_alpha=source.count > _stored_bands(file),
            )
            for file, source in members
        ]
    return tuple(sorted(parts, key=lambda part: (part.top, part.left)))


def _check_bands(group: BandGroup, file: ImageFile, source: DatasetReader) -> None:
    """Refuse a file that is not as the metadata says."""
    wanted = _stored_bands(file)
    has_alpha = source.count == wanted + 1 and source.colorinterp[-1] == ColorInterp.alpha
    if source.count != wanted and not has_alpha:
        raise DeliveryUnreadableError(
            f"{file.path.name}: it has {source.count} bands, and its metadata says {wanted} "
            f"({', '.join(file.bands)})"
        )
    is_complex = source.dtypes[0].startswith("complex")
    if group.is_complex and file.samples == "whole" and not is_complex:
        raise DeliveryUnreadableError(
            f"{file.path.name}: its samples are {source.dtypes[0]}, and its metadata says complex ones"
        )


def _stored_bands(file: ImageFile) -> int:
    """Give how many bands of a file make those that are listed, without an alpha band."""
    return len(file.bands) * (1 if file.samples == "whole" else 2)


def _edges(group: BandGroup, sizes: dict[int, int], total: int, what: str) -> dict[int, int]:
    """Give where each row, or column, of parts begins."""
    places = sorted(sizes)
    if places != list(range(1, len(places) + 1)) or sum(sizes.values()) != total:
        raise DeliveryIncompleteError(
            f"{group.metadata.name}: its files have {sum(sizes.values())} {what}, and it says {total}; a "
            "file is missing or not the one that belongs to it: copy the whole delivery and bank it again"
        )
    begins = accumulate((sizes[place] for place in places[:-1]), initial=0)
    return dict(zip(places, begins, strict=True))


def _check_grid(
    group: BandGroup,
    members: Sequence[tuple[ImageFile, DatasetReader]],
    tops: dict[int, int],
    lefts: dict[int, int],
) -> None:
    """Refuse parts that leave holes, or are of other sizes than their neighbours."""
    heights = {file.row: source.height for file, source in members}
    widths = {file.column: source.width for file, source in members}
    fitting = {
        (file.row, file.column)
        for file, source in members
        if (source.height, source.width) == (heights[file.row], widths[file.column])
    }
    if len(fitting) != len(members) or len(members) != len(tops) * len(lefts):
        raise DeliveryIncompleteError(
            f"{group.metadata.name}: its {len(members)} image files do not make one image; copy the whole "
            "delivery and bank it again"
        )


def _overlap(start: int, length: int, other: int, other_length: int) -> tuple[int, int] | None:
    low, high = max(start, other), min(start + length, other + other_length)
    return (low, high) if low < high else None


def _read(part: _Part, window: Window, bands: Iterable[int]) -> NDArray[Any]:
    """Read bands of a part; of two that make a complex number that number, or the amplitude."""
    try:
        found: NDArray[Any] = part.source.read(list(bands), window=window)
        if part.samples == "real_imaginary":
            return (found[0::2] + 1j * found[1::2]).astype("complex64")
        return found if part.samples == "whole" else found[0::2].astype("float32")
    except (RasterioError, OSError) as error:
        reason = deepest_reason(error, part.source.name)
        raise IngestError(
            f"{part.name}: damaged or truncated: it can't be decoded ({reason}); copy it again"
        ) from error


def _data_type(part: _Part) -> np.dtype[Any]:
    """Give the type of what is read of a part; numpy has no complex integers."""
    stored: str = part.source.dtypes[0]
    if part.samples == "amplitude_phase":
        return np.dtype("float32")
    is_complex = part.samples == "real_imaginary" or stored.startswith("complex_int")
    return np.dtype("complex64" if is_complex else stored)
