"""What is known of something that is banked, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mosaics.ingest.deliveries.prepare import GroundOptions
from mosaics.models import Scene
from mosaics.sensors import Sensor


@dataclass(frozen=True, kw_only=True, slots=True)
class BankOptions:
    """What the person who banks a file says of it; None: find out."""

    collection_id: str | None = None
    """Its collection; otherwise named as its sensor."""
    licence_id: str | None = None
    """Its licence; otherwise that of its collection."""
    sensor: Sensor | None = None
    """Its sensor; otherwise guessed."""
    acquired: datetime | None = None
    """Acquisition time, UTC."""
    attribution: str | None = None
    """Copyright line; otherwise the product's, otherwise the sensor's."""
    bands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Common names of the bands of a group, in file order, where the product says others than its sensor's
    table; under the empty name those of the only group, or the leading one."""
    nodata: float | None = None
    """What means nothing in an image that doesn't say."""
    ground: GroundOptions = field(default_factory=GroundOptions)
    """How images in sensor geometry are put on the ground."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BankResult:
    """What became of a file."""

    status: Literal["banked", "unchanged"]
    """unchanged: the same content was in the catalogue already."""
    collection_id: str
    """Where it is in the catalogue."""
    scene_id: str
    """As what."""
    scene: Scene | None = None
    """The scene as it was banked; None if unchanged."""
    in_place: bool = False
    """It is served where it lies; otherwise it was converted."""
    messages: tuple[str, ...] = ()
    """What the person who banks should know."""
