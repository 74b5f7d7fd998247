"""Administering by command line: each command writes what it says, or nothing, and tells why."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry import mapping

from auth.credentials import KEY_PATTERN
from server.database import sqlite_module
from tests.conftest import flux, position_pixels, write_raster
from tests.server.conftest import Done, run_all

BASIS = [
    ["institution", "add", "sdis31", "--name", "SDIS 31", "--agreement", "C-1", "--contact", "a@b.fr"],
    ["institution", "add", "geo"],
    ["operator", "add", "ops"],
    ["operator", "add", "ops2"],
    ["group", "add", "sud", "--member", "sdis31", "--member", "geo"],
]


@pytest.fixture(scope="module")
def banked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home with one scene, two institutions, two operators and a group."""
    folder = tmp_path_factory.mktemp("banked")
    source = write_raster(folder / "one_20240517.tif", position_pixels(60, 80, 3), photometric="RGB")
    line = ["bank", str(source), "--collection", "spot", "--licence", "spot-dinamis"]
    done = run_all(folder / "home", line, *BASIS)
    assert [each.status for each in done] == [0] * len(done), done
    return folder / "home"


@pytest.fixture
def home(banked: Path, tmp_path: Path) -> Path:
    """Give a copy of it that a test may change."""
    own = tmp_path / "home"
    own.mkdir()
    with closing(sqlite_module.connect(banked / "flux.db")) as source:
        source.execute("VACUUM INTO ?", (str(own / "flux.db"),))
    return own


def fine(home: Path, *lines: list[str]) -> list[Done]:
    done = run_all(home, *lines)
    for line, each in zip(lines, done, strict=True):
        assert (each.status, each.stack) == (0, None), (line, each)
    return done


def rows(done: Done) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def id_in(done: Done) -> str:
    """Give the id that a message ends with."""
    return done.stderr.strip().splitlines()[0].rsplit(" ", 1)[1]


def test_institutions_live_from_add_to_remove(home: Path) -> None:
    *_, shown, listed = fine(
        home,
        ["institution", "set", "sdis31", "--name", "Pompiers", "--contact", "c@d.fr", "--contact", "e@f.fr"],
        ["institution", "suspend", "geo"],
        ["institution", "show", "sdis31", "--json"],
        ["institution", "list", "--json"],
    )
    assert json.loads(shown.stdout) == {
        "id": "sdis31",
        "name": "Pompiers",
        "agreement": "C-1",
        "contacts": ["c@d.fr", "e@f.fr"],
        "groups": ["sud"],
        "grants": [],
        "keys": [],
    }
    assert {row["id"]: row["status"] for row in rows(listed)}["geo"] == "suspended"
    resumed, closed, again = fine(
        home, *(["institution", verb, "geo"] for verb in ("resume", "close", "close"))
    )
    assert [each.stderr.strip() for each in (resumed, closed, again)] == [
        "geo is active",
        "geo is closed",
        "geo is already closed",
    ]
    (refused,) = run_all(home, ["institution", "remove", "geo"])
    assert refused.status == 1
    assert "still named by group sud" in refused.stderr
    fine(home, ["group", "set", "sud", "--drop-member", "geo"], ["institution", "remove", "geo"])


def test_groups_gain_and_lose_members(home: Path) -> None:
    lines = [
        ["group", "set", "sud", "--drop-member", "geo", "--add-member", "ops"],
        ["group", "set", "sud", "--name", "Le Sud"],
    ]
    *_, listed = fine(home, *lines, ["group", "list", "--json"])
    assert rows(listed) == [{"id": "sud", "name": "Le Sud", "members": ["ops", "sdis31"]}]
    fine(
        home,
        ["group", "set", "sud", "--member", "geo"],
        ["grant", "add", "group:sud", "--collection", "spot"],
    )
    refused, unknown = run_all(
        home, ["group", "remove", "sud"], ["group", "set", "sud", "--add-member", "who"]
    )
    assert (refused.status, unknown.status) == (1, 1)
    assert "still named by grant" in refused.stderr
    assert "who" in unknown.stderr


@pytest.mark.parametrize(
    ("option", "text", "kept"),
    [
        ("--public", "32xpan", {"times_pan": 32.0}),
        ("--public", "16m", {"ground_resolution": 16.0}),
        ("--partner", "32xpan,16m", {"ground_resolution": 16.0, "times_pan": 32.0}),
        ("--holder", "2.5m", {"ground_resolution": 2.5}),
    ],
)
def test_tiers_are_set_and_taken_back(home: Path, option: str, text: str, kept: dict[str, float]) -> None:
    name, off = option.removeprefix("--"), "native" if option == "--holder" else "off"
    _, listed, exported, _, after = fine(
        home,
        ["licence", "set", "spot-dinamis", option, text],
        ["licence", "list", "--json"],
        ["rights", "export"],
        ["licence", "set", "spot-dinamis", option, off],
        ["licence", "list", "--json"],
    )
    assert rows(listed)[0][name] == text
    assert all(f"{field}: {number}" in exported.stdout for field, number in kept.items())
    assert rows(after)[0][name] == off


def test_a_licence_keeps_what_is_not_said_again(home: Path) -> None:
    *_, listed = fine(
        home,
        [
            "licence",
            "add",
            "x",
            "--provider",
            "P",
            "--url",
            "https://l",
            "--terms-version",
            "2",
            "--public",
            "8m",
        ],
        ["licence", "set", "x", "--title", "T", "--redistribution", "open"],
        ["licence", "list", "--json"],
    )
    row = next(row for row in rows(listed) if row["id"] == "x")
    wanted = {"title": "T", "provider": "P", "url": "https://l", "redistribution": "open", "public": "8m"}
    assert wanted.items() <= row.items()
    fine(home, ["licence", "remove", "x"])


def test_memberships_are_added_listed_and_removed(home: Path) -> None:
    line = ["membership", "add", "sdis31", "--issuer", "https://idp", "--claim", "siret", "--value", "123"]
    added, again, listed = fine(
        home, [*line, "--manager"], [*line, "--manager"], ["membership", "list", "--json"]
    )
    assert "added" in added.stderr
    assert "already" in again.stderr
    (row,) = rows(listed)
    assert row["role"] == "manager"
    (other,) = run_all(home, line)
    assert other.status == 1, "the same claim can't mean two roles"
    fine(home, ["membership", "remove", row["id"]])


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


def test_keys_make_keys_rotate_and_die_together(home: Path) -> None:
    (made,) = fine(home, ["key", "create", "sdis31", "--manager", "--label", "platform"])
    assert re.fullmatch(KEY_PATTERN + "\n", made.stdout)
    top = made.stdout.split("_")[2]
    narrow = ["--collection", "spot", "--licence", "spot-dinamis", "--sensor", "s", "--area", "1,43,2,44"]
    narrow += ["--gsd", "2", "--acquired", "2020-01-01/..", "--actions", "tile", "--origin", "https://a.fr"]
    narrow += ["--network", "192.0.2.1", "--rate", "5/s", "--no-url", "--expires", "2099-01-01"]
    (child,) = fine(home, ["key", "create", "sdis31", "--parent", made.stdout.strip(), *narrow])
    child_id = child.stdout.split("_")[2]
    grandchild, plain = fine(
        home,
        ["key", "create", "sdis31", "--parent", child_id, "--no-url", "--expires", "2098-01-01"],
        ["key", "create", "sdis31"],
    )
    grandchild_id = grandchild.stdout.split("_")[2]
    wider = run_all(
        home,
        ["key", "create", "geo", "--parent", top],
        ["key", "create", "sdis31", "--parent", child_id],
        ["key", "create", "sdis31", "--parent", child_id, "--no-url"],
        ["key", "create", "sdis31", "--parent", top, "--manager"],
    )
    assert [each.status for each in wider] == [1, 1, 1, 1]
    shown, rotated, listed = fine(
        home,
        ["key", "show", child_id, "--json"],
        ["key", "rotate", top, "--grace", "12h"],
        ["key", "list", "--json"],
    )
    document = json.loads(shown.stdout)
    assert (document["above"], document["below"]) == ([top], [grandchild_id])
    assert document["caveat"]["finest_ground_resolution"] == 2.0
    assert document["caveat"]["conditions"] == {"origins": ["https://a.fr"], "networks": ["192.0.2.1"]}
    assert "hmac" not in shown.stdout
    assert rotated.stdout.split("_")[2] == top
    assert rotated.stdout != made.stdout
    by_id = {row["id"]: row for row in rows(listed)}
    assert re.fullmatch(r"1 until \d{4}-\d\d-\d\d, 2", by_id[top]["secrets"])
    assert (by_id[top]["role"], by_id[top]["narrowed"], by_id[top]["last_used"]) == ("manager", "no", None)
    assert (by_id[child_id]["parent"], by_id[child_id]["narrowed"]) == (top, "yes")
    assert (by_id[child_id]["in_urls"], by_id[grandchild_id]["narrowed"]) == ("no", "yes")
    revoked, again = fine(home, ["key", "revoke", top], ["key", "revoke", top])
    assert f"2 keys below it die with it: {child_id}, {grandchild_id}" in revoked.stderr
    assert "before" in again.stderr
    assert plain.stdout.split("_")[2] not in revoked.stderr
    assert run_all(home, ["key", "rotate", top])[0].status == 1


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


def test_who_changed_what_is_recorded_under_a_name(home: Path) -> None:
    fine(home, ["--actor", "alice", "institution", "add", "a"])
    assert flux(home, "institution", "add", "b", FLUX_ACTOR="bob").returncode == 0
    listed, plain, verified = fine(home, ["audit", "list", "--json"], ["audit", "list"], ["audit", "verify"])
    *_, first, second = rows(listed)
    assert (first["actor"], first["id"], first["what"]) == ("cli:alice", "a", "put")
    assert (second["actor"], second["document"]) == ("cli:bob", {"id": "b", "name": "b"})
    assert "cli:alice" in plain.stdout
    assert verified.stdout == f"{second['sequence']}:{second['hash']}\n"
    since, same, other = run_all(
        home,
        ["audit", "list", "--since", str(first["sequence"]), "--json"],
        ["audit", "verify", "--expect", f"{first['sequence']}:{first['hash']}"],
        ["audit", "verify", "--expect", f"{first['sequence']}:{second['hash']}"],
    )
    assert [row["id"] for row in rows(since)] == ["b"]
    assert (same.status, other.status) == (0, 1)
    assert f"record {first['sequence']}: it is not the one that was noted" in other.stderr


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE auth_audit SET actor = 'cli:eve' WHERE sequence = 3",
            "record 3: it is not as it was written",
        ),
        ("DELETE FROM auth_audit WHERE sequence = 2", "record 2: the record is missing"),
        ("UPDATE auth_right SET document = NULL WHERE id = 'geo'", "the rights: institution geo was changed"),
    ],
)
def test_verifying_names_what_was_touched(home: Path, statement: str, said: str) -> None:
    with closing(sqlite_module.connect(home / "flux.db")) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute(statement)
        database.commit()
    (done,) = run_all(home, ["audit", "verify"])
    assert (done.status, done.stdout) == (1, "")
    assert said in done.stderr


def test_rights_are_reviewed_applied_and_pruned_as_a_file(home: Path, tmp_path: Path) -> None:
    _, made = fine(home, ["grant", "add", "sdis31", "--collection", "spot"], ["key", "create", "geo"])
    key_id, file = made.stdout.split("_")[2], tmp_path / "rights.yaml"
    exported, unchanged = fine(home, ["rights", "export"], ["rights", "export", str(file)])
    assert file.read_text(encoding="utf-8") == exported.stdout
    assert not unchanged.stdout
    (nothing,) = fine(home, ["rights", "apply", str(file), "--prune"])
    assert (nothing.stdout, nothing.stderr) == ("", "nothing to do\n")
    edited = exported.stdout.replace("name: SDIS 31", "name: Pompiers").replace("  - geo\n", "")
    grants = edited.index("grants:")
    file.write_text(edited[:grants], encoding="utf-8")
    head, dry, as_json, same = fine(
        home,
        ["audit", "verify"],
        ["rights", "apply", str(file), "--dry-run"],
        ["rights", "apply", str(file), "--dry-run", "--prune", "--json"],
        ["audit", "verify"],
    )
    assert head.stdout == same.stdout, "a dry run writes nothing"
    first, second, third = dry.stdout.splitlines()
    assert first == "~ institution sdis31: name SDIS 31 -> Pompiers"
    assert second == "~ group sud: members geo sdis31 -> sdis31"
    assert re.fullmatch(r"= grant g[0-9a-f]{16}: not in the file, kept \(--prune removes it\)", third)
    assert "2 rights would be changed" in dry.stderr
    assert [row["sign"] for row in json.loads(as_json.stdout)] == ["~", "~", "-"]
    applied, listed, kept = fine(
        home,
        ["rights", "apply", str(file), "--prune"],
        ["grant", "list", "--json"],
        ["key", "show", key_id, "--json"],
    )
    assert applied.stdout.splitlines()[:2] == [first, second]
    assert rows(listed) == []
    assert json.loads(kept.stdout)["id"] == key_id


def test_a_dry_run_tells_what_the_real_one_would_refuse(home: Path, tmp_path: Path) -> None:
    (exported,) = fine(home, ["rights", "export"])
    file = tmp_path / "rights.yaml"
    file.write_text(exported.stdout.replace("- sdis31\n", "- nobody\n"), encoding="utf-8")
    head, *_ = fine(home, ["audit", "verify"])
    dry, real = run_all(home, ["rights", "apply", str(file), "--dry-run"], ["rights", "apply", str(file)])
    for done in (dry, real):
        assert (done.status, done.stdout, done.stack) == (1, "", None)
        assert "nobody" in done.stderr
    file.write_text("rights: 1\ngroups: [\n", encoding="utf-8")
    (broken,) = run_all(home, ["rights", "apply", str(file)])
    assert broken.status == 1
    assert "line 3" in broken.stderr
    file.write_bytes(b"rights: 1\n\xff\n")
    (bytes_,) = run_all(home, ["rights", "apply", str(file)])
    assert (bytes_.status, bytes_.stack) == (1, None)
    assert fine(home, ["audit", "verify"])[0].stdout == head.stdout


def test_rights_move_to_another_home_with_the_hashes_of_keys_only(home: Path, tmp_path: Path) -> None:
    (made,) = fine(home, ["key", "create", "geo"])
    bare, whole, other = tmp_path / "bare.yaml", tmp_path / "whole.yaml", tmp_path / "other"
    fine(home, ["rights", "export", str(bare)], ["rights", "export", str(whole), "--with-secrets"])
    refused, moved, again = run_all(other, *(["rights", "apply", str(file)] for file in (bare, whole, bare)))
    assert refused.status == 1
    assert made.stdout.split("_")[2] in refused.stderr
    assert (moved.status, again.status, again.stderr) == (0, 0, "nothing to do\n")
    assert made.stdout.strip().split("_")[3][:10] not in whole.read_text(encoding="utf-8")
