"""Where files of imported items lie: below the data roots only, links followed; no local one is opened."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from mosaics.errors import IngestError
from mosaics.item_assets import path_of
from mosaics.places import DataRoot, ObjectAddress, is_object, lies_below
from mosaics.tiff.objects import ObjectStore

_GDAL_S3: Final = "/vsis3/"
_MOST_FOLDERS: Final = 10_000
"""Whose real places are remembered."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where files may lie."""

    root: Path
    """The home's data folder, resolved, which relative hrefs of our own items start from."""
    roots: tuple[DataRoot, ...]
    """Folders, resolved, and prefixes of the store; that of the home is among them."""
    objects: ObjectStore | None = None
    """The store that objects lie in; None: there is none."""
    _folders: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def check(self, href: str, *, is_there: bool) -> None:
        """Check that a file of one of our own items lies below a root.

        Args:
            href: As the item has it.
            is_there: Whether a local file must be there too; an object is not asked for.

        Raises:
            IngestError: If it does not, or is not.
        """
        try:
            place = path_of(href, self.root)
        except ValueError:
            raise _outside(href) from None
        if is_object(place):
            if not lies_below(place, self.roots):
                raise _outside(href)
            return
        state = self._state(place)
        if state is None and is_there:
            raise IngestError(f"its file {href!r} is not there")

    def of_foreign(self, href: str, start: Path) -> str:
        """Give the absolute path or the address of a file that a foreign item names.

        Args:
            href: A path, relative to `start` or absolute, `file://`, `s3://` or GDAL's `/vsis3/`.
            start: Folder of the file that the item stands in.

        Raises:
            IngestError: If it lies below no root.
        """
        if href.startswith(_GDAL_S3):
            href = f"s3://{href.removeprefix(_GDAL_S3)}"
        if is_object(href):
            if not lies_below(href, self.roots):
                raise _outside(href)
            return str(ObjectAddress.parse(href))
        if href.startswith("file:"):
            parts = urlsplit(href)
            href = unquote(parts.path) if parts.netloc in {"", "localhost"} else href
        if "://" in href or "\x00" in href:
            raise _outside(href)
        return os.path.normpath(start / href)

    def state(self, place: str, name: str) -> str:
        """Give what changes whenever the bytes of a foreign item's file do: its ETag, or size and time.

        Args:
            place: As `of_foreign` gave it.
            name: What it is called in messages.

        Raises:
            IngestError: If it is not there, or lies below no root.
        """
        if not is_object(place):
            found = self._state(place)
            if found is None:
                raise IngestError(f"its file {name!r} is not there")
            return f"{found.st_size}-{found.st_mtime_ns}"
        if self.objects is None:
            raise IngestError("no store of objects is configured")
        try:
            return self.objects.open(ObjectAddress.parse(place)).etag
        except (OSError, ValueError) as error:
            raise IngestError(f"its object {name!r} can't be read: {error}") from error

    def _state(self, path: str) -> os.stat_result | None:
        """Look at a regular file below the roots; None: there is none.

        Raises:
            IngestError: If it lies below no root.
        """
        folder, name = os.path.split(path)
        real = self._folders.get(folder)
        if real is None:
            if len(self._folders) >= _MOST_FOLDERS:
                self._folders.clear()
            real = self._folders[folder] = os.path.realpath(folder)
        try:
            found = os.lstat(f"{real}/{name}")
        except (OSError, ValueError):
            found = None
        is_link = found is not None and stat.S_ISLNK(found.st_mode)
        if not lies_below(path, self.roots) if is_link or name in {"", ".", ".."} else not self._holds(real):
            raise _outside(path)
        if is_link:
            try:
                found = os.stat(path)  # noqa: PTH116 - a Path costs more than the call
            except OSError:
                return None
        return found if found is not None and stat.S_ISREG(found.st_mode) else None

    def _holds(self, folder: str) -> bool:
        """Tell whether a real folder is a root or below one."""
        return any(
            isinstance(root, Path) and f"{folder}/".startswith(f"{str(root).rstrip('/')}/")
            for root in self.roots
        )


def _outside(href: str) -> IngestError:
    shown = href if len(href) < 200 else f"{href[:200]}..."
    return IngestError(
        f"its file {shown!r} lies below no data root; name the folder or prefix that holds it in data_roots"
    )
