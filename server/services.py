"""What a running server is made of; built once by app.py and handed on."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from auth.credentials import Peppers
from mosaics.grids import Grid
from mosaics.read import SceneReader
from mosaics.registry import Registry
from mosaics.sensors import Sensor
from mosaics.styles import Style
from server.cache.base import TileCache
from server.decisions import Decisions
from server.resolutions import Resolutions
from server.settings import Settings
from server.snapshots import Knowledge
from server.usage.meter import Meter


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a handler may use."""

    settings: Settings
    knowledge: Knowledge
    peppers: Peppers
    grids: Registry[Grid]
    sensors: Registry[Sensor]
    styles: Registry[Style]
    reader: SceneReader
    cache: TileCache
    decisions: Decisions
    """Remembers what was decided."""
    resolutions: Resolutions
    """Remembers which scenes tiles are made of."""
    meter: Meter
    """Takes rates and quotas, and counts."""
    pool: Executor
    """Bounded threads for pixels; never the event loop."""
    desk: Executor
    """A few threads for what may wait for a database or write it, so that no tile queues behind that."""
