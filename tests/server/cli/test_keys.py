"""Keys by command line: made, narrowed, rotated and revoked."""

from __future__ import annotations

import json
import re
from pathlib import Path

from auth.credentials import KEY_PATTERN
from tests.server.cli.lines import fine, rows
from tests.server.conftest import run_all


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
