"""The rooms: what may import what (contracts in pyproject.toml), and that the contracts can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LINT = Path(sys.executable).with_name("lint-imports")
PACKAGES = ("auth", "mosaics", "server")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--no-cache"], capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )


def test_every_contract_is_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("auth/policy.py", "import mosaics.models", "auth and mosaics never meet"),
        ("mosaics/layers.py", "from auth.models import Action", "auth and mosaics never meet"),
        ("mosaics/resolve.py", "import starlette", "know no HTTP"),
        ("auth/store.py", "import server.settings", "know no HTTP"),
        ("auth/credentials.py", "import numpy", "auth sees no pixel"),
        ("mosaics/render.py", "import rasterio", "open nothing"),
    ],
)
def test_a_contract_that_is_broken_is_found(tmp_path: Path, file: str, line: str, contract: str) -> None:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("node_modules", "__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as module:
        module.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    broken = [text for text in done.stdout.splitlines() if text.strip().endswith("BROKEN")]
    assert any(contract in text for text in broken), broken
