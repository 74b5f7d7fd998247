"""What a running server is made of; built once by app.py and handed on."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from auth.credentials import Peppers
from mosaics.change_look import Change
from mosaics.encode import Quality
from mosaics.grids import Grid
from mosaics.models import EncodedTile
from mosaics.own_style import OwnStyles
from mosaics.read import SceneReader
from mosaics.registry import Registry
from mosaics.sensors import Sensor
from mosaics.stored import StoredBlocks
from mosaics.styles import Style
from server.admission import Admission
from server.cache.base import TileCache
from server.cache.single_flight import SingleFlight
from server.decisions import Decisions
from server.resolutions import Resolutions
from server.settings import Settings
from server.snapshots import Knowledge
from server.usage.meter import Meter


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of the wish for a picture."""

    tile: EncodedTile | None
    """None: it can't be made as it was wished."""
    whole: bool = True
    """False where a source file failed: then nobody keeps it."""
    cached: bool = False
    """True when no pixel was read for it."""
    stored: bool = False
    """True when it was drawn ahead."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a handler may use."""

    settings: Settings
    knowledge: Knowledge
    peppers: Peppers
    grids: Registry[Grid]
    sensors: Registry[Sensor]
    styles: Registry[Style]
    indices: Registry[Style]
    """Named formulas, each as the style that shows it."""
    changes: Registry[Change]
    """How differences of two dates are shown."""
    own_styles: OwnStyles
    """Makes the styles that callers want."""
    reader: SceneReader
    quality: Quality
    """What pictures lose in each format."""
    stored: StoredBlocks
    """Tiles that banking drew ahead."""
    cache: TileCache
    """In memory, quick enough for the event loop."""
    deep_cache: TileCache
    """The same and what lies behind it; only in threads."""
    cache_threads: Executor
    """Where the deep cache is asked, so that no answer that exists queues behind one that is made."""
    flights: SingleFlight[Made]
    """What is being made now."""
    admission: Admission
    """Gives the threads of `pool` to renders, in turns."""
    decisions: Decisions
    """Remembers what was decided."""
    resolutions: Resolutions
    """Remembers which scenes tiles are made of."""
    meter: Meter
    """Takes rates and quotas, and counts."""
    pool: Executor
    """Bounded threads for pixels, given out by `admission`; only health goes around it."""
    desk: Executor
    """A few threads for what may wait for a database or write it, so that no tile queues behind that."""
