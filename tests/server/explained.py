"""What is asked to be explained: a small catalogue, rights in a line, and a key to ask for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import shapely

from auth.decision import REFUSALS
from auth.models import Licence, Tier
from auth.reach import Conditions, new_area
from auth.snapshot import PolicySnapshot
from mosaics.catalog.index import CatalogIndex
from mosaics.models import Collection, Scene, Text
from server.explain import Explanation, Question, explain_key
from tests.auth.builders import key
from tests.auth.strategies import DAYS, HERE, KINDS

NOW = DAYS[2]
CODES = {"ok", "no_layer", "forbidden", "zoom_limit", "outside_area", "suspended", "revoked", *REFUSALS}


def scene(collection: str, licence: str | None, sensor: str, pan: float, acquired: datetime | None) -> Scene:
    return Scene(
        id=f"{collection}-{sensor}",
        collection_id=collection,
        licence_id=licence,
        sensor_id=sensor,
        kind="optical",
        acquired=acquired,
        footprint=shapely.box(-1, -1, 4, 2),
        href="/x.tif",
        generation="1",
        width=10,
        height=10,
        ground_resolution=4 * pan,
        pan_resolution=pan,
        bands=(),
        styles=("rgb",),
    )


def index_of(*acquired: datetime | None) -> CatalogIndex:
    scenes = [scene(*kind, when) for kind, when in zip(KINDS, acquired, strict=True)]
    nothing = Text(fr="", en="")
    names = ("spot", "pleiades")
    return CatalogIndex.of(
        scenes, {name: Collection(id=name, title=nothing, description=nothing) for name in names}
    )


INDEX = index_of(DAYS[1], DAYS[3], DAYS[1], None)


def ask(layer: str = "spot:spot-phr", **more: Any) -> Question:
    values: dict[str, Any] = {"longitude": 0.5, "latitude": 0.5, "ground_resolution": 2.0}
    return Question(layer_id=layer, **{**values, **more})


def told(snapshot: PolicySnapshot, question: Question, now: datetime = NOW, **more: Any) -> Explanation:
    held = replace(snapshot, keys={"AbCdEfGh": key("AbCdEfGh", **more)})
    return explain_key(held, INDEX, "AbCdEfGh", question, now)


def box(west: float, east: float, south: float = 0.0, north: float = 1.0) -> Any:
    return new_area(shapely.to_wkb(shapely.box(west, south, east, north)))


def licence(**tiers: Tier) -> dict[str, Licence]:
    return {"airbus": Licence(id="airbus", title="Airbus", **tiers)}


COARSE = Tier(times_pan=32)
ONE_ORIGIN = Conditions(origins=frozenset({HERE}))
