"""Grants, crisis grants, forbids and listed collections by command line: each command writes what it says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import shapely
from shapely.geometry import mapping

from tests.server.cli.lines import fine, id_in, rows


def test_a_grant_says_everything_that_was_asked(home: Path, tmp_path: Path) -> None:
    outline = shapely.box(1, 43, 2, 44) - shapely.box(1.2, 43.2, 1.3, 43.3)
    area = tmp_path / "area.geojson"
    area.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": mapping(outline)}))
    line = ["grant", "add", "group:sud", "--licence", "spot-dinamis", "--collection", "spot"]
    line += ["--sensor", "spot-6-7", "--scene", "One", "--area", str(area), "--gsd", "1.5"]
    line += [
        "--acquired",
        "2020-01-01/..",
        "--valid",
        "2026-01-01/2027-01-01T12:00:00Z",
        "--actions",
        "tile,info",
    ]
    line += ["--origin", "https://Geo.example.org/", "--network", "192.0.2.0/24", "--quota", "100000/month"]
    line += ["--rate", "50/s:200", "--delegate", "2:30", "--reason", "why", "--agreement", "C-2"]
    added, again = fine(home, line, line)
    grant_id = id_in(added)
    assert id_in(again) == grant_id
    assert "already" in again.stderr
    shown, listed = fine(home, ["grant", "show", grant_id, "--json"], ["grant", "list", "--json"])
    document = json.loads(shown.stdout)
    assert shapely.geometry.shape(document.pop("area")).equals(outline)
    created = datetime.fromisoformat(document.pop("created"))
    assert abs(created - datetime.now(UTC)) < timedelta(minutes=5)
    assert re.match(r"cli:.+", document.pop("created_by"))
    assert document == {
        "id": grant_id,
        "grantee": "group:sud",
        "selector": {
            "collections": ["spot"],
            "licences": ["spot-dinamis"],
            "sensors": ["spot-6-7"],
            "scenes": ["One"],
        },
        "acquired": "2020-01-01T00:00:00Z/..",
        "valid": "2026-01-01T00:00:00Z/2027-01-01T12:00:00Z",
        "finest_ground_resolution": 1.5,
        "actions": ["info", "tile"],
        "conditions": {"origins": ["https://geo.example.org"], "networks": ["192.0.2.0/24"]},
        "quota": {"amount": 100000},
        "rate": {"per_second": 50.0, "burst": 200},
        "delegable": {"depth": 2, "longest_days": 30},
        "reason": "why",
        "agreement": "C-2",
    }
    assert [row["id"] for row in rows(listed)] == [grant_id]
    fine(home, ["grant", "remove", grant_id])


def test_a_crisis_grant_holds_after_two_operators(home: Path) -> None:
    line = ["grant", "crisis", "sdis31", "--event", "EMSR712", "--area", "1,43,2,44", "--collection", "spot"]
    (made,) = fine(home, [*line, "--hours", "24", "--by", "ops", "--reason", "flood"])
    grant_id = id_in(made)
    assert "holds once another operator has approved it" in made.stderr
    waiting, same, second, holds, shown = fine(
        home,
        ["grant", "list", "--json"],
        ["grant", "approve", grant_id, "--by", "ops"],
        ["grant", "approve", grant_id, "--by", "ops2"],
        ["grant", "list", "--json"],
        ["grant", "show", grant_id, "--json"],
    )
    assert rows(waiting)[0]["kind"] == "crisis, not approved"
    assert "approved it before: 1 more needed" in same.stderr
    assert "it holds" in second.stderr
    assert rows(holds)[0]["kind"] == "crisis"
    document = json.loads(shown.stdout)
    assert document["approvals"] == ["ops", "ops2"]
    start, end = map(datetime.fromisoformat, document["valid"].split("/"))
    assert end - start == timedelta(hours=24)


def test_a_forbid_is_added_listed_and_lifted(home: Path) -> None:
    line = ["forbid", "add", "--reason", "embargo", "--licence", "spot-dinamis", "--area", "1,43,2,44"]
    line += ["--acquired", "2024-01-01/..", "--valid", "../2027-01-01", "--overridable"]
    added, again, listed = fine(home, line, line, ["forbid", "list", "--json"])
    (row,) = rows(listed)
    assert row["id"] == id_in(added) == id_in(again)
    assert (row["reason"], row["overridable"], row["licences"]) == ("embargo", "yes", ["spot-dinamis"])
    assert row["valid"] == "../2027-01-01T00:00:00Z"
    _, empty = fine(home, ["forbid", "remove", row["id"]], ["forbid", "list", "--json"])
    assert rows(empty) == []


def test_a_listed_collection_is_one_public_grant_without_a_pixel(home: Path) -> None:
    before, listed, again, grants, shown = fine(
        home,
        ["collection", "list", "--json"],
        ["collection", "set", "spot", "--visibility", "listed"],
        ["collection", "set", "spot", "--visibility", "listed"],
        ["grant", "list", "public", "--json"],
        ["collection", "list", "--json"],
    )
    assert rows(before)[0]["visibility"] == "hidden"
    assert listed.stderr.endswith("collection spot is listed\n")
    assert again.stderr == listed.stderr
    (grant,) = rows(grants)
    assert (grant["actions"], grant["collections"], grant["area"]) == (["catalogue"], ["spot"], "everywhere")
    assert rows(shown)[0]["visibility"] == "listed"
    other = ["grant", "add", "public", "--collection", "spot", "--gsd", "30"]
    _, public, hidden, grants, after = fine(
        home,
        other,
        ["collection", "list", "--json"],
        ["collection", "set", "spot", "--visibility", "hidden"],
        ["grant", "list", "public", "--json"],
        ["collection", "list", "--json"],
    )
    assert rows(public)[0]["visibility"] == "public"
    assert "still make it public" in hidden.stderr, "it says so where hiding does not hide"
    assert [row["gsd"] for row in rows(grants)] == [30.0], "exactly the listing is gone"
    assert rows(after)[0]["visibility"] == "public"
