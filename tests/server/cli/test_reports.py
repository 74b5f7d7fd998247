"""Reports by command line: what a key sees and why, and what was shown to whom."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auth.models import Quota
from auth.usage import Counts, LeaseKey, SqlUsageStore, UsageRecord, period_of
from server.database import open_database
from server.settings import load_settings
from server.usage.counters import CounterFile
from tests.conftest import Town
from tests.server.conftest import copy_home, run_all

INSIDE = "1.4178,43.606"
"""Of the town's scenes."""


@pytest.fixture
def home(town: Town, tmp_path: Path) -> Path:
    return copy_home(town, tmp_path / "home")


def key_id(key: str) -> str:
    return key.split("_")[2]


def test_explain_says_in_both_languages_what_decided(town: Town, home: Path) -> None:
    line = ["explain", town.key, "granted", "--at", INSIDE, "--gsd", "1"]
    by_key, by_id, french, english, as_json = run_all(
        home,
        line,
        ["explain", key_id(town.key), *line[2:]],
        [*line, "--lang", "fr"],
        [*line, "--lang", "en"],
        [*line, "--json"],
    )
    assert by_key.status == 0, by_key
    assert by_key.stdout == by_id.stdout == french.stdout + english.stdout
    document = json.loads(as_json.stdout)
    assert document["sentence"] == {"fr": french.stdout.strip(), "en": english.stdout.strip()}
    assert (document["code"], document["allowed"], document["imagery"]) == ("ok", True, True)
    assert document["ids"][0] in french.stdout
    assert town.key not in by_key.stdout + as_json.stdout


def test_explain_answers_for_everybody_and_for_dead_and_unknown_keys(town: Town, home: Path) -> None:
    rest = ["--at", INSIDE, "--gsd", "1", "--lang", "en"]
    public, hidden, missing, dead, unknown = run_all(
        home,
        ["explain", "public", "open", *rest],
        ["explain", "public", "granted", *rest],
        ["explain", "public", "nowhere", *rest],
        ["explain", town.revoked_key, "granted", *rest],
        ["explain", "AAAAAAAA", "granted", *rest],
    )
    assert public.stdout.startswith("The public sees this layer here by the grant g")
    assert hidden.stdout == "The public does not see this layer here: no grant opens it (no_grant).\n"
    assert "no layer of that name (no_layer)" in missing.stdout
    assert "opens nothing" in dead.stdout
    assert "was revoked on" in dead.stdout
    assert [each.status for each in (public, hidden, missing, dead)] == [0, 0, 0, 0]
    assert (unknown.status, unknown.stdout) == (1, "")


def test_explain_tells_the_other_misses_below_the_nearest(town: Town, home: Path) -> None:
    lines = [
        ["grant", "add", "other", "--collection", "granted", "--gsd", "2"],
        ["grant", "add", "other", "--collection", "granted", "--origin", "https://geo.example.org"],
        ["grant", "add", "other", "--collection", "granted", "--network", "192.0.2.0/24"],
    ]
    ask = ["explain", town.other_key, "granted", "--at", INSIDE, "--gsd", "1", "--lang", "en"]
    *_, told, from_site, from_network = run_all(
        home, *lines, ask, [*ask, "--origin", "https://GEO.example.org/"], [*ask, "--address", "192.0.2.7"]
    )
    first, *others = told.stdout.splitlines()
    assert "opens only at 2 m and coarser, and 1 m was asked for (zoom_limit)" in first
    assert [line.endswith("holds only from certain sites or networks (origin).") for line in others] == [
        True,
        True,
    ]
    assert all(line.startswith("  The grant g") for line in others)
    assert "sees this layer here" in from_site.stdout
    assert "sees this layer here" in from_network.stdout


def test_explain_counts_preview_tiers_as_the_server_does(town: Town, home: Path) -> None:
    """Through the sensor's panchromatic resolution where it has one, else the scene's own (0.5 m)."""
    ask = ["explain", "public", "granted", "--at", INSIDE, "--lang", "en"]
    _, fine, coarse = run_all(
        home,
        ["licence", "set", "region-only", "--public", "32xpan"],
        [*ask, "--gsd", "15"],
        [*ask, "--gsd", "17"],
    )
    assert "(zoom_limit)" in fine.stdout
    assert "by the public preview of the licence region-only" in coarse.stdout


def test_explain_knows_of_used_up_quotas(town: Town, home: Path) -> None:
    _, listed = run_all(
        home,
        ["grant", "add", "other", "--collection", "granted", "--quota", "10/day"],
        ["grant", "list", "other", "--json"],
    )
    grant_id = next(row["id"] for row in json.loads(listed.stdout) if row["quota"])
    engine = open_database(None, home)
    period = period_of(Quota(amount=10, period="day"), datetime.now(UTC))
    ask = ["explain", town.other_key, "granted", "--at", INSIDE, "--gsd", "1", "--lang", "en"]
    store = SqlUsageStore(engine)
    assert store.lease(LeaseKey(grant_id, period), 10_000, 9_000) == 9_000
    (before,) = run_all(home, ask)
    assert store.lease(LeaseKey(grant_id, period), 10_000, 1_000) == 1_000
    (after,) = run_all(home, ask)
    engine.dispose()
    assert "sees this layer here" in before.stdout
    assert f"the quota of the grant {grant_id} is used up (10/day) (quota)" in after.stdout


@pytest.mark.parametrize(
    "line",
    [
        ["explain", "public", "open"],
        ["explain", "public", "open", "--at", INSIDE],
        ["explain", "public", "open", "--at", "here", "--gsd", "1"],
        ["explain", "public", "open", "--at", "1,2,3", "--gsd", "1"],
        ["explain", "public", "open", "--at", "652000,6860000", "--gsd", "1"],
        ["explain", "public", "open", "--at", "nan,43", "--gsd", "1"],
        ["explain", "public", "open", "--at", INSIDE, "--gsd", "-1"],
        ["explain", "public", "open", "--at", INSIDE, "--gsd", "nan"],
        ["explain", "public", "open", "--at", INSIDE, "--gsd", "1", "--action", "manage"],
        ["explain", "public", "open", "--at", INSIDE, "--gsd", "1", "--lang", "de"],
        ["explain", "public", "open", "--at", INSIDE, "--gsd", "1", "--address", "here"],
        ["usage", "--by", "person"],
        ["usage", "--by", "month,month"],
        ["usage", "--from", "yesterday"],
        ["usage", "--from", "2026-02-01", "--to", "2026-01-01"],
        ["usage", "--format", "xml"],
    ],
)
def test_wrong_questions_are_status_2(town: Town, line: list[str]) -> None:
    (done,) = run_all(town.home, line)
    assert (done.status, done.stdout, done.stack) == (2, "", None), done


def test_a_time_the_layer_lacks_is_status_1(town: Town) -> None:
    ask = ["explain", "public", "open", "--at", INSIDE, "--gsd", "1", "--time"]
    wrong, right = run_all(town.home, [*ask, "2001-01-01"], [*ask, "2024-05-17"])
    assert (wrong.status, right.status) == (1, 0)


def record(day: str, institution: str, sensor: str) -> UsageRecord:
    return UsageRecord(day, institution, "AAAAAAAA", "spot", sensor, "0.5-1")


@pytest.fixture
def counted(home: Path) -> Path:
    """Give a home with usage in the store, and some that a killed worker left in its file."""
    engine = open_database(None, home)
    store = SqlUsageStore(engine)
    store.fold(
        "test",
        {
            record("2026-01-10", "region", "spot-6-7"): Counts(3, 4, 3500, 1000),
            record("2026-01-20", "region", "pleiades"): Counts(1, 1, 250, 10),
            record("2026-02-01", "other", "spot-6-7"): Counts(2, 2, 2000, 600),
        },
    )
    engine.dispose()
    folder = load_settings(home=home).usage_folder
    folder.mkdir(parents=True)
    left = CounterFile(folder)
    left.add(record("2026-02-02", "other", "spot-6-7"), (1, 1, 1000, 300))
    left.close()
    return home


def test_usage_adds_up_by_what_is_asked_and_counts_what_dead_workers_left(counted: Path) -> None:
    span = ["usage", "--from", "2026-01-01", "--to", "2026-12-31", "--json"]
    by_month, one, again, nothing, whole = run_all(
        counted,
        [*span, "--by", "month,institution"],
        [*span, "--by", "sensor", "--institution", "region"],
        [*span, "--by", "month,institution"],
        ["usage", "--from", "2025-01-01", "--to", "2025-12-31"],
        [*span, "--by", ""],
    )
    assert json.loads(by_month.stdout) == [
        {
            "month": "2026-01",
            "institution": "region",
            "answers": 4,
            "appearances": 5,
            "units": 3.75,
            "bytes": 1010,
        },
        {
            "month": "2026-02",
            "institution": "other",
            "answers": 3,
            "appearances": 3,
            "units": 3.0,
            "bytes": 900,
        },
    ]
    assert [row["sensor"] for row in json.loads(one.stdout)] == ["pleiades", "spot-6-7"]
    assert again.stdout == by_month.stdout, "what was left is counted once"
    assert (nothing.status, nothing.stdout) == (0, "")
    assert nothing.stderr.startswith("nothing")
    assert [row["answers"] for row in json.loads(whole.stdout)] == [7]


def test_usage_is_a_table_for_people_and_csv_for_spreadsheets(counted: Path) -> None:
    span = ["usage", "--from", "2026-01-01", "--to", "2026-01-31"]
    table, text, empty = run_all(
        counted, span, [*span, "--format", "csv"], [*span[:-1], "2026-01-02", "--format", "csv"]
    )
    assert "2026-01" in table.stdout
    assert "region" in table.stdout
    head, *rows = csv.reader(io.StringIO(text.stdout))
    assert head == ["month", "institution", "sensor", "answers", "appearances", "units", "bytes"]
    assert rows == [
        ["2026-01", "region", "pleiades", "1", "1", "0.25", "10"],
        ["2026-01", "region", "spot-6-7", "3", "4", "3.5", "1000"],
    ]
    assert list(csv.reader(io.StringIO(empty.stdout))) == [head]


def test_keys_tell_when_and_with_which_secret_they_were_last_used(town: Town, home: Path) -> None:
    engine = open_database(None, home)
    id_ = key_id(town.key)
    SqlUsageStore(engine).use_keys({(id_, 1): datetime(2026, 2, 3, tzinfo=UTC).date()})
    engine.dispose()
    listed, shown, unused = run_all(
        home, ["key", "list", "region", "--json"], ["key", "show", id_, "--json"], ["key", "list", "other"]
    )
    row = next(row for row in json.loads(listed.stdout) if row["id"] == id_)
    assert (row["last_used"], row["with_secret"]) == ("2026-02-03", 1)
    assert json.loads(shown.stdout)["secrets"][0]["last_used"] == "2026-02-03"
    assert " - " in unused.stdout
