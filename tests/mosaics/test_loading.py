"""What is loaded in less time."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mosaics.loading import loading


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_nobody_uses_is_not_found_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "boto3", raising=False)
    with loading():
        assert not gc.isenabled()
        with pytest.raises(ImportError):
            importlib.import_module("boto3")
    assert gc.isenabled()
    assert importlib.import_module("boto3").client, "afterwards it is there as ever"


def test_what_is_loaded_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    standing_in = type(sys)("boto3")
    monkeypatch.setitem(sys.modules, "boto3", standing_in)
    with loading():
        assert importlib.import_module("boto3") is standing_in
    assert sys.modules["boto3"] is standing_in


@pytest.mark.parametrize("module", ["server", "mosaics.ingest.child"])
def test_programs_start_without_it(module: str) -> None:
    code = f"import sys, {module}.__main__" if module == "server" else f"import sys, {module}"
    command = [
        sys.executable,
        "-c",
        f"{code}; assert 'rasterio' in sys.modules; assert 'boto3' not in sys.modules",
    ]
    subprocess.run(command, check=True, timeout=60)
