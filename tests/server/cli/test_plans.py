"""What `bank --dry-run` says of products that are not whole, are packed or do not say what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import IMAGERY
from tests.server.conftest import run_all

SKELETONS = IMAGERY / "skeletons"
INTERNAL = SKELETONS / "pleiades_real" / "PHRDIMAP_P1BP--2018122638935449CP.XML"
EMPTY = SKELETONS / "spot5_dimap1_METADATA.DIM"
PACKED = SKELETONS / "alos2_ceos" / "ALOS2_PALSAR2_FBDR1.5GUA.zip"


@pytest.mark.imagery
def test_what_would_be_refused_is_told_with_reasons(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    paths = [str(path) for path in (INTERNAL, EMPTY, PACKED, SKELETONS / "spot_dimap1")]
    told, named, nothing = run_all(
        tmp_path / "home",
        ["bank", *paths, "--dry-run", "--json"],
        ["bank", str(EMPTY), "--dry-run", "--json", "--sensor", "spot5"],
        ["bank", str(tmp_path / "empty"), "--dry-run"],
    )
    assert (told.status, named.status, nothing.status) == (1, 1, 1)
    rows = {Path(row["path"]).name: row for row in json.loads(told.stdout)}
    assert "(IMG_R1C1.JP2); copy the whole delivery" in rows[INTERNAL.name]["refused"]
    assert rows[EMPTY.name]["refused"].endswith("--sensor spot-1-5")
    assert "unpack it first" in rows[PACKED.name]["refused"]
    assert rows["METADATA.DIM"]["platform"] == "SPOT 4"
    (row,) = json.loads(named.stdout)
    assert "(IMAGERY.TIF); copy the whole delivery" in row["refused"]
    assert "nothing to bank" in nothing.stderr
