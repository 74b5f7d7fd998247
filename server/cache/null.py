"""The cache that keeps nothing."""

from __future__ import annotations

from mosaics.models import EncodedTile


class NullTileCache:
    """Every key is a miss."""

    def get(self, key: str) -> EncodedTile | None:  # noqa: ARG002 - the Protocol names it
        """Give None."""
        return None

    def put(self, key: str, tile: EncodedTile) -> None:
        """Forget the tile."""
