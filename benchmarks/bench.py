"""Compares the server with titiler, MapServer and nginx: `dinamis-flux bench`, or `benchmarks/bench.py`.

The table goes to standard output, progress to standard error. Needs the development environment; MapServer
(Debian: cgi-mapserver), nginx and, for cached tiles, wrk where they are installed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cases import CASES, QUICK, WARM_SCENE, Case, Measure, Plan, run_case, run_memory
from benchmarks.data import FULL_SIZE, Scene, make_scenes
from benchmarks.load import has_wrk
from benchmarks.many import SMALL_SIZE, make_many
from benchmarks.memory import Endurance
from benchmarks.report import Found, Machine, as_document, as_json, lines, tables
from benchmarks.servers import EngineMissingError
from benchmarks.world import World, bank

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "benchmarks" / ".work"


def tell(message: str) -> None:
    """Say what is going on."""
    print(f"bench: {message}", file=sys.stderr, flush=True)


def main() -> int:
    """Run the cases that were asked for; 1 where one could not be run, or a worker held too much."""
    options = _options()
    if options.list:
        for case in CASES:
            print(f"{case.name:16} {case.title}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped on the way out
    cases = [case for case in CASES if not options.case or case.name in options.case]
    if options.without:
        cases = [_without(case, options.without) for case in cases]
    plan = QUICK if options.quick else Plan()
    for name in ("runs", "minutes"):
        if getattr(options, name):
            plan = dataclasses.replace(plan, **{name: getattr(options, name)})
    machine = Machine(
        day=datetime.now(UTC).date(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        load=os.getloadavg()[0],
        client="wrk" if has_wrk() else "a client in Python, which may be the limit",
        size=options.size,
    )
    endurance = None
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="flux-bench-") as name:
        compared = [case for case in cases if case.kind != "memory"]
        measures, missing = _compare(compared, plan, options.size, Path(name))
        if any(case.kind == "memory" for case in cases):
            try:
                endurance = _last(plan, Path(name) / "long")
            except EngineMissingError as error:
                missing.append(f"memory: {error}")
    found = Found(lines=lines(measures), endurance=endurance, missing=tuple(missing))
    print(as_document(found, machine) if options.document else tables(found))
    for line in missing:
        tell(f"not run: {line}")
    if options.json:
        options.json.write_text(json.dumps(as_json(found, measures, machine), indent=1), encoding="utf-8")
    return 1 if missing or (endurance is not None and not endurance.passed) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--case", action="append", choices=[c.name for c in CASES], help="may be repeated")
    parser.add_argument("--without", action="append", help="leave this rival out; may be repeated")
    parser.add_argument("--runs", type=int, choices=range(1, 101), metavar="1-100", help="paired runs; 5")
    parser.add_argument("--minutes", type=float, help="of the case of memory; 30")
    parser.add_argument("--quick", action="store_true", help="one short run of each case")
    parser.add_argument("--size", type=int, default=FULL_SIZE, help="columns and rows of the scenes; 12288")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--document", action="store_true", help="print a section for docs/benchmarks.md")
    parser.add_argument("--list", action="store_true", help="list the cases")
    options = parser.parse_args()
    if options.size % 512 or not 2048 <= options.size <= 65_536:
        parser.error("--size must be a multiple of 512, from 2048 to 65536")
    if options.minutes is not None and not 0.1 <= options.minutes <= 1440:
        parser.error("--minutes must be from 0.1 to 1440")
    return options


def _without(case: Case, names: list[str]) -> Case:
    return dataclasses.replace(case, rivals=tuple(rival for rival in case.rivals if rival not in names))


def _compare(cases: list[Case], plan: Plan, size: int, folder: Path) -> tuple[list[Measure], list[str]]:
    """Run the cases that compare; give what was measured, and which could not be run and why."""
    measures: list[Measure] = []
    missing: list[str] = []
    if not cases:
        return measures, missing
    scenes = needed(cases, make_scenes(WORK, size, tell))
    key = bank(folder / "keyed", scenes, public=False, tell=tell)
    if any(case.kind == "access" for case in cases):
        wanted = {case.scene: scenes[case.scene] for case in cases if case.kind == "access"}
        bank(folder / "public", wanted, public=True, tell=tell)
    drawn = {case.scene: scenes[case.scene] for case in cases if case.kind == "visual"}
    visual_key = bank(folder / "visual", drawn, public=False, visual=True, tell=tell) if drawn else ""
    world = World(work=WORK, folder=folder, scenes=scenes, key=key, visual_key=visual_key, tell=tell)

    def take(measure: Measure) -> None:
        run = measure.run
        tell(
            f"{measure.case} {measure.phase} {measure.number + 1} {measure.engine}: {run.rate:.1f}/s, "
            f"p50 {1000 * run.p50:.2f} ms, {run.answered} answers, {run.failed} failed"
        )
        measures.append(measure)

    for case in cases:
        tell(f"{case.name}: {case.title}")
        try:
            run_case(case, world, plan, take)
        except EngineMissingError as error:
            missing.append(f"{case.name}: {error}")
            tell(f"{case.name}: {error}")
    return measures, missing


def _last(plan: Plan, folder: Path) -> Endurance:
    """Run the case of memory.

    Raises:
        EngineMissingError: If our server can't be started.
    """
    folder.mkdir()
    scenes = make_many(WORK, plan.many, SMALL_SIZE, tell)
    key = bank(folder / "keyed", scenes, public=False, tell=tell)
    tell(f"memory: {len(scenes)} scenes for {plan.minutes:g} minutes")
    return run_memory(World(work=WORK, folder=folder, scenes=scenes, key=key, tell=tell), plan)


def needed(cases: list[Case], scenes: dict[str, Scene]) -> dict[str, Scene]:
    """Give the scenes that the cases ask for."""
    names = {case.scene for case in cases}
    if any(case.kind == "cold" for case in cases):
        names |= {WARM_SCENE, *(name for name in scenes if name.startswith("cold-"))}
    return {name: scene for name, scene in scenes.items() if name in names}


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "an unknown processor"
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else "an unknown processor"


if __name__ == "__main__":
    sys.exit(main())
