"""The work file of an archive: tiles one after the other, and beside it what each one is.

`OUT.part` has room for the head of the finished file, then the bytes of tiles. `OUT.part.index` begins with a
line that says whose tiles they are, then one record a tile, written after its bytes. What a kill or a full
disk left half written is cut off when the work goes on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

HEAD_BYTES: Final = 16_384
"""Of the finished file; header and root directory lie in it. PMTiles specification, version 3, chapter 2."""
RECORD: Final = np.dtype(
    [("id", "<u8"), ("offset", "<u8"), ("length", "<u4"), ("digest", "V16"), ("key", "V20"), ("check", "<u4")]
)
"""A tile: its number, where its bytes are (from the end of the head), how many, their BLAKE2b, the content
key, and the CRC-32 of all that. No bytes: it is empty."""
_CHECKED: Final = RECORD.itemsize - 4


class WorkTakenError(ValueError):
    """The work file is another's: of another run that goes on, or of other tiles."""


class Journal:
    """A work file that this process alone writes."""

    def __init__(self, output: Path, about: Mapping[str, Any]) -> None:
        """Begin, or go on with what an earlier run left.

        Args:
            output: Where the finished file is to be.
            about: Whose tiles they are, JSON: another run's must say the same.

        Raises:
            WorkTakenError: If they are of others, or another run writes them.
            OSError: If it can't be opened.
        """
        self.output = output
        self.path = output.with_name(f"{output.name}.part")
        self.index_path = output.with_name(f"{output.name}.part.index")
        self._data = _opened(self.path)
        try:
            fcntl.flock(self._data, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._data.close()
            raise WorkTakenError(f"{self.path} is being written by another run") from None
        self._index = _opened(self.index_path)
        try:
            known = self._read(about)
        except BaseException:
            self.close()
            raise
        self._ids, last = np.unique(known["id"][::-1], return_index=True)
        self._known = known[::-1][last]
        """The last record of each tile, by its number."""
        self._places = {bytes(each["digest"]): int(each["offset"]) for each in self._known if each["length"]}

    def has(self, tile_id: int, key: str) -> bool:
        """Tell whether an earlier run kept a tile as it would be made now."""
        place = int(np.searchsorted(self._ids, tile_id))
        return (
            place < len(self._ids)
            and int(self._ids[place]) == tile_id
            and bytes(self._known["key"][place]) == bytes.fromhex(key)
        )

    def keep(self, tile_id: int, key: str, data: bytes) -> int:
        """Keep a tile; no bytes: it is empty.

        Returns:
            How many bytes were written: none where another tile has the same ones.

        Raises:
            OSError: If there is no room; then nothing of it is left.
        """
        digest = hashlib.blake2b(data, digest_size=16).digest()
        offset = self._places.get(digest, self._size)
        is_new = bool(data) and digest not in self._places
        record = np.array(
            [(tile_id, offset, len(data), np.void(digest), np.void(bytes.fromhex(key)), 0)], RECORD
        ).tobytes()[:_CHECKED]
        try:
            if is_new:
                write_at(self._data, HEAD_BYTES + self._size, data)
            write_at(self._index, self._index_size, record + zlib.crc32(record).to_bytes(4, "little"))
        except OSError:
            with suppress(OSError):
                self._data.truncate(HEAD_BYTES + self._size)
                self._index.truncate(self._index_size)
            raise
        self._index_size += RECORD.itemsize
        if is_new:
            self._places[digest] = offset
            self._size += len(data)
        return len(data) if is_new else 0

    def records(self, tile_ids: NDArray[np.uint64]) -> NDArray[Any]:
        """Give the last record of each of some tiles that is not empty, by their numbers."""
        self._index.seek(self._index_begin)
        all_of_them = np.frombuffer(self._index.read(), RECORD)
        ids, last = np.unique(all_of_them["id"][::-1], return_index=True)
        found = all_of_them[::-1][last][np.isin(ids, tile_ids)]
        kept: NDArray[Any] = found[found["length"] > 0]
        return kept

    @property
    def size_bytes(self) -> int:
        """Bytes of all tiles."""
        return self._size

    @property
    def data(self) -> BinaryIO:
        """The work file, to be finished."""
        return self._data

    def close(self) -> None:
        """Let go of it; another run may go on."""
        self._index.close()
        self._data.close()

    def _read(self, about: Mapping[str, Any]) -> NDArray[Any]:
        """Give the records whose bytes are there, and cut off what comes after them."""
        line = json.dumps(about, sort_keys=True).encode() + b"\n"
        self._index.seek(0)
        whole = self._index.read()
        if not whole.startswith(line):
            if whole and b"\n" in whole:
                raise WorkTakenError(
                    f"{self.path} holds tiles of another run ({_difference(whole, about)}): finish that one, "
                    f"or remove {self.path.name} and {self.index_path.name}"
                )
            whole = line
            self._index.truncate(0)
            write_at(self._index, 0, line)
        self._index_begin = len(line)
        records = np.frombuffer(whole[len(line) :][: _whole(len(whole) - len(line))], RECORD)
        good, self._size = self._good(records)
        self._index_size = len(line) + good * RECORD.itemsize
        self._index.truncate(self._index_size)
        self._data.truncate(HEAD_BYTES + self._size)
        return records[:good]

    def _good(self, records: NDArray[Any]) -> tuple[int, int]:
        """Give the number of the first records that are as they were written, and the end of their bytes."""
        end = 0
        for number, record in enumerate(records):
            raw = record.tobytes()
            offset, length = int(record["offset"]), int(record["length"])
            if zlib.crc32(raw[:_CHECKED]) != int(record["check"]) or offset > end:
                return number, end
            if offset + length > end:
                data = os.pread(self._data.fileno(), length, HEAD_BYTES + offset)
                if hashlib.blake2b(data, digest_size=16).digest() != bytes(record["digest"]):
                    return number, end
                end = offset + length
        return len(records), end


def _opened(path: Path) -> BinaryIO:
    """Open a file for reading and writing, made if it is not there."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    return os.fdopen(descriptor, "r+b", buffering=0)


def write_at(file: BinaryIO, at: int, data: bytes) -> None:
    """Write all of some bytes at a place of a file.

    Raises:
        OSError: If there is no room.
    """
    written = 0
    while written < len(data):
        written += os.pwrite(file.fileno(), data[written:], at + written)


def _whole(size: int) -> int:
    return size - size % RECORD.itemsize


def _difference(whole: bytes, about: Mapping[str, Any]) -> str:
    try:
        theirs = json.loads(whole.partition(b"\n")[0])
        names = sorted(name for name in {*theirs, *about} if theirs.get(name) != about.get(name))
    except (ValueError, TypeError):
        return "or it is none of ours"
    return ", ".join(f"{name}: {theirs.get(name)}" for name in names)
