"""Where, when and which: the values that say how far a right reaches, and how each is written down."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Annotated, Any, ClassVar, Final

import shapely
from pydantic import (
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SerializationInfo,
    ValidationInfo,
    WithJsonSchema,
)
from shapely.geometry import mapping, shape

EVERYWHERE: None = None
"""An area written out as everywhere: no polygon cuts. A right without an area is invalid, so its document
holds the word and only the values turn it into this."""

EVERYWHERE_WORD: Final = "everywhere"
"""What a document says where no polygon cuts; a document without an area is refused."""

STRICT: Final = ConfigDict(extra="forbid", frozen=True)
"""Of every value that has a document: a field nobody knows is an error, never silently left out."""

STORED: Final = "stored"
"""Context of documents that the store writes and reads back: areas stand in them as WKB, checked before."""

MOST_VERTICES: Final = 100_000
"""Of an area."""

_POLYGONS: Final = frozenset({"Polygon", "MultiPolygon"})
_OPEN: Final = ".."


def aware(instant: datetime) -> datetime:
    """Refuse a date without a time zone, and give it in UTC.

    Raises:
        ValueError: If it has none.
    """
    if instant.tzinfo is None:
        raise ValueError("a date of rights needs a time zone")
    return instant.astimezone(UTC)


def written_instant(instant: datetime) -> str:
    """Write an instant as RFC 3339, UTC."""
    return aware(instant).isoformat().replace("+00:00", "Z")


def _read_instant(value: object) -> object:
    if isinstance(value, str):
        return aware(datetime.fromisoformat(value))
    return aware(value) if isinstance(value, datetime) else value


Instant = Annotated[datetime, BeforeValidator(_read_instant), PlainSerializer(written_instant)]
"""A moment with a time zone; written as RFC 3339 in UTC."""


def _ordered(names: frozenset[str]) -> list[str]:
    return sorted(names)


Names = Annotated[frozenset[str], PlainSerializer(_ordered, return_type=list[str])]
"""A set of words, written as a sorted list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """A polygon of rights."""

    wkb: bytes
    """WKB of a valid Polygon or MultiPolygon, longitude and latitude (WGS 84)."""
    digest: str
    """Hex digest of the wkb, 16 characters."""


def new_area(wkb: bytes) -> Area:
    """Make an area of its WKB.

    Args:
        wkb: A valid Polygon or MultiPolygon without Z, longitude and latitude (WGS 84).

    Raises:
        ValueError: If it is anything else.
    """
    try:
        geometry = shapely.from_wkb(wkb)
    except shapely.errors.ShapelyError as error:
        raise ValueError("an area is the WKB of a Polygon or MultiPolygon") from error
    check_geometry(geometry)
    return _area(wkb)


def _area(wkb: bytes) -> Area:
    return Area(wkb=wkb, digest=hashlib.sha256(wkb).hexdigest()[:16])


def check_geometry(geometry: Any) -> None:
    """Refuse what can't be an area.

    Raises:
        ValueError: With the reason.
    """
    if geometry is None or geometry.geom_type not in _POLYGONS or geometry.is_empty:
        raise ValueError("an area must be a Polygon or MultiPolygon that is not empty")
    if geometry.has_z:
        raise ValueError("an area has longitudes and latitudes only, no heights")
    vertices = int(shapely.get_num_coordinates(geometry))
    if vertices > MOST_VERTICES:
        raise ValueError(f"the area has {vertices} vertices; simplify it to {MOST_VERTICES} or fewer")
    west, south, east, north = geometry.bounds
    if not (west >= -180 and south >= -90 and east <= 180 and north <= 90):
        raise ValueError("an area must be in longitude and latitude (WGS 84), within -180..180 and -90..90")
    if not geometry.is_valid:
        raise ValueError(f"the area is not a valid polygon: {shapely.is_valid_reason(geometry)}")


def read_area(value: object, info: ValidationInfo) -> object:
    """Read an area as documents write it: the word everywhere, or a GeoJSON geometry.

    Raises:
        ValueError: If it is neither; a missing area (null) is refused too.
    """
    if isinstance(value, Area):
        return value
    if value == EVERYWHERE_WORD:
        return None
    if info.context == STORED and isinstance(value, str):
        return _area(base64.b64decode(value, validate=True))
    if not isinstance(value, dict) or value.get("type") not in _POLYGONS:
        raise ValueError("an area is the word 'everywhere' or a GeoJSON Polygon or MultiPolygon")
    try:
        geometry = shape(value)
    except Exception as error:  # shapely and numpy raise many kinds for coordinates that are none
        raise ValueError("the area is not a GeoJSON geometry") from error
    return new_area(shapely.to_wkb(shapely.force_2d(geometry)))


def written_area(area: Area | None, info: SerializationInfo) -> object:
    """Write an area down."""
    if area is None:
        return EVERYWHERE_WORD
    if info.context == STORED:
        return base64.b64encode(area.wkb).decode()
    return dict(mapping(shapely.from_wkb(area.wkb)))


Place = Annotated[
    Area | None,
    BeforeValidator(read_area),
    PlainSerializer(written_area),
    WithJsonSchema(
        {
            "oneOf": [
                {"const": EVERYWHERE_WORD},
                {
                    "type": "object",
                    "description": "A GeoJSON Polygon or MultiPolygon, WGS 84.",
                    "required": ["type", "coordinates"],
                },
            ]
        }
    ),
]
"""An area, or None for everywhere; written as GeoJSON or as the word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A half-open span of UTC time; None on a side: unbounded there."""

    start: datetime | None = None
    """First instant inside."""
    end: datetime | None = None
    """First instant outside."""

    def contains(self, instant: datetime) -> bool:
        """Tell whether the instant is inside."""
        return (self.start is None or self.start <= instant) and (self.end is None or instant < self.end)

    def within(self, other: Window) -> Window | None:
        """Give the common part with another; None where there is none."""
        if other == ALWAYS:
            return self
        starts = [s for s in (self.start, other.start) if s is not None]
        ends = [e for e in (self.end, other.end) if e is not None]
        start, end = max(starts, default=None), min(ends, default=None)
        if start is not None and end is not None and start >= end:
            return None
        return Window(start=start, end=end)


ALWAYS: Final = Window()
"""The window that every instant is in."""


def read_window(value: object) -> object:
    """Read a window as documents write it: `A/B`, each a date or an instant, `..` for no end.

    Raises:
        ValueError: If it is malformed, or ends before it begins.
    """
    if isinstance(value, Window):
        window = value
    else:
        parts = value.split("/") if isinstance(value, str) else []
        if len(parts) != 2:
            raise ValueError("a span of time is written A/B, with .. for no beginning or no end")
        window = Window(start=_bound(parts[0]), end=_bound(parts[1]))
    for side in (window.start, window.end):
        if side is not None:
            aware(side)
    if window.start is not None and window.end is not None and window.start >= window.end:
        raise ValueError("a window must end after it begins")
    return window


def written_window(window: Window) -> str:
    """Write a window down."""
    return "/".join(_OPEN if side is None else written_instant(side) for side in (window.start, window.end))


def _bound(text: str) -> datetime | None:
    if text == _OPEN:
        return None
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


Span = Annotated[
    Window,
    BeforeValidator(read_window),
    PlainSerializer(written_window),
    WithJsonSchema({"type": "string", "description": "A/B, half-open, UTC; .. for no end."}),
]
"""A window; written as `A/B`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """Which scenes: AND between kinds, OR within one; None: any."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    collections: Names | None = None
    licences: Names | None = None
    sensors: Names | None = None
    scenes: Names | None = None

    def __post_init__(self) -> None:
        for names in (self.collections, self.licences, self.sensors, self.scenes):
            if names is not None and (not names or "" in names):
                raise ValueError("a selector names at least one id, or leaves the kind out")

    def within(self, other: Selector) -> Selector | None:
        """Give the scenes that both select; None where no scene can be in both."""
        if other == ANY_SCENE:
            return self
        common: dict[str, frozenset[str] | None] = {}
        for kind in ("collections", "licences", "sensors", "scenes"):
            mine, theirs = getattr(self, kind), getattr(other, kind)
            both = theirs if mine is None else mine if theirs is None else mine & theirs
            if both is not None and not both:
                return None
            common[kind] = both
        return Selector(**common)


ANY_SCENE: Final = Selector()
"""Selects everything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """What a request tells of where it comes from."""

    origin: str | None = None
    """Origin of the web page that asks, lower case; None: not said."""
    address: IPv4Address | IPv6Address | None = None
    """Address of the client; None: not known."""


UNKNOWN: Final = Circumstances()
"""Nothing is known of where the request comes from."""


@lru_cache(maxsize=4096)
def network_of(text: str) -> IPv4Network | IPv6Network:
    """Read a network; a single address is one too.

    Raises:
        ValueError: If it is none.
    """
    return ip_network(text, strict=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """From where a right may be used; both are weak (a browser says its origin, an address is shared)."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    origins: Names | None = None
    """Origins of web pages, such as https://geo.example.org; None: any."""
    networks: Names | None = None
    """Networks of client addresses, CIDR; None: any."""

    def __post_init__(self) -> None:
        for names in (self.origins, self.networks):
            if names is not None and (not names or "" in names):
                raise ValueError("a condition names at least one origin or network, or is left out")
        for network in self.networks or ():
            network_of(network)

    def hold(self, circumstances: Circumstances) -> bool:
        """Tell whether a request comes from where it must; what is not known fails."""
        if self.origins is not None and circumstances.origin not in self.origins:
            return False
        if self.networks is None:
            return True
        return circumstances.address is not None and any(
            circumstances.address in network_of(network) for network in self.networks
        )


ANYWHERE_FROM: Final = Conditions()
"""The conditions that every request meets."""
