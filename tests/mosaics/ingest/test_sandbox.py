"""The child process: results and refusals come back, deaths and hangs refuse one file alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mosaics.errors import IngestError
from mosaics.ingest.sandbox import Limits, Sandbox
from tests.conftest import ROOT
from tests.mosaics.ingest.calls import (
    answer_late,
    break_down,
    devour,
    die,
    double,
    environment,
    leave,
    process_id,
    refuse,
    sleep,
    write_slowly,
)
from tests.mosaics.ingest.conftest import silent


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(memory_bytes=3 << 30, stall_seconds=1.0)) as made:
        yield made


def test_results_and_progress_come_back(sandbox: Sandbox) -> None:
    seen: list[Any] = []
    assert sandbox.run("a.tif", double, 21, report=lambda *report: seen.append(report)) == 42
    assert seen[-1] == ("working", 1.0)


def test_one_child_serves_many_calls_and_ends_with_the_sandbox() -> None:
    with Sandbox() as sandbox:
        first = sandbox.run("a.tif", process_id, report=silent)
        assert sandbox.run("b.tif", process_id, report=silent) == first
        assert first != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_the_child_starts_before_the_first_call() -> None:
    with Sandbox() as sandbox:
        assert sandbox._child is not None
        first = sandbox._child[0].pid
        assert sandbox.run("a.tif", process_id, report=silent) == first


def test_it_starts_before_anything_is_loaded_that_reads_files() -> None:
    code = "import sys, mosaics.ingest.sandbox; print({'numpy', 'rasterio', 'cv2'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_refusals_come_back_as_they_are(sandbox: Sandbox) -> None:
    with pytest.raises(IngestError, match=r"^a.tif: it is odd$"):
        sandbox.run("a.tif", refuse, "a.tif: it is odd", report=silent)
    assert sandbox.run("b.tif", double, 1, report=silent) == 2


def test_unexpected_errors_refuse_the_file(sandbox: Sandbox) -> None:
    with pytest.raises(IngestError, match=r"a.tif: .*LookupError: unforeseen"):
        sandbox.run("a.tif", break_down, report=silent)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGSEGV, "crashed .SIGSEGV."),
        (signal.SIGABRT, "crashed .SIGABRT."),
        (signal.SIGKILL, "needs more memory"),
    ],
)
def test_a_crash_refuses_one_file_and_the_next_goes_on(sandbox: Sandbox, number: int, words: str) -> None:
    with pytest.raises(IngestError, match=f"bad.tif: reading the file .*{words}"):
        sandbox.run("bad.tif", die, number, report=silent)
    assert sandbox.run("good.tif", double, 4, report=silent) == 8


def test_a_child_that_leaves_is_noticed(sandbox: Sandbox) -> None:
    with pytest.raises(IngestError, match="exit status 3"):
        sandbox.run("bad.tif", leave, 3, report=silent)


def test_a_hang_is_ended(sandbox: Sandbox) -> None:
    begun = time.monotonic()
    with pytest.raises(IngestError, match=r"slow.tif: given up after 1 s without progress"):
        sandbox.run("slow.tif", sleep, 60, report=silent)
    assert time.monotonic() - begun < 10
    assert sandbox.run("good.tif", double, 4, report=silent) == 8


def test_a_growing_file_is_progress(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "growing"
    result = sandbox.run(
        "a.tif", write_slowly, path, report=silent, grows=lambda: path.exists() and path.stat().st_size
    )
    assert result == "written"


def test_memory_is_limited(sandbox: Sandbox) -> None:
    with pytest.raises(IngestError, match=r"big.tif: .*more memory than a file may take .3072 MB."):
        sandbox.run("big.tif", devour, 4 << 30, report=silent)
    assert sandbox.run("good.tif", devour, 1 << 20, report=silent) == 1 << 20


def test_gdal_is_configured_in_the_child(sandbox: Sandbox) -> None:
    assert sandbox.run("a.tif", environment, "GDAL_PAM_ENABLED", report=silent) == "NO"
    assert "VRT" in sandbox.run("a.tif", environment, "GDAL_SKIP", report=silent)


def test_an_error_of_the_caller_ends_the_child(sandbox: Sandbox) -> None:
    first = sandbox.run("a.tif", process_id, report=silent)

    def interrupt(_stage: str, _fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sandbox.run("a.tif", double, 1, report=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_who_refuses_while_a_call_runs_gets_no_answer_of_it_later(sandbox: Sandbox) -> None:
    def refusing(_stage: str, _fraction: float) -> None:
        raise IngestError("no longer wanted")

    with pytest.raises(IngestError, match="no longer wanted"):
        sandbox.run("one.tif", answer_late, "one", report=refusing)
    assert sandbox.run("two.tif", answer_late, "two", report=silent) == "two"
