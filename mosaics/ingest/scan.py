"""Finds the images to bank in the paths that someone names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from mosaics.errors import IngestError

ENDINGS: Final = frozenset({".tif", ".tiff", ".jp2"})
"""What files in a folder must end in, whatever the case; a file named itself may end in anything."""


def scan(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Find images: files as named, folders with all below them.

    Hidden files and folders are skipped, links are followed, folders that contain themselves are no trap.

    Args:
        paths: Files and folders.

    Returns:
        Real paths in the order of naming, sorted within a folder, each once.

    Raises:
        IngestError: If a path does not exist or can't be read.
    """
    found: dict[Path, None] = {}
    visited: set[Path] = set()
    for path in paths:
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise IngestError(f"{path}: no such file or folder") from error
        if real.is_dir():
            for image in _images(real, visited):
                found.setdefault(image)
        elif real.is_file():
            found.setdefault(real)
        else:
            raise IngestError(f"{path}: neither a file nor a folder")
    return tuple(found)


def _images(folder: Path, visited: set[Path]) -> Iterator[Path]:
    if folder in visited:
        return
    visited.add(folder)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise IngestError(f"{folder}: can't be read: {error.strerror}") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            real = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):
            continue  # a link that leads nowhere, or to itself
        if real.is_dir():
            yield from _images(real, visited)
        elif real.is_file() and Path(entry.name).suffix.lower() in ENDINGS:
            yield real
