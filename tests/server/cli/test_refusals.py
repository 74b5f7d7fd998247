"""What can not be is told with its reason, and writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import shapely
from shapely.geometry import mapping

from tests.server.cli.lines import fine
from tests.server.conftest import run_all


@pytest.fixture(scope="module")
def bad_area(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bad") / "lambert.geojson"
    path.write_text(json.dumps(mapping(shapely.box(652_000, 6_860_000, 653_000, 6_861_000))))
    return str(path)


def test_what_can_not_be_is_told_and_writes_nothing(home: Path, bad_area: str) -> None:
    add, forbid = ["grant", "add", "sdis31", "--collection", "spot"], ["forbid", "add", "--reason", "x"]
    crisis = ["grant", "crisis", "sdis31", "--event", "E", "--collection", "spot"]
    cases = [
        (1, ["grant", "add", "nobody", "--collection", "spot"], "nobody"),
        (1, ["grant", "add", "group:nord", "--collection", "spot"], "nord"),
        (1, ["grant", "add", "sdis31", "--licence", "spot"], "no licence 'spot'"),
        (1, ["grant", "add", "sdis31", "--collection", "pleiades"], "no collection 'pleiades'"),
        (2, ["grant", "add", "sdis31"], "--licence"),
        (1, [*add, "--area", bad_area], "longitude and latitude"),
        (1, [*add, "--area", "nowhere.geojson"], "nowhere.geojson"),
        (1, [*add, "--area", "2,43,3,40"], "south"),
        (1, [*add, "--area", "nan,43,2,44"], "four numbers"),
        (2, [*add, "--area", "a,b,c,d"], "four numbers"),
        (2, [*add, "--acquired", "2024"], "--acquired 2024"),
        (2, [*add, "--acquired", "2024-01-01/2023-01-01"], "end after it begins"),
        (2, [*add, "--valid", "2024-13-01/.."], "--valid"),
        (2, [*add, "--actions", "tile,fly"], "--actions"),
        (2, [*add, "--actions", "manage"], "--actions"),
        (2, [*add, "--network", "here"], "here"),
        (2, [*add, "--quota", "many"], "--quota"),
        (2, [*add, "--quota", "10/week"], "--quota"),
        (2, [*add, "--rate", "fast"], "--rate"),
        (2, [*add, "--rate", "0/s"], "--rate"),
        (2, [*add, "--delegate", "9"], "--delegate"),
        (2, [*add, "--delegate", "1", "--no-delegation"], "--no-delegation"),
        (2, [*add, "--gsd", "0"], "--gsd"),
        (2, [*add, "--gsd", "-1"], "--gsd"),
        (2, [*add, "--gsd", "nan"], "--gsd"),
        (1, [*add, "--gsd", "20000"], "finest_ground_resolution"),
        (2, forbid, "name at least one"),
        (1, [*forbid, "--licence", "none"], "none"),
        (2, ["forbid", "add", "--collection", "spot"], "reason"),
        (1, [*crisis, "--area", "1,43,2,44", "--by", "sdis31"], "only operators approve"),
        (1, [*crisis, "--area", "everywhere", "--by", "ops"], "not everywhere"),
        (2, [*crisis, "--by", "ops"], "--area"),
        (2, [*crisis, "--area", "1,43,2,44", "--by", "ops", "--hours", "73"], "--hours"),
        (1, ["grant", "approve", "gnone", "--by", "ops"], "gnone"),
        (1, ["grant", "remove", "gnone"], "gnone"),
        (1, ["grant", "show", "gnone"], "gnone"),
        (1, ["forbid", "remove", "fnone"], "fnone"),
        (1, ["licence", "remove", "none"], "none"),
        (2, ["licence", "set", "spot-dinamis", "--public", "fine"], "--public fine"),
        (1, ["licence", "set", "spot-dinamis", "--public", "0m"], "ground_resolution"),
        (1, ["licence", "set", "none", "--public", "1m"], "none"),
        (1, ["licence", "add", "y", "--redistribution", "free"], "redistribution"),
        (1, ["membership", "add", "nobody", "--issuer", "i", "--claim", "c", "--value", "v"], "nobody"),
        (1, ["membership", "remove", "mnone"], "mnone"),
        (1, ["key", "create", "sdis31", "--parent", "AAAAAAAA"], "AAAAAAAA"),
        (1, ["key", "create", "sdis31", "--area", bad_area], "longitude and latitude"),
        (1, ["key", "rotate", "AAAAAAAA"], "AAAAAAAA"),
        (2, ["key", "rotate", "AAAAAAAA", "--grace", "soon"], "--grace"),
        (1, ["key", "show", "AAAAAAAA"], "AAAAAAAA"),
        (1, ["collection", "set", "none", "--visibility", "listed"], "none"),
        (2, ["collection", "set", "spot", "--visibility", "seen"], "--visibility"),
        (1, ["rights", "apply", "nowhere.yaml"], "nowhere.yaml"),
        (2, ["audit", "verify", "--expect", "x"], "--expect"),
    ]
    head, *_ = fine(home, ["audit", "verify"])
    done = run_all(home, *(line for _, line, _ in cases))
    for (status, line, said), each in zip(cases, done, strict=True):
        assert (each.status, each.stack) == (status, None), (line, each)
        assert said in each.stderr, (line, each.stderr)
        assert not each.stdout, (line, each.stdout)
    assert fine(home, ["audit", "verify"])[0].stdout == head.stdout
