"""Scenes for tests that need no file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import shapely

from mosaics.filters import Fineness, SceneFilter, SceneRule, SceneSet
from mosaics.models import Band, Collection, Scene, Text


def scene(id_: str = "a", **more: Any) -> Scene:
    values: dict[str, Any] = {
        "id": id_,
        "collection_id": "c",
        "licence_id": None,
        "sensor_id": "rgb",
        "kind": "optical",
        "acquired": datetime(2024, 5, 17, 10, 30, tzinfo=UTC),
        "footprint": shapely.box(1, 43, 2, 44),
        "href": "/nowhere/a.tif",
        "generation": "g",
        "width": 100,
        "height": 100,
        "ground_resolution": 0.5,
        "bands": tuple(Band(name=n, common_name=n) for n in ("red", "green", "blue")),
        "styles": ("natural",),
        "sequence": 1,
    }
    return Scene(**{**values, **more})


def collection(id_: str = "c", **more: Any) -> Collection:
    return Collection(id=id_, title=Text(fr="Titre", en="Title"), description=Text(fr="", en=""), **more)


def no_finer_than(limit: float) -> SceneFilter:
    """Give a filter that opens everything, but no finer than so many metres per pixel."""
    return SceneFilter((SceneRule(scenes=SceneSet(), fineness=Fineness(ground_resolution=limit)),))
