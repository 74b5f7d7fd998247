"""Remembers which scenes a tile is made of, for all callers to whom the same is open in the same way."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NamedTuple
from weakref import ReferenceType, ref

from cachetools import LRUCache

from mosaics.filters import SceneFilter
from mosaics.layers import Layer
from mosaics.resolve import ResolvedTile
from mosaics.visual import StoredBlock

_OVERHEAD: Final = 1000
"""Bytes that an entry costs: key, request, frame, content key."""
_EACH: Final = 200
"""Bytes of a scene in a tile: where it stands in the catalogue, and how it is shown."""


class Resolved(NamedTuple):
    """The scenes of a tile, its content key, and the block drawn ahead that it may be."""

    tile: ResolvedTile
    key: str
    block: StoredBlock | None = None


class Resolutions:
    """Resolved tiles by layer, filter and request, bounded in bytes; used on the event loop only.

    A layer is one state of the catalogue seen through one filter. It is known by its identity and not held:
    one that is gone holds all the scenes of a catalogue that is no longer.
    """

    def __init__(self, max_bytes: int = 10_000_000) -> None:
        self._kept: LRUCache[tuple[int, str, Hashable], tuple[ReferenceType[Layer], Resolved]] = LRUCache(
            max_bytes, getsizeof=lambda kept: _OVERHEAD + _EACH * len(kept[1].tile.contributions)
        )

    @property
    def size_bytes(self) -> int:
        """What is held now."""
        return int(self._kept.currsize)

    def get(self, layer: Layer, opened: SceneFilter, request: Hashable) -> Resolved | None:
        """Give what a request was resolved to; None: it is not known."""
        if opened.metered:  # the digest of another whose rights are not may be the same
            return None
        kept = self._kept.get((id(layer), opened.digest, request))
        return kept[1] if kept is not None and kept[0]() is layer else None

    def put(self, layer: Layer, opened: SceneFilter, request: Hashable, resolved: Resolved) -> None:
        """Keep what a request was resolved to, unless it alone is larger than what may be kept.

        Where some right is metered nothing is kept: whose it is is no part of a filter's digest.
        """
        kept = ref(layer), resolved
        if not opened.metered and self._kept.getsizeof(kept) <= self._kept.maxsize:
            self._kept[id(layer), opened.digest, request] = kept
