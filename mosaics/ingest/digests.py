"""Digests of files: what a scene is known by, and what its item states."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mosaics.errors import IngestError
from mosaics.ingest.source import Progress

_REPORT_SECONDS: Final = 0.1


class _GivenUpError(Exception):
    """Nobody wants the digest any more."""


class Digesting:
    """Finds the digests of a file beside other work; a context manager, at whose end it gives up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done = 0.0
        self._is_wanted = True
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="digests")
        self._found: Future[tuple[str, str]]

    def __enter__(self) -> Self:
        """Begin."""
        self._found = self._thread.submit(digests, self._path, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up, unless it is found."""
        self._is_wanted = False
        self._thread.shutdown()

    @property
    def is_done(self) -> bool:
        """`result` would not wait."""
        return self._found.done()

    def result(self, progress: Progress) -> tuple[str, str]:
        """Wait for what `digests` gives.

        Args:
            progress: Told in this thread how far it is.

        Raises:
            IngestError: If the file can't be read.
        """
        while True:
            try:
                return self._found.result(_REPORT_SECONDS)
            except TimeoutError:
                progress("hashing", self._done)

    def _note(self, _stage: str, done: float) -> None:
        if not self._is_wanted:
            raise _GivenUpError
        self._done = done


def digests(path: Path, progress: Progress) -> tuple[str, str]:
    """Give the identity of the content handed in (with its external mask) and the file's own SHA-256."""
    sha256 = file_sha256(path, path.name, lambda done: progress("hashing", done))
    sidecar = path.with_name(f"{path.name}.msk")
    if not sidecar.is_file():
        return sha256, sha256
    both = hashlib.sha256(bytes.fromhex(sha256))
    both.update(bytes.fromhex(file_sha256(sidecar, sidecar.name, lambda _: None)))
    return both.hexdigest(), sha256


def file_sha256(path: Path, name: str, report: Callable[[float], None]) -> str:
    """Hash a file."""
    digest, done, total = hashlib.sha256(), 0, max(1, path.stat().st_size)
    try:
        with path.open("rb") as file:
            while chunk := file.read(8 << 20):
                digest.update(chunk)
                done += len(chunk)
                report(min(1.0, done / total))
    except OSError as error:
        raise IngestError(f"{name}: can't be read: {error.strerror}") from error
    return digest.hexdigest()
