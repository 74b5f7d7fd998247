"""Scenes whose pixels tell where they are, and random rights over them, for the leak test."""

from __future__ import annotations

import itertools
import json
import random
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import Affine

from auth.credentials import new_key
from auth.models import (
    Action,
    Caveat,
    Delegation,
    Forbid,
    Grant,
    GrantKind,
    Group,
    Institution,
    Key,
    Licence,
    Tier,
)
from auth.reach import EVERYWHERE, Area, Selector, Window, new_area
from auth.snapshot import PolicySnapshot
from mosaics.catalog.index import CatalogIndex
from mosaics.models import Scene
from tests.auth.naive import Caller
from tests.conftest import ROOT, Reply, position_pixels
from tests.server.conftest import Asgi, run_all

X0, Y0 = 572_000.0, 6_280_000.0
"""Upper left of the scenes, Lambert-93; they reach 300 m east and south."""
TO_LONLAT = Transformer.from_crs("EPSG:2154", "OGC:CRS84", always_xy=True)
DAYS = [datetime(2024, 5, day, 10, 30, tzinfo=UTC) for day in (1, 11, 21)]
LIMITS = (0.6, 1.3, 2.7, 6.1, 20.0, 70.0)
ALL = frozenset({Action.CATALOGUE, Action.PREVIEW, Action.TILE, Action.INFO})
COLLECTIONS = ("town", "multi", "relief")
_EPOCHS = itertools.count(1_000_000)


def bank_scenes(folder: Path) -> Path:
    """Bank five scenes, their tiles drawn ahead, and give their home."""
    upright = Affine.translation(X0, Y0) @ Affine.scale(0.5, -0.5)
    turned = Affine.translation(X0 + 40, Y0 - 90) @ Affine.rotation(21) @ Affine.scale(0.7, -0.7)
    west, north = TO_LONLAT.transform(X0 + 30, Y0 - 20)
    degrees = Affine.translation(west, north) @ Affine.scale(1.1e-5, -0.8e-5)
    holed = position_pixels(600, 600, 3)
    holed[:, 200:320, 150:400] = 0
    rows, columns = np.mgrid[0:280, 0:300]
    heights = (300 + 30 * np.sin(columns / 17) + 20 * np.cos(rows / 11)).astype("float32")[None]
    files = {
        "flat": ("town", "rgb", position_pixels(600, 600, 3), "EPSG:2154", upright, {}),
        "turned": ("town", "rgb", position_pixels(330, 330, 3)[::-1], "EPSG:2154", turned, {}),
        "holed": (
            "town",
            "rgb",
            holed[[1, 0, 2]],
            "EPSG:2154",
            upright @ Affine.translation(150, 100),
            {"nodata": 0},
        ),
        "degrees": (
            "multi",
            "multispectral",
            position_pixels(280, 290, 4, "uint16"),
            "EPSG:4326",
            degrees,
            {},
        ),
        "relief": (
            "relief",
            "dsm",
            heights,
            "EPSG:2154",
            Affine.translation(X0, Y0) @ Affine.scale(1, -1),
            {},
        ),
    }
    lines = []
    for name, (collection, sensor, data, crs, transform, more) in files.items():
        path = folder / f"{name}.tif"
        colours = {"photometric": "RGB"} if len(data) == 3 else {}
        _write(path, data, crs, transform, **more, **colours)
        ahead = ["--visual", "--visual-format", "webp" if name in {"turned", "relief"} else "jpg"]
        lines.append(["bank", str(path), "--collection", collection, "--sensor", sensor, *ahead])
    for done in run_all(folder / "home", *lines):
        assert done.status == 0, done.stderr
    return folder / "home"


def _write(path: Path, data: np.ndarray, crs: str, transform: Affine, **more: Any) -> None:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=data.shape[1],
        width=data.shape[2],
        count=data.shape[0],
        dtype=data.dtype,
        crs=crs,
        transform=transform,
        **more,
    ) as target:
        target.write(data)


@dataclass
class World:
    """The application over the scenes, the rights as they are now, and who asks."""

    asgi: Asgi
    scenes: dict[str, Scene] = field(default_factory=dict)
    """By id, as they are in the index now."""
    rights: PolicySnapshot = field(default_factory=PolicySnapshot)
    caller: Caller = field(default_factory=lambda: Caller(None))
    headers: dict[str, str] = field(default_factory=dict)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    keys: dict[str, tuple[Key, str]] = field(default_factory=dict)
    references: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        services = self.asgi.application.services
        index = services.knowledge.index
        self.scenes = {scene.id: scene for scene in index.scenes.values()}
        assert len(self.scenes) == 5
        begun = datetime.now(UTC) - timedelta(days=1)
        for name in ("root", "child", "grandchild"):
            self.keys[name] = new_key(
                "t", "alpha", services.peppers, url_allowed=True, now=begun, expires=begun + timedelta(days=9)
            )

    def get(self, target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
        """Ask as the caller."""
        return self.asgi.get(target, {**self.headers, **headers}, method, body)

    def seeing_all(self, target: str) -> Reply:
        """Ask as somebody who may see everything."""
        knowledge = self.asgi.application.services.knowledge
        before, knowledge.policy = knowledge.policy, EVERYTHING_GRANTED
        try:
            return self.asgi.get(target)
        finally:
            knowledge.policy = before

    def set_rights(self, rights: PolicySnapshot) -> None:
        """Make these the rights; the number of their epoch is new."""
        self.rights = replace(rights, epoch=next(_EPOCHS))
        knowledge = self.asgi.application.services.knowledge
        knowledge.policy, knowledge.policy_at = self.rights, time.monotonic()
        self.now = datetime.now(UTC)

    def set_scenes(self, scenes: dict[str, Scene]) -> None:
        """Make these the catalogue; the number of its sequence is new."""
        self.scenes = scenes
        knowledge = self.asgi.application.services.knowledge
        knowledge.index = CatalogIndex.of(
            scenes.values(), knowledge.index.collections, sequence=next(_EPOCHS)
        )

    def layer_scenes(self, layer: str) -> tuple[Scene, ...]:
        """Give the scenes of a layer's name, the first on top, whoever may see them."""
        collection, _, scene_id = layer.partition(":")
        return in_order(
            scene
            for scene in self.scenes.values()
            if scene.collection_id == collection and scene_id in {"", scene.id}
        )

    def limits(self) -> set[float]:
        """Give every number of metres per pixel that some right has."""
        found: set[float | None] = {grant.finest_ground_resolution for grant in self.rights.grants.values()}
        found |= {key.caveat.finest_ground_resolution for key in self.caller.keys if key.caveat}
        for licence in self.rights.licences.values():
            for tier in (licence.public, licence.partner, licence.holder):
                if tier is not None:
                    found.add(tier.ground_resolution)
                    found |= {(tier.times_pan or 0) * pan_of(scene) for scene in self.scenes.values()}
        return {limit for limit in found if limit}

    def areas(self) -> list[Area]:
        """Give every area that some right has."""
        rights = [*self.rights.grants.values(), *self.rights.forbids.values()]
        caveats = [key.caveat for key in self.caller.keys if key.caveat is not None]
        return list(dict.fromkeys(right.area for right in [*rights, *caveats] if right.area is not None))


EVERYTHING_GRANTED = PolicySnapshot(
    epoch=999_999,
    grants={
        "g": Grant(id="g", grantee="public", area=EVERYWHERE, created=DAYS[0], actions=ALL),
    },
)


def pan_of(scene: Scene) -> float:
    return scene.pan_resolution or scene.ground_resolution


def in_order(scenes: Any) -> tuple[Scene, ...]:
    """Newest first, undated last, then the one banked last."""
    oldest = datetime(1, 1, 1, tzinfo=UTC)
    return tuple(sorted(scenes, key=lambda s: (s.acquired or oldest, s.sequence), reverse=True))


def lonlat(geometry: Any) -> Any:
    """Bring metres from the upper left of the scenes, y down, to longitude and latitude."""
    return shapely.transform(
        geometry, lambda xy: np.column_stack(TO_LONLAT.transform(X0 + xy[:, 0], Y0 - xy[:, 1]))
    )


def random_area(rnd: random.Random) -> Area | None:
    """Draw an area: everywhere, or a polygon of some awkward kind."""
    x, y, w, h = rnd.uniform(-50, 250), rnd.uniform(-50, 250), rnd.uniform(40, 250), rnd.uniform(40, 250)
    box = shapely.box(x, y, x + w, y + h)
    angles = np.linspace(0, 2 * np.pi, 41)[:-1]
    radii = np.where(np.arange(40) % 2, w / 2, w / 5)
    star = shapely.Polygon(np.column_stack([x + w / 2 + radii * np.cos(angles), y + radii * np.sin(angles)]))
    kinds = {
        "everywhere": None,
        "box": box,
        "turned": shapely.affinity.rotate(box, rnd.uniform(1, 89)),
        "triangle": shapely.Polygon([(x, y), (x + w, y + h / 3), (x + w / 4, y + h)]),
        "holed": box - shapely.affinity.scale(box, 0.5, 0.4),
        "several": shapely.MultiPolygon([box, shapely.box(x + w + 20, y, x + w + 60, y + h)]),
        "star": star,
        "sliver": shapely.affinity.rotate(shapely.box(x, y, x + 1.2, y + 260), rnd.uniform(0, 180)),
        "tiny": shapely.box(x, y, x + 3, y + 2),
        "off": shapely.box(5000, 5000, 5600, 5400),
        "around": shapely.box(-900, -900, 1200, 1200),
    }
    weights = {"everywhere": 3, "box": 3, "around": 2, "turned": 2, "holed": 2, "tiny": 0.5, "off": 0.3}
    kind = rnd.choices(list(kinds), [weights.get(kind, 1) for kind in kinds])[0]
    return None if kinds[kind] is None else new_area(shapely.to_wkb(lonlat(kinds[kind])))


def random_selector(rnd: random.Random, scenes: dict[str, Scene]) -> Selector:
    def some(names: list[str], often: float) -> frozenset[str] | None:
        if rnd.random() > often:
            return None
        return frozenset(rnd.sample(names, rnd.randint(1, max(1, len(names) - 1))))

    return Selector(
        collections=some(list(COLLECTIONS), 0.3),
        licences=some(["l1", "l2"], 0.1),
        sensors=some(["rgb", "dsm", "multispectral", "pleiades"], 0.1),
        scenes=some(list(scenes), 0.15),
    )


def random_window(rnd: random.Random, often: float = 0.2) -> Window:
    if rnd.random() > often:
        return Window()
    start, end = rnd.choice([(None, DAYS[1]), (DAYS[0], None), (DAYS[1], DAYS[2])])
    return Window(start=start, end=end)


def random_limit(rnd: random.Random) -> float | None:
    return rnd.choice((None, None, None, *LIMITS[:5]))


def random_tier(rnd: random.Random) -> Tier | None:
    return rnd.choice(
        (None, None, Tier(ground_resolution=rnd.choice(LIMITS)), Tier(times_pan=rnd.choice((2.0, 7.0, 32.0))))
    )


def random_actions(rnd: random.Random) -> frozenset[Action]:
    some = frozenset(rnd.sample(sorted(ALL), rnd.randint(1, 3)))
    return rnd.choices((ALL, some), (3, 1))[0]


def random_grant(rnd: random.Random, number: int, scenes: dict[str, Scene]) -> Grant:
    now = datetime.now(UTC)
    crisis = rnd.random() < 0.15
    return Grant(
        id=f"g{number}",
        grantee=rnd.choice(("public", "alpha", "alpha", "group:both", "alpha", "alpha", "beta")),
        selector=random_selector(rnd, scenes),
        area=random_area(rnd),
        acquired=random_window(rnd),
        valid=rnd.choices((Window(), Window(end=now - timedelta(hours=1))), (19, 1))[0],
        finest_ground_resolution=random_limit(rnd),
        actions=random_actions(rnd),
        delegable=rnd.choice((None, Delegation(depth=2), Delegation(depth=1))),
        created=DAYS[0],
        kind=GrantKind.CRISIS if crisis else GrantKind.NORMAL,
        event_id="EMSR1" if crisis else None,
        approvals=rnd.choice(((), ("o1",), ("o1", "o2"), ("o1", "o2"))) if crisis else (),
    )


def random_forbid(rnd: random.Random, number: int, scenes: dict[str, Scene]) -> Forbid:
    return Forbid(
        id=f"f{number}",
        selector=random_selector(rnd, scenes),
        area=random_area(rnd) if rnd.random() < 0.9 else None,
        acquired=random_window(rnd),
        reason="embargo",
        overridable_by_crisis=rnd.random() < 0.5,
        created=DAYS[0],
    )


def random_caveat(rnd: random.Random) -> Caveat | None:
    if rnd.random() < 0.5:
        return None
    return Caveat(
        area=random_area(rnd),
        finest_ground_resolution=random_limit(rnd),
        acquired=random_window(rnd, 0.1),
        actions=random_actions(rnd) if rnd.random() < 0.3 else None,
    )


def draw(world: World, rnd: random.Random) -> None:
    """Draw what the scenes are under, who may see what of them, and who asks."""
    scenes = {
        id_: replace(
            scene,
            acquired=rnd.choice((*DAYS, None)),
            licence_id=rnd.choice(("l1", "l2", None)),
            sensor_id=scene.sensor_id if rnd.random() < 0.8 else "pleiades",
            pan_resolution=rnd.choice((None, 0.5)),
            sequence=number,
        )
        for number, (id_, scene) in enumerate(rnd.sample(sorted(world.scenes.items()), 5), start=1)
    }
    world.set_scenes(scenes)
    keys = {}
    for (name, (key, _)), parent in zip(world.keys.items(), (None, "root", "child"), strict=True):
        keys[name] = replace(
            key, parent_id=parent and world.keys[parent][0].id, caveat=random_caveat(rnd) if parent else None
        )
    grants = [random_grant(rnd, n, scenes) for n in range(rnd.choice((1, 2, 3, 3, 4, 4)))]
    forbids = [random_forbid(rnd, n, scenes) for n in range(rnd.choice((0, 0, 0, 1, 2)))]
    licences = [
        Licence(id=id_, title=id_, public=random_tier(rnd), partner=random_tier(rnd), holder=random_tier(rnd))
        if rnd.random() < 0.5
        else Licence(id=id_, title=id_)
        for id_ in ("l1", "l2")
    ]
    world.set_rights(
        PolicySnapshot(
            institutions={id_: Institution(id=id_, name=id_) for id_ in ("alpha", "beta")},
            groups={"both": Group(id="both", name="both", members=frozenset({"alpha", "beta"}))},
            licences={licence.id: licence for licence in licences},
            keys={key.id: key for key in keys.values()},
            grants={grant.id: grant for grant in grants},
            forbids={forbid.id: forbid for forbid in forbids},
        )
    )
    who = rnd.choices((None, "root", "child", "grandchild"), (2, 6, 2, 1))[0]
    ask_as(world, who)


def ask_as(world: World, who: str | None) -> None:
    """Ask as nobody, or with a key."""
    order = ("grandchild", "child", "root")
    shown = () if who is None else order[order.index(who) :]
    held = world.rights.keys
    world.caller = Caller(None if who is None else "alpha", tuple(held[world.keys[n][0].id] for n in shown))
    world.headers = {} if who is None else {"x-api-key": world.keys[who][1]}


@cache
def grid_document(tms_id: str) -> dict[str, Any]:
    return json.loads((ROOT / "mosaics/data/grids" / f"{tms_id}.json").read_text())
