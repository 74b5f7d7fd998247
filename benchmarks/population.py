"""Makes the rights of a large installation: 200 institutions, 2 000 grants, 5 000 keys, always the same."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import shapely

from auth.credentials import Peppers, new_key
from auth.documents import FIELDS, kind_of
from auth.models import Caveat, Forbid, Grant, Group, Institution, Key, Licence, Quota, Right, Tier
from auth.reach import EVERYWHERE, Area, Selector, Window, new_area
from auth.rules import new_forbid, new_grant
from auth.snapshot import PolicySnapshot

NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
COLLECTIONS: Final = tuple(f"collection-{number:02d}" for number in range(60))
LICENCES: Final = tuple(f"licence-{number:02d}" for number in range(30))
SENSORS: Final = ("phr", "pneo", "spot6", "spot7", "co3d", "planet", "jilin", "sentinel2")


@dataclass(frozen=True, kw_only=True)
class Population:
    """Rights, and the keys that open them."""

    rights: tuple[Right, ...]
    key_texts: tuple[str, ...]

    def snapshot(self) -> PolicySnapshot:
        """Give the rights as a worker holds them."""
        held: dict[str, dict[str, Right]] = {name: {} for name in FIELDS.values()}
        for right in self.rights:
            held[FIELDS[kind_of(right)]][right.id] = right
        return PolicySnapshot(epoch=1, **held)


def populate(
    peppers: Peppers, *, institutions: int = 200, grants: int = 2000, keys: int = 5000, forbids: int = 100
) -> Population:
    """Make rights by a fixed seed.

    Four grants in five are to one institution, the rest to groups, and thirty to the public. Half of them
    have an area of 20 to 400 vertices, a third a resolution, a quarter an acquisition window, half an end,
    one in ten a quota. One key in five is narrowed, one in ten stands below another.
    """
    chance = random.Random(3)  # noqa: S311 - the same every time
    names = [f"institution-{number:03d}" for number in range(institutions)]
    areas = [_area(chance) for _ in range(150)]
    made: list[Right] = [Institution(id=name, name=name.title()) for name in names]
    made += [
        Group(id=f"group-{number:02d}", name="A group", members=frozenset(chance.sample(names, 15)))
        for number in range(20)
    ]
    made += [_licence(name, number) for number, name in enumerate(LICENCES)]
    made += _grants(chance, names, areas, grants)
    made += _forbids(chance, areas, forbids)
    found = _keys(chance, names, areas, keys, peppers)
    return Population(rights=(*made, *(key for key, _ in found)), key_texts=tuple(text for _, text in found))


def _licence(name: str, number: int) -> Licence:
    """One licence in three has tiers."""
    if number % 3:
        return Licence(id=name, title=name)
    return Licence(id=name, title=name, public=Tier(times_pan=32), partner=Tier(ground_resolution=10))


def _area(chance: random.Random) -> Area:
    """Give something like a district of France: a star-shaped polygon."""
    longitude, latitude = chance.uniform(-4, 7), chance.uniform(43, 50)
    size, corners = chance.uniform(0.05, 1.5), chance.randint(20, 400)
    ring = []
    for number in range(corners):
        angle, radius = 2 * math.pi * number / corners, size * chance.uniform(0.7, 1)
        ring.append((longitude + radius * math.cos(angle), latitude + radius * math.sin(angle)))
    return new_area(shapely.to_wkb(shapely.Polygon(ring)))


def _selector(chance: random.Random) -> Selector:
    kind = chance.random()
    if kind < 0.5:
        return Selector(licences=frozenset(chance.sample(LICENCES, chance.randint(1, 2))))
    if kind < 0.9:
        return Selector(collections=frozenset(chance.sample(COLLECTIONS, chance.randint(1, 4))))
    return Selector(
        licences=frozenset(chance.sample(LICENCES, 1)), sensors=frozenset(chance.sample(SENSORS, 2))
    )


def _window(chance: random.Random, likely: float) -> Window:
    start = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=chance.randint(0, 2000))
    return Window(start=start, end=None) if chance.random() < likely else Window()


def _grants(chance: random.Random, names: list[str], areas: list[Area], count: int) -> list[Grant]:
    made: dict[str, Grant] = {}
    while len(made) < count:
        number = len(made)
        if number < 30:
            grantee = "public"
        else:
            grantee = chance.choice(names) if chance.random() < 0.8 else f"group:group-{number % 20:02d}"
        ends = NOW + timedelta(days=chance.randint(1, 900)) if chance.random() < 0.5 else None
        grant = new_grant(
            grantee,
            _selector(chance),
            area=chance.choice(areas) if chance.random() < 0.5 else EVERYWHERE,
            now=NOW,
            acquired=_window(chance, 0.25),
            valid=Window(start=NOW - timedelta(days=chance.randint(1, 400)), end=ends),
            finest_ground_resolution=chance.choice([0.5, 1.5, 5.0]) if chance.random() < 0.33 else None,
            quota=Quota(amount=100_000) if chance.random() < 0.1 else None,
        )
        made[grant.id] = grant
    return list(made.values())


def _forbids(chance: random.Random, areas: list[Area], count: int) -> list[Forbid]:
    made: dict[str, Forbid] = {}
    while len(made) < count:
        forbid = new_forbid(
            _selector(chance),
            area=chance.choice(areas),
            reason="embargo",
            now=NOW,
            acquired=_window(chance, 0.5),
            valid=Window(start=None, end=NOW + timedelta(days=chance.randint(-100, 300))),
            overridable_by_crisis=chance.random() < 0.5,
        )
        made[forbid.id] = forbid
    return list(made.values())


def _keys(
    chance: random.Random, names: list[str], areas: list[Area], count: int, peppers: Peppers
) -> list[tuple[Key, str]]:
    made: list[tuple[Key, str]] = []
    while len(made) < count:
        parent = made[chance.randrange(len(made))][0] if made and chance.random() < 0.1 else None
        if parent is not None and parent.parent_id is not None:
            continue
        caveat = None
        if chance.random() < 0.2:
            caveat = Caveat(area=chance.choice(areas), finest_ground_resolution=2.0)
        made.append(
            new_key(
                "live",
                parent.institution_id if parent else chance.choice(names),
                peppers,
                url_allowed=parent is None or parent.url_allowed,
                now=NOW,
                label="bench",
                parent_id=parent.id if parent else None,
                caveat=caveat,
            )
        )
    return made
