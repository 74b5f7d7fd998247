"""Leftovers on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.server.conftest import run_all


def test_leftovers_are_listed_and_removed(home: Path) -> None:
    path = home / "data" / "cogs" / "spot" / "killed.tif"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"12345")
    listed, for_people, removed, nothing = run_all(
        home, ["leftovers", "--json"], ["leftovers"], ["leftovers", "--remove", "--json"], ["leftovers"]
    )
    assert [each.status for each in (listed, for_people, removed, nothing)] == [0] * 4
    (row,) = json.loads(listed.stdout)
    assert (row["path"], row["bytes"]) == (str(path), 5)
    assert "killed.tif" in for_people.stdout
    assert "1 files, 0.0 MiB left; --remove" in for_people.stderr
    assert json.loads(removed.stdout) == [row]
    assert not path.exists()
    assert "no leftovers" in nothing.stderr
