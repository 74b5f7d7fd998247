"""Makes scenes of the catalogue's items, with what the sensors' files know of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mosaics.item import scene_from_item
from mosaics.models import Scene
from mosaics.registry import Registry
from mosaics.sensors import Sensor


def scene_maker(root: Path, sensors: Registry[Sensor]) -> Callable[[dict[str, Any], int], Scene]:
    """Give what makes a scene of a STAC item and its sequence.

    Args:
        root: Where banked files live.
        sensors: All sensors; their panchromatic resolution is what preview tiers count in.
    """

    def make(item: dict[str, Any], sequence: int) -> Scene:
        scene = scene_from_item(item, root=root, sequence=sequence)
        if scene.sensor_id not in sensors:
            return scene
        return replace(scene, pan_resolution=sensors.get(scene.sensor_id).pan_resolution)

    return make
