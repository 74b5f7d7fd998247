"""The record of all changes, and all rights as one file, by command line."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest

from server.database import sqlite_module
from tests.conftest import flux
from tests.server.cli.lines import fine, rows
from tests.server.conftest import run_all


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
