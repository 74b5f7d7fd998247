"""Institutions, groups, licences and memberships by command line: each command writes what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.server.cli.lines import fine, rows
from tests.server.conftest import run_all


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
