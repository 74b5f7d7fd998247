"""A home to administer by command line."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from server.database import sqlite_module
from tests.conftest import position_pixels, write_raster
from tests.server.conftest import run_all

BASIS = [
    ["institution", "add", "sdis31", "--name", "SDIS 31", "--agreement", "C-1", "--contact", "a@b.fr"],
    ["institution", "add", "geo"],
    ["operator", "add", "ops"],
    ["operator", "add", "ops2"],
    ["group", "add", "sud", "--member", "sdis31", "--member", "geo"],
]


@pytest.fixture(scope="session")
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
