"""Digests of files: what a scene is known by, and what its item states."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from mosaics.errors import IngestError
from mosaics.ingest.source import Progress


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
