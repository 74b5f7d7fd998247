"""Reads an inspected file window by window: values and what of them is valid."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from rasterio.errors import RasterioError
from rasterio.windows import Window

from mosaics.errors import IngestError
from mosaics.gdal import deepest_reason, open_raster, unplaced_files_expected
from mosaics.ingest.ahead import in_threads
from mosaics.ingest.inspect import Inspection

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

Progress = Callable[[str, float], None]
"""Called with the name of the stage and how far it is, 0 to 1."""

WINDOW_BYTES: Final = 24 << 20
"""Values that are read at once, all bands together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pixels:
    """A window of a file; `valid` and `opaque` are not to be changed: windows may share them."""

    values: NDArray[Any]
    """Stored values, shape (bands, height, width), without the alpha band; see `Source` for how long."""
    valid: NDArray[np.bool_]
    """True where a band has data: not nodata, masked, transparent or not finite; shape as the values."""
    alpha: NDArray[Any] | None
    """The alpha band, shape (height, width); None where the file has none."""
    opaque: NDArray[np.bool_]
    """True where mask and alpha let a pixel through, nodata apart; shape (height, width)."""


class Source:
    """An inspected file, open; a context manager for one thread at a time.

    Values are read into the same memory again and again: clearing new pages takes as long as reading.
    """

    def __init__(self, inspection: Inspection, *, kept: int = 1) -> None:
        """Prepare for reading.

        Args:
            inspection: The file.
            kept: The values of how many windows stay as they are while others are read.
        """
        self.inspection = inspection
        self._buffers = deque([np.empty(0, dtype=inspection.data_type)] * kept)
        self._stack = ExitStack()
        self._dataset: DatasetReader
        self._mask: DatasetReader | None = None
        self._everything = np.ones((0, 0, 0), dtype=bool)

    def __enter__(self) -> Self:
        """Open the file and its external mask.

        Raises:
            IngestError: If they can't be opened.
        """
        inspection = self.inspection
        try:
            jp2 = inspection.driver == "JP2OpenJPEG"
            self._dataset = self._stack.enter_context(open_raster(inspection.path, jp2=jp2))
            if inspection.external_mask is not None:
                with unplaced_files_expected():
                    mask = open_raster(inspection.external_mask)
                self._mask = self._stack.enter_context(mask)
        except OSError as error:
            self._stack.close()
            raise IngestError(f"{inspection.path.name}: can't be opened any more: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both."""
        self._stack.close()

    def read(self, window: Window) -> Pixels:
        """Read a window.

        Raises:
            IngestError: If a block can't be decoded; the message says where.
        """
        inspection = self.inspection
        indexes = inspection.band_indexes
        try:
            values = self._dataset.read(indexes, window=window, out=self._buffer(window))
            if self._is_whole(values):
                return self._whole(values)
            valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
            opaque = np.ones(values.shape[1:], dtype=bool)
            if inspection.nodata_is_given or self._tells_by_equality:
                valid &= values != np.asarray(inspection.nodata).astype(values.dtype)
            elif inspection.nodata is not None:
                valid &= self._dataset.read_masks(indexes, window=window) != 0
            elif inspection.has_internal_mask:
                opaque &= self._dataset.read_masks(indexes[0], window=window) != 0
            alpha = None
            if inspection.alpha_band is not None:
                alpha = self._dataset.read(inspection.alpha_band, window=window)
                opaque &= alpha > 0
            if self._mask is not None:
                opaque &= (self._mask.read(window=window) != 0).any(axis=0)
        except (RasterioError, OSError, MemoryError) as error:
            raise _damaged(inspection, window, error) from error
        valid &= opaque
        return Pixels(values=values, valid=valid, alpha=alpha, opaque=opaque)

    def _buffer(self, window: Window) -> NDArray[Any]:
        """Give room for the values of a window: that which was given away first."""
        shape = (self.inspection.band_count, int(window.height), int(window.width))
        size = math.prod(shape)
        buffer = self._buffers.popleft()
        if buffer.size < size:
            buffer = np.empty(size, dtype=buffer.dtype)
        self._buffers.append(buffer)
        return buffer[:size].reshape(shape)

    def _is_whole(self, values: NDArray[Any]) -> bool:
        """Tell whether nothing can be missing: whole numbers of a file that has no way to say so."""
        inspection = self.inspection
        says_nothing = inspection.nodata is None and not inspection.has_internal_mask
        hides_nothing = inspection.alpha_band is None and self._mask is None
        return values.dtype.kind != "f" and says_nothing and hides_nothing

    @property
    def _tells_by_equality(self) -> bool:
        """Whether those values are nothing that are the nodata value, and no others, without asking GDAL.

        Of floats those that almost have it are nothing too, of whole numbers none where none can have it.
        """
        inspection = self.inspection
        nodata, kind = inspection.nodata, np.dtype(inspection.data_type)
        if nodata is None or kind.kind == "f" or inspection.has_internal_mask:
            return False
        limits = np.iinfo(kind)
        return bool(limits.min <= nodata <= limits.max and nodata == int(nodata))

    def _whole(self, values: NDArray[Any]) -> Pixels:
        """Give pixels that are all there: filling an array with that takes as long as reading them."""
        if self._everything.shape != values.shape:
            self._everything = np.ones(values.shape, dtype=bool)
            self._everything.flags.writeable = False
        valid = self._everything
        return Pixels(values=values, valid=valid, alpha=None, opaque=valid[0])


def windows(width: int, height: int, pixel_bytes: int, step: int) -> Iterator[Window]:
    """Cut an image into windows of at most about `WINDOW_BYTES`, row by row.

    Args:
        width: Columns of the image.
        height: Rows of the image.
        pixel_bytes: Bytes of one pixel, all bands together.
        step: Windows begin at multiples of this, pixels.
    """
    rows = step
    columns = max(step, WINDOW_BYTES // (pixel_bytes * rows) // step * step)
    if columns >= width:
        rows = max(step, WINDOW_BYTES // (pixel_bytes * width) // step * step)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield Window(left, top, min(columns, width - left), min(rows, height - top))


def decoding_threads(inspection: Inspection, threads: int) -> int:
    """Give how many threads should read a file: all where its blocks are decoded, unless they are large.

    Args:
        inspection: The file.
        threads: How many there may be.
    """
    rows, columns = inspection.block_shape
    is_large = rows * columns * inspection.pixel_bytes > WINDOW_BYTES
    if not inspection.is_decoded:
        return 0
    return 1 if is_large else threads


def read_windows(
    inspection: Inspection, areas: Iterable[Window], *, threads: int
) -> Generator[tuple[Window, Pixels]]:
    """Read windows of a file, one after the other or some at once.

    Args:
        inspection: The file.
        areas: Which, in which order.
        threads: How many read while the caller works; 0: none, and each window is read when it is asked for.

    Yields:
        Each window and its pixels, which stay as they are until the next is asked for.

    Raises:
        IngestError: If a block can't be decoded; the message says where.
    """
    if threads == 0:
        with Source(inspection) as source:
            for window in areas:
                yield window, source.read(window)
        return
    with ExitStack() as stack:
        sources = [stack.enter_context(Source(inspection, kept=2)) for _ in range(threads)]
        yield from in_threads(areas, [source.read for source in sources])


def check_overviews(inspection: Inspection) -> None:
    """Decode every block of the overviews, so that a file served as it is can't fail later.

    Raises:
        IngestError: If one can't be decoded.
    """
    for level in range(len(inspection.overviews)):
        try:
            with open_raster(inspection.path, overview_level=level) as overview:
                for _, window in overview.block_windows(1):
                    overview.read(window=window)
        except (RasterioError, OSError, MemoryError) as error:
            reason = deepest_reason(error, str(inspection.path))
            raise IngestError(
                f"{inspection.path.name}: damaged: its overview {level + 1} can't be decoded "
                f"({reason}); copy it again from its source"
            ) from error


def _damaged(inspection: Inspection, window: Window, error: BaseException) -> IngestError:
    name, reason = inspection.path.name, deepest_reason(error, str(inspection.path))
    lowered = reason.lower()
    if isinstance(error, MemoryError) or "out of memory" in lowered or "cannot allocate" in lowered:
        return IngestError(
            f"{name}: reading it needs more memory than a file may take; write it again in blocks of 512, "
            "for instance with: gdal_translate -of COG INPUT OUTPUT.tif"
        )
    bottom, right = window.row_off + window.height, window.col_off + window.width
    return IngestError(
        f"{name}: damaged or truncated: pixels between rows {window.row_off} and {bottom} and columns "
        f"{window.col_off} and {right} can't be decoded ({reason}); copy it again from its source"
    )
