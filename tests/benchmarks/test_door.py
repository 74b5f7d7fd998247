"""`dinamis-flux bench` hands on to the benchmark, and says so where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from benchmarks.cases import CASES
from server.cli import bench
from server.cli.main import app


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Take the log back: the command line sends it to a stream that ends with the test."""
    yield
    structlog.reset_defaults()


def test_the_cases_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert CliRunner().invoke(app, ["bench", "--list"]).exit_code == 0
    assert [line.split()[0] for line in capfd.readouterr().out.splitlines()] == [case.name for case in CASES]


def test_a_case_that_does_not_exist_is_a_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["bench", "--case", "nothing"]).exit_code == 2


def test_an_installed_package_says_that_it_has_no_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "PROGRAM", tmp_path / "bench.py")
    done = CliRunner().invoke(app, ["bench", "--list"])
    assert done.exit_code == 1
    assert "source tree" in done.output
