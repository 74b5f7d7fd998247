"""`dinamis-flux bench`: the door to the benchmark, which lives beside the program's source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from server.cli.context import FAILED, fail

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "bench.py"


def bench(
    case: Annotated[list[str] | None, typer.Option(help="Only this case; may be repeated.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave a rival out, such as titiler; may be repeated.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, max=100, help="Paired runs of each case. [default: 5]")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, max=1440, help="Length of the case of memory. [default: 30]")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One short run of each case.")] = False,
    size: Annotated[
        int | None, typer.Option(help="Columns and rows of the scenes it makes. [default: 12288]")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file, for programs.")
    ] = None,
    document: Annotated[
        bool, typer.Option("--document", help="Print a dated section for docs/benchmarks.md.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the cases and end.")] = False,
) -> None:
    """Compare with titiler, MapServer and nginx on this machine.

    Needs the source tree with its development environment: the benchmark starts the other servers itself,
    makes its own scenes and homes, and touches no home of yours. All cases take hours, a quick run minutes.
    """
    if not PROGRAM.exists():
        fail("bench needs the source tree: an installed package does not hold the folder benchmarks")
    options: list[str | Path] = [part for name in case or () for part in ("--case", name)]
    options += [part for name in without or () for part in ("--without", name)]
    for flag, value in (("--runs", runs), ("--minutes", minutes), ("--size", size), ("--json", json_file)):
        if value is not None:
            options += [flag, str(value)]
    given = (("--quick", quick), ("--document", document), ("--list", listing))
    options += [flag for flag, wanted in given if wanted]
    try:
        done = subprocess.run([sys.executable, PROGRAM, *options], check=False)  # noqa: S603 - our own program
    except KeyboardInterrupt:
        raise typer.Exit(FAILED) from None
    raise typer.Exit(done.returncode)
