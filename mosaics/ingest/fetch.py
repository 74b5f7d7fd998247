"""Brings an object to this machine for as long as it is banked: all of it is read then, more than once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mosaics.errors import IngestError
from mosaics.ingest.source import Progress
from mosaics.ingest.workplace import temporary_folder
from mosaics.places import ObjectAddress
from mosaics.tiff.files import FileChangedError, Range
from mosaics.tiff.objects import LARGEST_REQUEST, ObjectFile, ObjectStore, ObjectUnreadableError

_AT_ONCE: Final = 4
"""Requests at the same time, each of the largest size."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A copy of an object."""

    path: Path
    """Named as the object; gone when the block ends."""
    etag: str
    """Of the state that was copied."""
    _store: ObjectStore
    _address: ObjectAddress

    def is_current(self) -> bool:
        """Tell whether the object is still in that state.

        Raises:
            IngestError: If that can't be told.
        """
        try:
            return self._store.state(self._address) == self.etag
        except ObjectUnreadableError as error:
            raise IngestError(str(error)) from error


@contextmanager
def fetched(
    store: ObjectStore, address: ObjectAddress, parent: Path, progress: Progress
) -> Iterator[Fetched]:
    """Copy an object into a temporary folder, all of one state.

    Args:
        store: Where it lies.
        address: The object.
        parent: Folder on the disk that has room for it.
        progress: Called with ("fetching", 0 to 1).

    Raises:
        IngestError: If it can't be read, changes meanwhile, or there is no room.
    """
    with temporary_folder(parent, address.name) as folder:
        path = folder / address.name
        try:
            file = store.open(address)
            _copy(file, path, progress)
        except FileChangedError as error:
            raise IngestError(f"{address.name}: the object changed while it was read; try again") from error
        except ObjectUnreadableError as error:
            raise IngestError(str(error)) from error
        except OSError as error:
            raise IngestError(f"{address.name}: it can't be copied to {parent}: {error.strerror}") from error
        yield Fetched(path=path, etag=file.etag, _store=store, _address=address)


def _copy(file: ObjectFile, path: Path, progress: Progress) -> None:
    starts = range(0, file.size, LARGEST_REQUEST)
    with path.open("xb") as target:
        os.posix_fallocate(target.fileno(), 0, file.size)  # a full disk shows before anything is asked for
        for place in range(0, len(starts), _AT_ONCE):
            part = [Range(start, LARGEST_REQUEST) for start in starts[place : place + _AT_ONCE]]
            for data in file.read(part):
                target.write(data)
            progress("fetching", min(1.0, target.tell() / file.size))
