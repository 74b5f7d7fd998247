"""Temporary folders on the disk of the bank, and what makes a finished file last."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from rasterio.errors import RasterioError

from mosaics.errors import IngestError
from mosaics.gdal import deepest_reason

TEMPORARY: Final = ".banking-"
"""How the names of files and folders begin that are not finished."""
_STALE_SECONDS: Final = 24 * 3600
_SPACE_NEEDED: Final = 16 << 20


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
        _prepare(parent)
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

    It goes when the work is done or fails; after a kill, or Ctrl-C, it stays for a day. Whoever comes while
    another works on the same waits until that is over.

    Args:
        parent: Where; made if it is not there.
        digest: Of what is worked on.
        name: Of it, for messages.

    Raises:
        IngestError: If it can't be made.
    """
    folder = _folder_of(parent, digest)
    try:
        _prepare(parent)
        descriptor = _locked(folder)
    except OSError as error:
        raise IngestError(f"{name}: the bank's folder {parent} can't be written: {error.strerror}") from error
    try:
        os.utime(folder)
        try:
            yield folder
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


def _prepare(parent: Path) -> None:
    """Make a folder that holds temporary ones, and take away what killed processes left long ago in it."""
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob(f"{TEMPORARY}*"):
        with suppress(OSError):  # another process may be as quick
            if old.is_dir() and time.time() - old.stat().st_mtime > _STALE_SECONDS:
                _remove_unless_used(old)


def clear_away(parent: Path, digest: str) -> None:
    """Take away the lasting folder of work that is done: a process killed right after it has left it."""
    with suppress(OSError):  # there is none, nearly always
        _remove_unless_used(_folder_of(parent, digest))


def _folder_of(parent: Path, digest: str) -> Path:
    return parent / f"{TEMPORARY}{digest[:20]}"


def _remove_unless_used(folder: Path) -> None:
    descriptor = _open(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


def _locked(folder: Path) -> int:
    """Make a folder and lock it; another process may take it away while this one waits for it."""
    while True:
        folder.mkdir(exist_ok=True)
        descriptor = None
        with suppress(FileNotFoundError):
            descriptor = _open(folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
        if descriptor is not None:
            os.close(descriptor)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Tell whether writing below a folder failed because there is, or was, no room."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return True
        # libtiff tells that writing failed, not why
        if any(words in str(cause) for words in ("Write error", "Seek error", "Write failed")):
            return True
        cause = cause.__cause__
    try:
        return shutil.disk_usage(folder).free < _SPACE_NEEDED
    except OSError:
        return False


def no_room(name: str, folder: Path) -> IngestError:
    """Say that the disk of the bank is full.

    Args:
        name: Of what is banked.
        folder: A temporary one, or one in it.
    """
    bank = next((each for each in folder.parents if TEMPORARY not in str(each)), folder)
    return IngestError(
        f"{name}: no space left (or none allowed) on the disk of the bank ({bank}); about three times the "
        "size of the image is needed while it is converted. Free some, or choose another --home"
    )


@contextmanager
def disk_errors(name: str, folder: Path) -> Iterator[None]:
    """Turn errors of writing into refusals; a full disk is named as such."""
    try:
        yield
    except (RasterioError, OSError, MemoryError, IngestError) as error:
        if is_disk_full(error, folder):
            raise no_room(name, folder) from error
        if isinstance(error, IngestError):
            raise
        reason = deepest_reason(error, str(folder))
        raise IngestError(f"{name}: it can't be converted: {reason}") from error


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
