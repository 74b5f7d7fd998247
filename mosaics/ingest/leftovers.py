"""Finds files in the home that no scene has: of runs that were killed, and of scenes that were taken out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mosaics.catalog.base import CatalogReader
from mosaics.errors import IngestError
from mosaics.ingest.turn import one_at_a_time
from mosaics.ingest.workplace import TEMPORARY
from mosaics.item_assets import path_of
from mosaics.places import is_object

_FOLDERS: Final = ("cogs", "quicklooks", "visuals")
"""Of the home's data, that banking writes into; each holds a folder a collection."""
_DRAWN: Final = "visuals"
"""Tiles that are drawn ahead lie there a moment before the catalogue knows of them, in nobody's turn."""
_DRAWN_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """A file that no scene has."""

    path: Path
    size: int
    """Bytes."""
    written: datetime
    """UTC."""


def find_leftovers(root: Path, catalog: CatalogReader) -> tuple[Leftover, ...]:
    """Find the files of a home's data that no scene in the catalogue has, by path.

    A run that banks meanwhile may be about to register one of them. What it still works on, in folders of
    its own, is none.

    Args:
        root: The home's data folder.
        catalog: All scenes.

    Raises:
        CatalogUnavailableError: If the catalogue does not answer.
    """
    root = root.resolve()
    return _unknown(root, _items(catalog))


def remove_leftovers(root: Path, catalog: CatalogReader) -> tuple[Leftover, ...]:
    """Remove these files, in the turn of those that register: nobody can be about to.

    Tiles drawn ahead stay for a day, since they are brought to their place before their turn.

    Args:
        root: The home's data folder.
        catalog: All scenes.

    Returns:
        What was removed.

    Raises:
        IngestError: If the catalogue has no scene at all, so that it may be another home's.
        CatalogUnavailableError: If the catalogue does not answer.
    """
    root = root.resolve()
    with one_at_a_time(root):
        items = _items(catalog)
        found = _unknown(root, items)
        if found and not items:
            raise IngestError(
                f"nothing is removed from {root}: the catalogue has no scene at all, so it may not be that "
                "of this home; look at FLUX_DATABASE_URL and --home, or remove the files yourself"
            )
        return tuple(each for each in found if not _is_new_drawing(root, each) and _removed(each.path))


def _items(catalog: CatalogReader) -> dict[tuple[str, str], dict[str, Any]]:
    """Give the item of each scene, by collection and id."""
    return dict(catalog.items())


def _unknown(root: Path, items: dict[tuple[str, str], dict[str, Any]]) -> tuple[Leftover, ...]:
    known, unreadable = set[str](), set[tuple[str, str]]()
    for key, item in items.items():
        try:
            known.update(_paths(item, root))
        except (AttributeError, KeyError, TypeError, ValueError):
            unreadable.add(key)  # what is its can't be told, so all that is called like it is kept
    found = []
    for path in _files(root):
        if os.path.realpath(path) in known or _scene_of(root, path) in unreadable:
            continue
        with suppress(OSError):  # it went meanwhile
            status = path.stat()
            written = datetime.fromtimestamp(status.st_mtime, UTC)
            found.append(Leftover(path=path, size=status.st_size, written=written))
    return tuple(sorted(found, key=lambda each: each.path))


def _paths(item: dict[str, Any], root: Path) -> Iterator[str]:
    """Give where the files of a scene lie, of those that are no objects of a store."""
    hrefs: Iterable[str] = [asset["href"] for asset in item["assets"].values()]
    for href in hrefs:
        path = path_of(href, root)
        if not is_object(path):
            yield os.path.realpath(path)


def _files(root: Path) -> Iterator[Path]:
    """Give the files that banking brought to their place; links lead elsewhere, and are none."""
    for name in _FOLDERS:
        for folder, folders, files in os.walk(root / name):
            folders[:] = [each for each in folders if not each.startswith(TEMPORARY)]
            for file in files:
                path = Path(folder, file)
                if not path.is_symlink():
                    yield path


def _scene_of(root: Path, path: Path) -> tuple[str, str]:
    """Give collection and id of the scene that a file is called after."""
    kind, collection_id, *_ = path.relative_to(root).parts
    return collection_id, path.stem.rpartition(".")[0] if kind == _DRAWN else path.stem


def _is_new_drawing(root: Path, leftover: Leftover) -> bool:
    drawn = leftover.path.is_relative_to(root / _DRAWN)
    return drawn and time.time() - leftover.written.timestamp() < _DRAWN_SECONDS


def _removed(path: Path) -> bool:
    with suppress(FileNotFoundError):
        path.unlink()
        return True
    return False
