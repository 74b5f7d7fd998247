"""Makes scenes of the catalogue's items, with what the sensors' files know of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapely.geometry.base import BaseGeometry

from mosaics.item import scene_from_item
from mosaics.models import Scene
from mosaics.registry import Registry
from mosaics.sensors import Sensor


@dataclass(frozen=True, kw_only=True)
class SceneOfItem:
    """Makes a scene of a STAC item and its sequence."""

    root: Path
    """Where banked files live."""
    sensors: Registry[Sensor]
    """All sensors; their panchromatic resolution is what preview tiers count in."""

    def __call__(self, item: dict[str, Any], sequence: int, footprint: BaseGeometry | None = None) -> Scene:
        """Make a scene."""
        pan = self.pan_resolution(sensor_of(item))
        return scene_from_item(
            item, root=self.root, sequence=sequence, footprint=footprint, pan_resolution=pan
        )

    def pan_resolution(self, sensor_id: str) -> float | None:
        """Give the panchromatic resolution of a sensor, metres per pixel; None: it has not one."""
        return self.sensors.get(sensor_id).pan_resolution if sensor_id in self.sensors else None


def sensor_of(item: Any) -> str:
    """Give the sensor of an item; a broken one has none."""
    try:
        return str(item["properties"]["flux:sensor"])
    except (KeyError, TypeError):
        return ""
