"""A dask cluster on loopback, of processes as its own commands start them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT, wait_until


@dataclass
class DaskCluster:
    """A scheduler and its workers, one thread each."""

    folder: Path
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        found: str = json.loads((self.folder / "scheduler.json").read_text())["address"]
        return found

    def is_known(self) -> bool:
        """Tell whether the scheduler has said, to the end, where it is."""
        said = self.folder / "scheduler.json"
        return said.exists() and said.read_text().rstrip().endswith("}")

    def start(self, workers: int, path: Path = ROOT) -> None:
        """Start what is not there, or not any more; new ones import from a folder."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            self.stop()
            (self.folder / "scheduler.json").unlink(missing_ok=True)
            self.scheduler = self._start("scheduler", path, "--port", "0")
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < workers:
            options = ["--nthreads", "1", "--no-nanny", "--death-timeout", "60"]
            self.workers.append(self._start("worker", path, *options))
        wait_until(self.is_known, seconds=60, what=self.logs)

    def logs(self) -> str:
        return "\n".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        for process in [*self.workers, *([self.scheduler] if self.scheduler else [])]:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        self.scheduler, self.workers = None, []

    def _start(self, kind: str, path: Path, *options: str) -> subprocess.Popen[bytes]:
        shared = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", "scheduler.json"]
        number = len(list(self.folder.glob("*.log")))
        with (self.folder / f"{kind}-{number}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *shared, *options],
                env={**os.environ, "PYTHONPATH": str(path), "DASK_TEMPORARY_DIRECTORY": str(self.folder)},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


@contextlib.contextmanager
def dask_cluster(folder: Path) -> Iterator[DaskCluster]:
    """Give a cluster that is not started yet, until the block ends."""
    cluster = DaskCluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop()
