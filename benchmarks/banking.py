"""Times banking against `rio cogeo create` on the same files with the same settings, and watches its memory.

`benchmarks/banking.py` prints a table of pairs; `--json` prints it for programs. `--memory 40000` banks
images of that many columns and rows instead, once, and tells what all processes held together. Needs the
development environment; sources are made once, in `benchmarks/.work`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import rasterio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.large import make_large, make_plain
from mosaics.ingest.profile import PROFILE

ROOT: Final = Path(__file__).resolve().parents[1]
WORK: Final = ROOT / "benchmarks" / ".work"
BAR_SPEED: Final = 1.0
BAR_MEGABYTES: Final = 1_500
_READ_BYTES: Final = 1 << 24
_EVERY_SECONDS: Final = 0.05
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PROGRAMS: Final = Path(sys.executable).parent


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one command took."""

    seconds: float
    """By the clock."""
    processor: float
    """Seconds of all processors, of the command and all that it started."""
    megabytes: float
    """The most that all its processes held at the same time: the sum of their RSS, shared pages in each."""


def run(command: Sequence[str | Path]) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: If it fails.
    """
    with tempfile.TemporaryFile() as said:
        before, begun = os.times(), time.monotonic()
        process = subprocess.Popen(command, stdout=said, stderr=said, cwd=ROOT, start_new_session=True)
        most, over = 0, threading.Event()

        def watch() -> None:
            nonlocal most
            while not over.wait(_EVERY_SECONDS):
                most = max(most, held_by_session(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        status = process.wait()
        seconds, after = time.monotonic() - begun, os.times()
        over.set()
        watcher.join()
        if status != 0:
            said.seek(0)
            raise RuntimeError(f"{command}: {said.read()[-2000:].decode(errors='replace')}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(seconds=seconds, processor=used, megabytes=most / 1e6)


def held_by_session(session: int) -> int:
    """Give the bytes of RSS of all processes of a session together."""
    held = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(words[3]) == session:
                held += int((entry / "statm").read_text().split()[1]) * _PAGE
        except OSError:
            continue
    return held


def ours(source: Path, folder: Path) -> list[str | Path]:
    """Give the command that banks a file, or a delivery, into a new home."""
    return [sys.executable, "-m", "server", "--home", folder / "home", "bank", source]


def theirs(source: Path, folder: Path) -> list[str | Path]:
    """Give the command that makes the same COG by rio-cogeo, on all processors, as it does by itself."""
    size = str(PROFILE.block_size)
    return [
        *(
            _PROGRAMS / "rio",
            "cogeo",
            "create",
            source,
            folder / "cog.tif",
            "--cog-profile",
            PROFILE.codec.lower(),
        ),
        *("--blocksize", size, "--overview-blocksize", size, "--overview-resampling", "average"),
        *(
            "--co",
            f"ZSTD_LEVEL={PROFILE.level}",
            "--co",
            f"PREDICTOR={_predictor(source)}",
            "--co",
            "BIGTIFF=IF_SAFER",
            "--quiet",
        ),
    ]


def _predictor(source: Path) -> int:
    with rasterio.open(source) as file:
        return PROFILE.predictor(file.dtypes[0])


def in_new_folder(command: Callable[[Path, Path], list[str | Path]], source: Path) -> Cost:
    """Run a command that writes, and take away what it wrote.

    Each begins with the file in the system's cache, and with nothing that others have left to be flushed.
    """
    folder = Path(tempfile.mkdtemp(prefix="banking-", dir=WORK))
    try:
        os.sync()
        with source.open("rb") as file:
            while file.read(_READ_BYTES):
                pass
        return run(command(source, folder))
    finally:
        shutil.rmtree(folder)


def pairs(source: Path, runs: int) -> list[tuple[Cost, Cost]]:
    """Run ours and theirs in turns, the other first in every other pair."""
    found = []
    for number in range(runs):
        order = (ours, theirs) if number % 2 == 0 else (theirs, ours)
        taken = {command: in_new_folder(command, source) for command in order}
        tell(f"{source.stem} {number + 1}: ours {_words(taken[ours])}; rio cogeo {_words(taken[theirs])}")
        found.append((taken[ours], taken[theirs]))
    return found


def tell(message: str) -> None:
    """Say what is going on."""
    print(f"banking: {message}", file=sys.stderr, flush=True)


def _words(cost: Cost) -> str:
    return f"{cost.seconds:.1f} s, {cost.processor:.1f} s of processors, {cost.megabytes:.0f} MB"


def speed_table(found: dict[str, list[tuple[Cost, Cost]]]) -> str:
    """Give the pairs as a table in Markdown."""
    lines = [
        "| image | ours, s | rio cogeo, s | faster by | least-most | bar | processors, s | faster by | MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, taken in found.items():
        clock = [other.seconds / mine.seconds for mine, other in taken]
        busy = [other.processor / mine.processor for mine, other in taken]
        mine, other = (
            Cost(
                seconds=statistics.median(pair[place].seconds for pair in taken),
                processor=statistics.median(pair[place].processor for pair in taken),
                megabytes=max(pair[place].megabytes for pair in taken),
            )
            for place in (0, 1)
        )
        lines.append(
            f"| {name} | {mine.seconds:.1f} | {other.seconds:.1f} | x {statistics.median(clock):.2f} | "
            f"{min(clock):.2f}-{max(clock):.2f} | >= {BAR_SPEED:g} | "
            f"{mine.processor:.1f}, {other.processor:.1f} | x {statistics.median(busy):.2f} | "
            f"{mine.megabytes:.0f}, {other.megabytes:.0f} |"
        )
    return "\n".join(lines)


def memory_table(found: dict[str, Cost]) -> str:
    """Give what was held as a table in Markdown."""
    lines = ["| image | s | processors, s | MB | bar |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {cost.seconds:.0f} | {cost.processor:.0f} | {cost.megabytes:.0f} | <= {BAR_MEGABYTES} |"
        for name, cost in found.items()
    ]
    return "\n".join(lines)


def _known(sources: dict[str, Path], parser: argparse.ArgumentParser) -> dict[str, Path]:
    if not sources:
        parser.error("no image has that name; benchmarks/large.py has them all")
    return sources


def main() -> int:
    """Compare, or watch the memory; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--size", type=int, default=12_288, help="columns and rows of what is compared; 12288"
    )
    parser.add_argument("--runs", type=int, default=3, help="pairs of each image; 3")
    parser.add_argument(
        "--memory", type=int, metavar="SIZE", help="watch the memory with images of this size"
    )
    parser.add_argument("--image", action="append", help="only this one; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    if options.memory:
        sources = _known(make_large(WORK, options.memory, options.image, tell), parser)
        held = {}
        for name, path in sources.items():
            held[name] = in_new_folder(ours, path)
            tell(f"{name}: {_words(held[name])}")
        print(json.dumps({k: asdict(v) for k, v in held.items()}) if options.json else memory_table(held))
        return int(any(cost.megabytes > BAR_MEGABYTES for cost in held.values()))
    sources = _known(make_plain(WORK, options.size, options.image, tell), parser)
    found = {name: pairs(path, options.runs) for name, path in sources.items()}
    rows = {name: [[asdict(cost) for cost in pair] for pair in taken] for name, taken in found.items()}
    print(json.dumps(rows) if options.json else speed_table(found))
    medians = [statistics.median(b.seconds / a.seconds for a, b in taken) for taken in found.values()]
    return int(min(medians) < BAR_SPEED)


if __name__ == "__main__":
    sys.exit(main())
