"""Temporary folders on the disk of the bank, and what makes a finished file last."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mosaics.errors import IngestError

TEMPORARY: Final = ".banking-"
"""How the names of files and folders begin that are not finished."""
_STALE_SECONDS: Final = 24 * 3600


@contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Give an empty folder on the disk of the destination that goes whatever happens.

    Those that a killed process left more than a day ago go too.

    Args:
        parent: Where; made if it is not there.
        name: Of the file that is banked, for messages.

    Raises:
        IngestError: If it can't be made.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for old in parent.glob(f"{TEMPORARY}*"):
            if old.is_dir() and time.time() - old.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=parent))
    except OSError as error:
        raise IngestError(f"{name}: the bank's folder {parent} can't be written: {error.strerror}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lasting_folder(parent: Path, digest: str, name: str) -> Iterator[Path]:
    """Give the folder of one piece of work: what an interrupted run had finished is still in it.

    It goes when the work is done or fails; after a kill, or Ctrl-C, it stays for a day.

    Args:
        parent: Where; made if it is not there.
        digest: Of what is worked on.
        name: Of it, for messages.

    Raises:
        IngestError: If it can't be made, or another process works in it.
    """
    folder = parent / f"{TEMPORARY}{digest[:20]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise IngestError(f"{name}: the bank's folder {parent} can't be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise IngestError(f"{name}: another process is banking it; wait until it is done") from error
        os.utime(folder)
        try:
            yield folder
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


def sizes(folder: Path) -> list[int]:
    """Give the sizes of the files in a folder, as a sign of life of who writes them."""
    found = []
    for path in sorted(folder.iterdir()):
        with suppress(OSError):
            found.append(path.stat().st_size)
    return found


def flush_folder(folder: Path) -> None:
    """Make a rename last over a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
