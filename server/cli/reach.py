"""Options that say how far a right reaches, shared by grants, forbids and keys; and their reading."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from auth.models import GRANTABLE, Action, Quota, Rate, Tier
from auth.reach import ALWAYS, Area, Conditions, Selector, Window, read_window
from server.areas import area_of_box, area_of_file
from server.cli.context import USAGE, Context, fail, told

Collections = Annotated[
    list[str] | None, typer.Option("--collection", help="This collection; may be repeated.")
]
Licences = Annotated[
    list[str] | None, typer.Option("--licence", help="Everything under this licence; may be repeated.")
]
Sensors = Annotated[list[str] | None, typer.Option("--sensor", help="This sensor; may be repeated.")]
Scenes = Annotated[list[str] | None, typer.Option("--scene", help="This scene's id; may be repeated.")]
AreaText = Annotated[
    str | None,
    typer.Option(
        "--area",
        help="A GeoJSON file with polygons in longitude and latitude, or W,S,E,N in degrees, or everywhere. "
        "[default: everywhere]",
        show_default=False,
    ),
]
Acquired = Annotated[
    str | None,
    typer.Option(help="Acquisition dates A/B, B not included; `..` for no end, such as 2020-01-01/.."),
]
Valid = Annotated[str | None, typer.Option(help="When it holds, A/B, B not included; `..` for no end.")]
Gsd = Annotated[
    float | None,
    typer.Option("--gsd", help="Finest detail that may be seen, metres per pixel. [default: native]"),
]
ActionsText = Annotated[
    str | None,
    typer.Option("--actions", help="Of catalogue, preview, tile, info, export; joined by commas."),
]
Origins = Annotated[
    list[str] | None,
    typer.Option("--origin", help="Only asked from this web site, such as https://geo.example.org."),
]
Networks = Annotated[
    list[str] | None, typer.Option("--network", help="Only from this network, such as 192.0.2.0/24.")
]
RateText = Annotated[
    str | None, typer.Option("--rate", help="Units a second, such as 50/s or 50/s:200 (200 at once).")
]

_RATE = re.compile(r"(?P<rate>\d+(?:\.\d+)?)(?:/s)?(?::(?P<burst>\d+))?")
_QUOTA = re.compile(r"(?P<amount>\d+)/(?P<period>day|month|year|total)")
_TIER_PART = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>xpan|m)")


def selector_of(
    context: Context,
    *,
    collections: Sequence[str] | None,
    licences: Sequence[str] | None,
    sensors: Sequence[str] | None = None,
    scenes: Sequence[str] | None = None,
) -> Selector:
    """Make the selector of the options; ends with a message where a collection is not there."""
    with told():
        unknown = [c for c in collections or () if context.catalog.collection(c) is None]
    if unknown:
        fail(f"no collection {unknown[0]!r}: bank a scene into it first")
    return Selector(
        collections=_names(collections),
        licences=_names(licences),
        sensors=_names(sensors),
        scenes=_names(scenes),
    )


def area_of(text: str | None) -> Area | None:
    """Read the area: None is everywhere."""
    if text in {None, "everywhere"}:
        return None
    assert text is not None
    parts = text.split(",")
    with told():
        if len(parts) == 4:
            try:
                west, south, east, north = (float(part) for part in parts)
            except ValueError:
                fail(f"--area {text}: four numbers W,S,E,N are wanted", USAGE)
            return area_of_box(west, south, east, north)
        return area_of_file(Path(text))


def window_of(text: str | None, name: str) -> Window:
    """Read a span of time A/B."""
    if text is None:
        return ALWAYS
    try:
        window = read_window(text)
    except ValueError as error:
        fail(f"--{name} {text}: {error}", USAGE)
    assert isinstance(window, Window)
    return window


def gsd_of(gsd: float | None) -> float | None:
    """Check a ground resolution, metres per pixel; None: native."""
    if gsd is not None and not 0 < gsd < math.inf:
        fail(f"--gsd {gsd:g}: metres per pixel are more than 0", USAGE)
    return gsd


def actions_of(text: str | None) -> frozenset[Action] | None:
    """Read actions; None: not said."""
    if text is None:
        return None
    known = {action.value: action for action in GRANTABLE}
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        fail(f"--actions {text}: each is one of {', '.join(sorted(known))}", USAGE)
    return frozenset(known[name] for name in names)


def conditions_of(origins: Sequence[str] | None, networks: Sequence[str] | None) -> Conditions:
    """Read from where a right may be used."""
    try:
        return Conditions(
            origins=frozenset(origin.rstrip("/").lower() for origin in origins) if origins else None,
            networks=_names(networks),
        )
    except ValueError as error:
        fail(str(error), USAGE)


def rate_of(text: str | None) -> Rate | None:
    """Read a rate, `50/s` or `50/s:200`."""
    if text is None:
        return None
    found = _RATE.fullmatch(text)
    if found is None or float(found["rate"]) <= 0:
        fail(f"--rate {text}: it is written 50/s, or 50/s:200 where 200 may come at once", USAGE)
    rate = float(found["rate"])
    return Rate(per_second=rate, burst=int(found["burst"]) if found["burst"] else max(1, round(2 * rate)))


def quota_of(text: str | None) -> Quota | None:
    """Read a quota, `100000/month`."""
    if text is None:
        return None
    found = _QUOTA.fullmatch(text)
    if found is None:
        fail(f"--quota {text}: it is written 100000/month; day, month, year or total", USAGE)
    given: dict[str, Any] = {"amount": int(found["amount"]), "period": found["period"]}
    return Quota(**given)


def tier_of(text: str, name: str) -> Tier | None:
    """Read a tier, `32xpan`, `16m` or both; `off` and `native` are none."""
    if text in {"off", "native"}:
        return None
    given: dict[str, float] = {}
    for part in text.split(","):
        found = _TIER_PART.fullmatch(part.strip())
        if found is None:
            fail(f"--{name} {text}: it is written 32xpan, 16m, both with a comma, off or native", USAGE)
        given["times_pan" if found["unit"] == "xpan" else "ground_resolution"] = float(found["number"])
    return Tier(**given)


def tier_text(tier: Tier | None, none: str) -> str:
    """Write a tier as `tier_of` reads it."""
    if tier is None:
        return none
    parts = []
    if tier.times_pan is not None:
        parts.append(f"{tier.times_pan:g}xpan")
    if tier.ground_resolution is not None:
        parts.append(f"{tier.ground_resolution:g}m")
    return ",".join(parts)


def end_of(day: datetime | None) -> datetime | None:
    """Give a day of the options its time zone."""
    return None if day is None else day.replace(tzinfo=UTC)


def _names(given: Sequence[str] | None) -> frozenset[str] | None:
    return frozenset(given) if given else None
