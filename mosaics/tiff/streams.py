"""A file of ranges as one long stream: remembered in pages, for what reads little pieces here and there.

The directories of a file are read through it, and GDAL reads through it what lies in a store of objects: so
it needs no network, no credentials and no cache of its own, and sees the very state that was opened.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Final, Self

from mosaics.errors import MosaicsError
from mosaics.stopping import Stop, never
from mosaics.tiff.files import Range, RangeFile

PAGE_BYTES: Final = 64 << 10
_MOST_BYTES: Final = 32 << 20
"""Of pages that are kept; the least recently used go first."""
_AHEAD: Final = (8, 64)
"""Pages that are read at least, and at most, where reading goes on behind the last page: twice as many each
time. So directories that are longer than the first page cost one request more."""


class RangeStream:
    """For one thread."""

    def __init__(self, file: RangeFile, stop: Stop = never) -> None:
        self.name = file.name
        """For messages."""
        self.failure: MosaicsError | OSError | None = None
        """What GDAL was not told: to it, a read that failed is merely short."""
        self._file = file
        self._stop = stop
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._next = -1
        self._run = 0

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._file.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Give bytes; fewer at the end of the file.

        Raises:
            FileChangedError, OSError, NobodyWaitsError: As the file does.
        """
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        if end - offset > _MOST_BYTES // 4:
            return self._file.read([Range(offset, end - offset)], self._stop)[0]
        first, last = offset // PAGE_BYTES, (end - 1) // PAGE_BYTES
        missing = []
        for page in range(first, last + 1):
            if page in self._pages:
                self._pages.move_to_end(page)
            else:
                missing.append(page)
        if missing:
            self._load(missing[0], missing[-1])
        data = b"".join(self._pages[page] for page in range(first, last + 1))
        return data[offset - first * PAGE_BYTES : end - first * PAGE_BYTES]

    def handle(self) -> Handle:
        """Give what rasterio takes for a file."""
        return Handle(self)

    def raise_failure(self) -> None:
        """Raise what went wrong beneath GDAL, if anything did."""
        if self.failure is not None:
            raise self.failure

    def _load(self, first: int, last: int) -> None:
        count = last - first + 1
        if first == self._next:
            count = max(count, min(max(2 * self._run, _AHEAD[0]), _AHEAD[1]))
        count = min(count, -(-self.size // PAGE_BYTES) - first)
        whole = Range(first * PAGE_BYTES, min(count * PAGE_BYTES, self.size - first * PAGE_BYTES))
        data = self._file.read([whole], self._stop)[0]
        if len(data) != whole.length:
            raise OSError(f"{self.name}: ends too early")
        for page in range(count):
            self._pages[first + page] = data[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]
        self._next, self._run = first + count, count
        while len(self._pages) * PAGE_BYTES > _MOST_BYTES:
            self._pages.popitem(last=False)


class Handle:
    """A place in a stream that moves, in the form in which rasterio clones and GDAL reads files."""

    mode: Final = "rb"
    path: Final = ""

    def __init__(self, stream: RangeStream) -> None:
        self._stream = stream
        self._place = 0

    @property
    def fs(self) -> Self:
        """Give what opens the file once more."""
        return self

    def open(self, _path: str, _mode: str) -> Handle:
        """Open it once more, at its beginning."""
        return Handle(self._stream)

    def read(self, length: int = -1) -> bytes:
        """Read on; what fails is kept by the stream, for nothing may be raised through GDAL."""
        stream = self._stream
        if stream.failure is not None:
            return b""
        try:
            data = stream.read_at(self._place, stream.size if length < 0 else length)
        except (MosaicsError, OSError) as error:
            stream.failure = error
            return b""
        self._place += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._stream.size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """Give the place."""
        return self._place
