"""What the benchmark compares is what its table says."""

from __future__ import annotations

import pytest

from benchmarks.servers import NO_TILE_CACHE
from server.settings import Settings


def test_without_a_tile_cache_no_tile_is_kept_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NO_TILE_CACHE.items():
        monkeypatch.setenv(name, value)
    tiles = Settings().tiles.model_dump()
    kept = {name: size for name, size in tiles.items() if name.endswith("cache_megabytes")}
    assert kept.pop("block_cache_megabytes") > 0
    assert len(kept) == 2
    assert not any(kept.values())
