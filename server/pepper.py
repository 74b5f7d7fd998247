"""The secret that keys are hashed with: from the settings, or a file of mode 0600 in the home."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from auth.credentials import Peppers
from server.settings import Settings


def load_peppers(settings: Settings) -> Peppers:
    """Give the secret, making the file at the first use.

    Raises:
        PermissionError: If others may read the file.
    """
    if settings.auth.pepper is not None:
        return Peppers(by_version={1: settings.auth.pepper.get_secret_value().encode()})
    path = settings.pepper_file
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path.name} in the home must not be readable by others: chmod 600")
    text = path.read_text().strip()
    if not text:
        raise PermissionError(f"{path.name} in the home is empty: keys can't be checked")
    return Peppers(by_version={1: text.encode()})


def _make(path: Path) -> None:
    """Write a new secret under its name only when it is whole; of several processes the first has the say."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=".pepper-")  # of mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(written, path)
    finally:
        Path(written).unlink()
