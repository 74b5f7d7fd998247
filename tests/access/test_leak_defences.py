"""Each defence against leaks, switched off, is noticed by the leak test."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mosaics.catalog.visible
import mosaics.compose
import mosaics.filters
import mosaics.resolve
import mosaics.values
import server.pipeline
from mosaics.encode import Format, Quality
from mosaics.resolve import ResolvedTile
from mosaics.visual import StoredBlock, stored_block
from tests.access.leak_numbers import feature_statistics, point, statistics, wmts_feature_info
from tests.access.leak_pictures import ahead_tile, preview, same_tile, wmts_tile, xyz_tile
from tests.access.leak_told import info, layer, layers, tilejson
from tests.access.leak_world import World, draw


def _uncut(tile: ResolvedTile, image_format: Format, quality: Quality) -> StoredBlock | None:
    """Find a block as if no area cut any scene."""
    whole = tuple(dataclasses.replace(each, mask=None) for each in tile.contributions)
    return stored_block(dataclasses.replace(tile, contributions=whole), image_format, quality)


def _native(_look: Any, rows: np.ndarray) -> np.ndarray:
    """Say that everything is open as fine as it is."""
    return np.zeros(len(rows))


def _no_limit_of_numbers(patch: pytest.MonkeyPatch) -> None:
    """Open everything at any resolution, and let pixels be chosen as if it were so."""
    patch.setattr(mosaics.filters, "_coarse_enough", lambda *_: True)
    patch.setattr(mosaics.catalog.visible._Look, "finest", _native)


DEFENCES: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], tuple[Any, ...]]] = {
    "the cut at pixel centres": (
        lambda p: p.setattr(mosaics.compose, "cut", lambda _picture, _keep: None),
        (xyz_tile, wmts_tile),
    ),
    "the mask of previews": (
        lambda p: p.setattr(mosaics.compose, "cut", lambda _picture, _keep: None),
        (preview,),
    ),
    "the mask of numbers": (
        lambda p: p.setattr(
            mosaics.values, "inside", lambda _area, frame: np.ones((frame.height, frame.width), bool)
        ),
        (statistics, feature_statistics),
    ),
    "the limit of resolution of tiles": (
        lambda p: p.setattr(mosaics.filters, "_coarse_enough", lambda *_: True),
        (wmts_tile,),
    ),
    "the limit of resolution of numbers": (_no_limit_of_numbers, (statistics,)),
    "the limit at a point": (
        lambda p: p.setattr(mosaics.filters.Fineness, "limit", lambda *_: 0.0),
        (point, wmts_feature_info),
    ),
    "the area at a point": (
        lambda p: p.setattr(mosaics.filters, "_holds_point", lambda *_: True),
        (point, wmts_feature_info),
    ),
    "forbids": (lambda p: p.setattr(mosaics.filters, "_closes", lambda *_: False), (wmts_tile,)),
    "the window of dates": (
        lambda p: p.setattr(mosaics.filters.SceneSet, "_in_window", lambda *_: True),
        (wmts_tile,),
    ),
    "the mask of tiles drawn ahead": (
        lambda p: p.setattr(server.pipeline, "stored_block", _uncut),
        (ahead_tile,),
    ),
    "the mask in the key of the cache": (
        lambda p: p.setattr(
            mosaics.resolve.Contribution,
            "token",
            lambda c: f"{c.scene.collection_id}:{c.scene.id}:{c.scene.sequence}:{c.style.digest}",
        ),
        (same_tile,),
    ),
    "the limit of what is told": (
        lambda p: p.setattr(mosaics.catalog.visible._Look, "finest", _native),
        (info, tilejson, layer),
    ),
    "the extent of what is told": (
        lambda p: p.setattr(
            mosaics.catalog.visible._Look, "_cut", lambda _, rows, *_more: np.ones(len(rows), bool)
        ),
        (info, tilejson, layers),
    ),
}
"""Each defence: how it is switched off, and which routes must notice."""


@pytest.mark.parametrize("defence", DEFENCES)
def test_a_defence_that_is_off_is_noticed(
    world: World, defence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_off, asks = DEFENCES[defence]
    switch_off(monkeypatch)

    def ask_on() -> None:
        for seed in range(200):
            rnd = random.Random(seed)
            draw(world, rnd)
            for ask in asks:
                ask(world, rnd, Counter())

    with pytest.raises(AssertionError):
        ask_on()
