"""Which files a call is about, and whether another machine has the same ones."""

from __future__ import annotations

import dataclasses
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenFile:
    """A file or folder as one machine sees it."""

    path: Path
    size: int | None
    """Bytes; None: a folder."""


def paths_in(value: Any) -> Iterator[Path]:
    """Give the paths in a value: in collections, and in the fields of dataclasses."""
    if isinstance(value, Path):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from paths_in(getattr(value, field.name))
    elif isinstance(value, dict):
        yield from paths_in(tuple(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from paths_in(each)


def seen_files(value: Any) -> tuple[SeenFile, ...]:
    """Give the files and folders of the paths in a value that are there."""
    found = []
    for path in dict.fromkeys(paths_in(value)):
        try:
            found.append(SeenFile(path=path, size=_size(path)))
        except OSError:
            continue  # something that is not there yet, or may be missing
    return tuple(found)


def trouble_with(files: Sequence[SeenFile], patience_seconds: float) -> str | None:
    """Say in what this machine sees other files than the one that named them; None: in nothing.

    Args:
        files: As the other machine sees them.
        patience_seconds: How long to look again before something counts as missing: on a shared file system a
            machine may see what another one wrote a little later.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        found = next((words for words in map(_trouble, files) if words is not None), None)
        if found is None or time.monotonic() >= deadline:
            return found
        time.sleep(_LOOK_SECONDS)


def _trouble(file: SeenFile) -> str | None:
    try:
        size = _size(file.path)
    except OSError as error:
        return f"{file.path} can't be seen there ({error.strerror})"
    if size != file.size:
        return f"{file.path} is another file there"
    if not os.access(file.path, os.R_OK | (os.X_OK if size is None else 0)):
        return f"{file.path} may not be read there"
    return None


def _size(path: Path) -> int | None:
    status = path.stat()
    return None if stat.S_ISDIR(status.st_mode) else status.st_size
