"""Many commands of the command line in one process, so that setting a scene up takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT

_LOOP = (
    "import json, sys; from server.cli.main import app\n"
    "for line in json.loads(sys.argv[1]): assert not app([*sys.argv[2:], *line], standalone_mode=False), line"
)


def run_commands(home: Path, lines: Sequence[Sequence[str]]) -> str:
    """Run commands one after the other over a home and give all that they print on stdout."""
    done = subprocess.run(
        [sys.executable, "-c", _LOOP, json.dumps(lines), "--home", str(home)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=dict(os.environ),
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def create_keys(home: Path, institutions: Sequence[str]) -> list[str]:
    """Make a key for each institution, in their order."""
    printed = run_commands(home, [["key", "create", institution] for institution in institutions])
    keys = [line for line in printed.splitlines() if line.startswith("flx_")]
    assert len(keys) == len(institutions)
    return keys
