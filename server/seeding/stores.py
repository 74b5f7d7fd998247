"""Where seeded tiles are kept: what any such place can do, and the cache of the server as one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mosaics.models import EncodedTile
from server.cache.disk import DiskTileCache
from server.seeding.plan import Place


class StoreFullError(OSError):
    """There is no room for more tiles; those that are kept are whole."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"no space left (or none allowed) in {folder}: {reason}. What is made stays: free some and do "
            "the same again, it goes on"
        )
        self.folder = folder


class TileStore(Protocol):
    """Keeps tiles under their place and content key."""

    @property
    def media_type(self) -> str | None:
        """The one kind of tiles that it takes; None: any."""

    @property
    def keeps_ahead(self) -> bool:
        """Whether tiles that banking drew ahead are kept too; else whoever asks is given them anyway."""

    def has(self, place: Place, key: str) -> bool:
        """Tell whether a tile is kept as it would be made now; asked by several threads at once."""

    def is_there(self, place: Place) -> None:
        """Be told that a tile was kept before, and is still wanted; one thread."""

    def keep(self, place: Place, key: str, tile: EncodedTile) -> int:
        """Keep a tile; one thread. One without contributors is empty.

        Returns:
            Bytes that it takes; 0 for an empty one that is only noted.

        Raises:
            StoreFullError: If there is no room, or it can't be written; then nothing of it is left.
        """


@dataclass(frozen=True, kw_only=True)
class CacheStore:
    """The cache on disk that all workers of a home share: what is kept is a hit for whoever asks."""

    cache: DiskTileCache
    folder: Path
    """Of the cache, for messages."""
    media_type: None = None
    keeps_ahead: bool = False

    def has(self, place: Place, key: str) -> bool:  # noqa: ARG002 - content has no place
        """Tell whether a tile is kept, whole; it counts as used now."""
        return self.cache.get(key) is not None

    def is_there(self, place: Place) -> None:
        """Nothing is to be done."""

    def keep(self, place: Place, key: str, tile: EncodedTile) -> int:  # noqa: ARG002 - content has no place
        """Keep a tile as a request would; an empty one too, since to know it some file had to be read."""
        try:
            self.cache.keep(key, tile)
        except OSError as error:
            raise StoreFullError(self.folder, error.strerror or str(error)) from error
        return len(tile.data)


@dataclass(frozen=True, kw_only=True)
class NoStore:
    """Keeps nothing, for estimates."""

    media_type: None = None
    keeps_ahead: bool = True

    def has(self, place: Place, key: str) -> bool:  # noqa: ARG002 - the signature is that of stores
        """Tell that nothing is kept."""
        return False

    def is_there(self, place: Place) -> None:
        """Do nothing."""

    def keep(self, place: Place, key: str, tile: EncodedTile) -> int:  # noqa: ARG002 - the signature is that of stores
        """Keep nothing."""
        return 0
