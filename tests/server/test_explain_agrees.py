"""What is told of a decision is what was decided: by the filter, by the model of rights, by the server."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from auth.credentials import principal_of
from auth.decision import ANONYMOUS, Principal
from auth.errors import CredentialInvalidError
from auth.models import Group, InstitutionStatus, Licence
from auth.policy import decide
from auth.reach import Circumstances
from auth.snapshot import PolicySnapshot
from mosaics.catalog.index import CatalogIndex
from mosaics.geodesy import ground_resolution
from mosaics.grids import load_grids
from mosaics.models import Scene
from server.access import scene_filter
from server.explain import Explanation, Question, explain, explain_key
from tests.auth import strategies as random
from tests.auth.builders import institution, key, named, rights
from tests.auth.naive import Caller, Point, may
from tests.auth.strategies import DAYS, EPOCH
from tests.server.conftest import run_all
from tests.server.explained import CODES, KINDS, ask, index_of

ON_THE_EDGE = 1.0
"""Of areas: there the model and the geometry library may draw the line differently."""


@st.composite
def worlds(draw: st.DrawFn) -> tuple[PolicySnapshot, CatalogIndex]:
    """Give random rights, with keys three deep, over a random catalogue."""
    keys: list[Any] = [key("alphakey"), key("betakey0", "beta"), key("opskey00", "ops")]
    for number in range(draw(st.integers(0, 3))):
        parent = draw(st.sampled_from(keys))
        days = draw(st.sampled_from([None, 2, 20]))
        revoked = draw(st.sampled_from([None, None, None, EPOCH]))
        keys.append(
            key(
                f"child{number:03}",
                parent.institution_id,
                parent_id=parent.id,
                caveat=draw(random.caveats),
                expires=None if days is None else EPOCH + timedelta(days=days),
                revoked=revoked,
            )
        )
    licences = [
        Licence(id=id_, title=id_, **{name: draw(random.tiers) for name in ("public", "partner", "holder")})
        for id_ in ("etalab", "airbus")
    ]
    snapshot = rights(
        draw(st.lists(random.grants_of | random.crises_of, max_size=5)),
        draw(st.lists(random.forbids_of, max_size=2)),
        institutions=[
            institution("alpha", draw(st.sampled_from([*InstitutionStatus, InstitutionStatus.ACTIVE]))),
            institution("beta"),
            institution("ops"),
            institution("ops2"),
        ],
        groups={
            "both": Group(
                id="both", name="both", members=draw(st.frozensets(st.sampled_from(["alpha", "beta"])))
            )
        },
        licences=named(licences),
        keys=named(keys),
    )
    return snapshot, index_of(*(draw(st.sampled_from([DAYS[1], DAYS[3], None])) for _ in KINDS))


questions = st.builds(
    ask,
    st.sampled_from(["spot", "pleiades", "spot:spot-s6", "spot:spot-phr", "pleiades:pleiades-s6"]),
    longitude=st.sampled_from([0.5, 1.5, 2.5, 3.5, 9.0, ON_THE_EDGE]),
    ground_resolution=st.sampled_from([0.5, 2.0, 20.0, 60.0]),
    action=random.asked,
    circumstances=st.builds(Circumstances, origin=random.origins),
)


@settings(deadline=None, max_examples=300)
@given(worlds(), questions, random.instants, st.data())
def test_ok_is_told_exactly_where_the_filter_opens_and_the_model_of_rights_agrees(
    world: tuple[PolicySnapshot, CatalogIndex], question: Question, now: datetime, data: st.DataObject
) -> None:
    snapshot, index = world
    question = replace(
        question,
        exhausted=data.draw(st.frozensets(st.sampled_from(sorted(snapshot.grants) or [""]), max_size=2)),
    )
    key_id = data.draw(st.sampled_from(sorted(snapshot.keys)))
    found = explain_key(snapshot, index, key_id, question, now)
    check_form(snapshot, found)
    scenes = [s for s in index.scenes.values() if question.layer_id.startswith(s.collection_id)]
    if ":" in question.layer_id:
        scenes = [s for s in scenes if question.layer_id.endswith(s.id)]
    assert scenes
    try:
        principal = principal_of(snapshot, snapshot.keys[key_id], now)
    except CredentialInvalidError:
        assert found.code in {"revoked", "expired", "suspended"}
    else:
        assert found.allowed is opens(snapshot, principal, question, now, scenes)
    if question.longitude != ON_THE_EDGE:
        assert found.allowed is model_opens(snapshot, key_id, question, now, scenes), found
    everybody = explain(snapshot, index, ANONYMOUS, question, now)
    check_form(snapshot, everybody)
    assert everybody.allowed is opens(snapshot, ANONYMOUS, question, now, scenes)


def opens(
    snapshot: PolicySnapshot, principal: Principal, question: Question, now: datetime, scenes: list[Scene]
) -> bool:
    """Tell whether the filter, which all routes use, opens the place of a scene."""
    decision = decide(
        snapshot,
        principal,
        question.action,
        now,
        circumstances=question.circumstances,
        exhausted=question.exhausted,
    )
    opened = [scene_filter(decision).opening(s, question.ground_resolution) for s in scenes]
    return any(
        o is not None
        and (o.area is None or shapely.contains_xy(o.area, question.longitude, question.latitude))
        for o in opened
    )


def model_opens(
    snapshot: PolicySnapshot, key_id: str, question: Question, now: datetime, scenes: list[Scene]
) -> bool:
    """Ask the naive model of rights, which shares no code with the decision."""
    chain = [snapshot.keys[key_id]]
    while chain[-1].parent_id is not None:
        chain.append(snapshot.keys[chain[-1].parent_id])
    holder = chain[0].institution_id
    return all(k.revoked is None and (k.expires is None or k.expires > now) for k in chain) and any(
        may(
            snapshot,
            Caller(holder, tuple(chain), operator=holder.startswith("ops")),
            question.action.value,
            now,
            Point(
                s.collection_id,
                s.licence_id,
                s.sensor_id,
                s.id,
                s.pan_resolution or 0.0,
                s.acquired,
                question.longitude,
                question.latitude,
                question.ground_resolution,
            ),
            origin=question.circumstances.origin,
            exhausted=question.exhausted,
        )
        for s in scenes
    )


def check_form(snapshot: PolicySnapshot, found: Explanation) -> None:
    """Every id is one that is there, every code is known, every sentence is one."""
    known = {*snapshot.grants, *snapshot.forbids, *snapshot.keys, *snapshot.institutions}
    for licence in snapshot.licences:
        known |= {f"licence:{licence}", f"licence:{licence}:public", f"licence:{licence}:partner"}
    assert not found.others or not found.allowed
    for each in (found, *found.others):
        assert each.code in CODES
        assert set(each.ids) <= known
        for sentence in (each.sentence.fr, each.sentence.en):
            assert re.fullmatch(r"[A-Z].+\.", sentence)
            assert "None" not in sentence
    told = [(each.code, each.ids) for each in (found, *found.others)]
    assert len(told) == len(set(told))


def test_what_is_told_is_what_the_server_answers(own_home: Any, started: Any) -> None:
    """Each pixel of real tiles is there exactly where the explanation says ok."""
    west = "1.4100,43.6000,1.4170,43.6100"
    lines = [
        ["grant", "add", "other", "--collection", "granted", "--gsd", "2"],
        ["grant", "add", "other", "--collection", "granted", "--gsd", "0.9", "--area", west],
        ["forbid", "add", "--reason", "x", "--collection", "granted", "--area", "1.4155,43.6,1.416,43.61"],
    ]
    *done, made = run_all(own_home, *lines, ["key", "create", "other"])
    assert all(each.status == 0 for each in done), done
    shown_key = made.stdout.strip()
    asgi = started(own_home)
    services = asgi.application.services
    grid = load_grids().get("WebMercatorQuad")
    now, seen = datetime.now(UTC), set()
    for zoom in (14, 15, 16, 17):
        for longitude in (1.4153, 1.41575, 1.4163, 1.4168, 1.4175, 1.4185, 1.4195):
            latitude = 43.606
            column = int((longitude + 180) / 360 * 2**zoom)
            row = int((1 - np.arcsinh(np.tan(np.radians(latitude))) / np.pi) / 2 * 2**zoom)
            frame = grid.frame(zoom, column, row)
            x = longitude / 180 * np.pi * 6378137
            y = np.arcsinh(np.tan(np.radians(latitude))) * 6378137
            size = (frame.bounds.right - frame.bounds.left) / frame.width
            reply = asgi.get(
                f"/tiles/granted/WebMercatorQuad/{zoom}/{column}/{row}.png", {"x-api-key": shown_key}
            )
            alpha = 0
            if reply.status == 200:
                picture = np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA"))
                alpha = picture[int((frame.bounds.top - y) / size), int((x - frame.bounds.left) / size), 3]
            resolution = ground_resolution(frame)
            question = ask("granted", longitude=longitude, latitude=latitude, ground_resolution=resolution)
            found = explain_key(
                services.knowledge.policy, services.knowledge.index, shown_key.split("_")[2], question, now
            )
            assert found.allowed is bool(alpha > 0), (zoom, longitude, found.sentence.en, reply.status)
            if reply.status == 403:
                assert reply.json["code"] == "zoom_limit"
                assert found.code in {"zoom_limit", "forbidden"}
            seen.add((found.code, reply.status))
    assert seen >= {("ok", 200), ("forbidden", 200), ("zoom_limit", 200), ("zoom_limit", 403)}
