"""Programs that the clients' tests start: many commands in one process, which takes seconds; Node.js."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import ROOT, need_program
from tests.loaded import loaded

MODULES = ROOT / "server" / "viewer" / "node_modules"
"""Packages of the map page."""

_LOOP = (
    "import json, sys; from server.cli.main import app\n"
    "for line in json.loads(sys.argv[1]): assert not app([*sys.argv[2:], *line], standalone_mode=False), line"
)


def run_commands(home: Path, lines: Sequence[Sequence[str]]) -> str:
    """Run commands one after the other over a home and give all that they print on stdout."""
    done = loaded().run(_LOOP, json.dumps(lines), "--home", str(home))
    assert done.returncode == 0, done.stderr
    return done.stdout


def create_keys(home: Path, institutions: Sequence[str]) -> list[str]:
    """Make a key for each institution, in their order."""
    printed = run_commands(home, [["key", "create", institution] for institution in institutions])
    keys = [line for line in printed.splitlines() if line.startswith("flx_")]
    assert len(keys) == len(institutions)
    return keys


def need_node() -> str:
    """Find Node.js; scripts/setup puts it into the virtual environment where the system has none."""
    return shutil.which(Path(sys.executable).with_name("node")) or need_program("node")


def need_package(folder: Path, name: str, how: str) -> Path:
    """Give the folder of a package of npm; without it skip, or fail where CI promises that it is there."""
    package = folder / name
    if not package.is_dir():
        message = f"{name} is not installed: {how}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return package
