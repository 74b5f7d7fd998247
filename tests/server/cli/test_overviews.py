"""Overviews on the command line, written by processes of their own."""

from __future__ import annotations

import json
from pathlib import Path

from mosaics.catalog.migrate import migrate
from mosaics.catalog.sql import SqlCatalog
from mosaics.stretch import Stretch
from server.database import connect
from tests.server.conftest import run_all
from tests.wide import Wide


def test_overviews_are_made_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    engine = connect(None, home)
    migrate(engine)
    wide = Wide(home / "data", SqlCatalog(engine))
    wide.collection("c")
    wide.field(5, 5)
    wide.collection("few")
    wide.scene("one", (0, 0), 50, "few")
    line = ["seed", "c", "--overviews", "--jobs", "2", "--json"]
    made, again, few, unknown = run_all(
        home, line, line, ["seed", "few", "--overviews"], ["seed", "d", "--overviews"]
    )
    assert [each.status for each in (made, again, few, unknown)] == [0, 0, 0, 1], made
    rows = [json.loads(row) for row in made.stdout.splitlines()]
    assert {row["status"] for row in rows} == {"made"}
    assert sum(row["scenes"] for row in rows) == 50
    assert f"c: {len(rows)} overviews, {len(rows)} made, 0 unchanged" in made.stderr
    assert {json.loads(row)["status"] for row in again.stdout.splitlines()} == {"unchanged"}
    held = wide.catalog.stretch("c")
    assert held is not None, "found, since nobody had looked"
    assert held.scenes == 50
    assert "no range of values in common" not in made.stderr
    wide.catalog.put_stretch("c", Stretch(each=True))
    assert "no range of values in common" in run_all(home, line)[0].stderr
    assert "need no overviews" in few.stderr
    assert "no such layer" in unknown.stderr
    standing = wide.layer().standing
    assert standing is not None
    assert standing.valid.all()
    assert all(Path(each.numbers.href).is_file() for each in standing.overviews)
