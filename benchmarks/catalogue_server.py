"""Runs our command line and one worker of our server on a home of the benchmark of catalogues."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import NO_TILE_CACHE, Engine, free_port, plain_environment

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server with one worker."""

    port: int
    key: str
    ready_after: float
    """Seconds from its start until it was ready."""
    process: subprocess.Popen[bytes]

    def resident(self) -> float:
        """Give the megabytes that the worker holds."""
        engine = Engine(name="flux", port=self.port, processes=(self.process,))
        return max(engine.memory(), default=0) / 1e6


def flux(home: Path, images: Path, *line: str) -> str:
    """Run the command line."""
    done = subprocess.run(
        [sys.executable, "-m", "server", "--home", home, *line],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**plain_environment(), "FLUX_DATA_ROOTS": str(images)},
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(line)}: {done.stderr[-2000:]}")
    return done.stdout


@contextlib.contextmanager
def served(home: Path, images: Path) -> Iterator[Served]:
    """Serve a home with one worker, which makes each tile anew, until the block ends."""
    port = free_port()
    line = ["--home", home, "serve", "--port", str(port), "--workers", "1"]
    environment = {**plain_environment(), **NO_TILE_CACHE, "FLUX_DATA_ROOTS": str(images)}
    begun = time.monotonic()
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", *line], cwd=ROOT, stdout=log, stderr=log, env=environment
        )
        try:
            while not _is_ready(port):
                if process.poll() is not None or time.monotonic() - begun > 120:
                    raise SystemExit((home / "server.log").read_text()[-2000:])
                time.sleep(0.01)
            yield Served(
                port=port,
                key=(home / "key").read_text(),
                ready_after=time.monotonic() - begun,
                process=process,
            )
        finally:
            process.terminate()
            process.wait(30)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=30) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
