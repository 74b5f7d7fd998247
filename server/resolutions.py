"""Remembers which scenes a tile is made of, for all callers to whom the same is open in the same way."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from cachetools import LRUCache

from mosaics.filters import SceneFilter
from mosaics.layers import Layer
from mosaics.resolve import ResolvedTile
from mosaics.visual import StoredBlock


class Resolved(NamedTuple):
    """The scenes of a tile, its content key, and the block drawn ahead that it may be."""

    tile: ResolvedTile
    key: str
    block: StoredBlock | None = None


class Resolutions:
    """Resolved tiles by layer, filter and request; used on the event loop only.

    A layer is one state of the catalogue seen through one filter. It is known by its identity, and held, so
    that its identity is nobody else's.
    """

    def __init__(self, size: int = 8192) -> None:
        self._kept: LRUCache[tuple[int, str, Hashable], tuple[Layer, Resolved]] = LRUCache(size)

    def get(self, layer: Layer, opened: SceneFilter, request: Hashable) -> Resolved | None:
        """Give what a request was resolved to; None: it is not known."""
        if opened.metered:  # the digest of another whose rights are not may be the same
            return None
        kept = self._kept.get((id(layer), opened.digest, request))
        return None if kept is None else kept[1]

    def put(self, layer: Layer, opened: SceneFilter, request: Hashable, resolved: Resolved) -> None:
        """Keep what a request was resolved to.

        Where some right is metered nothing is kept: whose it is is no part of a filter's digest.
        """
        if not opened.metered:
            self._kept[id(layer), opened.digest, request] = (layer, resolved)
