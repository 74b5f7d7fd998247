"""What the measures come to: ratios of paired runs, as a table, as JSON and as a section of the document."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from benchmarks.cases import CASES, Case, Measure
from benchmarks.memory import BAR_MEGABYTES, FLAT, Endurance

_MEGABYTE = 1_000_000
QUIET_LOAD = 0.5
"""A load a core below which a machine was idle before the benchmark began."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and when."""

    day: date
    processor: str
    cores: int
    load: float
    """Load of one minute before the first case."""
    client: str
    """What asked in the cases of cached tiles."""
    size: int
    """Columns and rows of the scenes."""

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing else was going on, so that figures may be held against bars."""
        return self.load <= QUIET_LOAD * self.cores


@dataclass(frozen=True, kw_only=True)
class Line:
    """One engine in one case and phase: medians over the runs."""

    case: str
    phase: str
    engine: str
    runs: int
    rate: float
    """Answers a second."""
    p50: float
    """Milliseconds."""
    p99: float
    """Milliseconds."""
    kilobytes: float
    """Of a tile, mean."""
    memory: float
    """Megabytes of the largest worker, the most of all runs."""
    failed: int
    cut: bool
    ratio: float | None
    """Our rate divided by this engine's, median of the paired runs; None for ours."""
    spread: tuple[float, float] | None
    """The least and the most of these ratios."""
    bar: float | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that a benchmark found."""

    lines: Sequence[Line] = ()
    endurance: Endurance | None = None
    missing: Sequence[str] = ()
    """Cases that could not be run, and why."""


def lines(measures: Iterable[Measure], cases: Sequence[Case] = CASES) -> list[Line]:
    """Sum measures up, in the order of the cases, ours first."""
    known = {case.name: case for case in cases}
    groups: dict[tuple[str, str, str], list[Measure]] = {}
    for measure in measures:
        groups.setdefault((measure.case, measure.phase, measure.engine), []).append(measure)
    names = list(known)
    order = sorted(groups, key=lambda key: (names.index(key[0]), key[1], key[2] != "flux"))
    return [_line(key, groups, known[key[0]]) for key in order]


def _line(key: tuple[str, str, str], groups: dict[tuple[str, str, str], list[Measure]], case: Case) -> Line:
    name, phase, engine = key
    mine = groups[key]
    ratios = [] if engine == "flux" else paired(groups.get((name, phase, "flux"), []), mine)
    answered = sum(each.run.answered for each in mine)
    return Line(
        case=name,
        phase=phase,
        engine=engine,
        runs=len(mine),
        rate=statistics.median(each.run.rate for each in mine),
        p50=1000 * statistics.median(each.run.p50 for each in mine),
        p99=1000 * statistics.median(each.run.p99 for each in mine),
        kilobytes=sum(each.run.received for each in mine) / answered / 1000 if answered else 0.0,
        memory=max(max(each.memory, default=0) for each in mine) / _MEGABYTE,
        failed=sum(each.run.failed for each in mine),
        cut=any(each.run.cut for each in mine),
        ratio=statistics.median(ratios) if ratios else None,
        spread=(min(ratios), max(ratios)) if ratios else None,
        bar=case.bars.get((phase, engine)),
    )


def paired(ours: Sequence[Measure], theirs: Sequence[Measure]) -> list[float]:
    """Give our rate divided by theirs for each run that both did, in the order of the runs."""
    rates = {each.number: each.run.rate for each in theirs}
    return [
        each.run.rate / rates[each.number]
        for each in sorted(ours, key=lambda measure: measure.number)
        if rates.get(each.number)
    ]


_HEADINGS = (
    *("case", "phase", "engine", "tiles/s", "p50 ms", "p99 ms", "kB", "MB"),
    *("ours is faster by", "least-most", "bar"),
)


def cells(line: Line) -> tuple[str, ...]:
    """Give a line as text, under the headings of the table."""
    trouble = f" ({line.failed} failed)" if line.failed else ""
    trouble += " (cut)" if line.cut else ""
    return (
        *(line.case, line.phase, line.engine + trouble, _short(line.rate), _short(line.p50)),
        *(_short(line.p99), _short(line.kilobytes), f"{line.memory:.0f}"),
        "" if line.ratio is None else f"x {line.ratio:.2f}",
        "" if line.spread is None else f"{line.spread[0]:.2f}-{line.spread[1]:.2f}",
        "" if line.bar is None else f">= {line.bar:g}",
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def table(found: Sequence[Line]) -> str:
    """Give the lines as a Markdown table, which a terminal shows well too."""
    return _table([_HEADINGS, *(cells(line) for line in found)])


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    rule = "|".join("-" * (width + 2) for width in widths)
    return "\n".join([f"| {padded[0]} |", f"|{rule}|", *(f"| {row} |" for row in padded[1:])])


def memory_table(endurance: Endurance) -> str:
    """Give what each worker held, megabytes, as a Markdown table."""
    rows: list[tuple[str, ...]] = [
        ("worker", "RSS after warm-up", "at the end", "largest", "bar", "a minute", "flat", "PSS at the end")
    ]
    for number, worker in enumerate(endurance.workers, 1):
        sizes = (worker.warm, worker.end, worker.largest)
        rows.append(
            (
                *(str(number), *(f"{size:.0f}" for size in sizes), f"<= {BAR_MEGABYTES}"),
                *(f"{worker.slope:+.2f}", f"<= {FLAT:g}", f"{worker.proportional:.0f}"),
            )
        )
    return _table(rows)


def memory_summary(endurance: Endurance) -> str:
    """Say how long, over what, and whether it passed."""
    rate = endurance.answered / endurance.minutes / 60
    trouble = f", {endurance.failed} failed" if endurance.failed else ""
    trouble += f", {endurance.died} workers died" if endurance.died else ""
    return (
        f"memory: {endurance.minutes:g} minutes over {endurance.scenes} scenes, {endurance.answered} tiles "
        f"({rate:.0f}/s){trouble}: {'passed' if endurance.passed else 'NOT passed'}"
    )


def tables(found: Found) -> str:
    """Give all tables, for a terminal."""
    parts = [table(found.lines)] if found.lines else []
    if found.endurance is not None:
        parts += [memory_table(found.endurance), memory_summary(found.endurance)]
    return "\n\n".join(parts)


def as_document(found: Found, machine: Machine) -> str:
    """Give the dated section for docs/benchmarks.md; on a busy machine no bar of speed is claimed."""
    about = (
        f"{machine.cores} cores of {machine.processor}; load {machine.load:.1f} before the first case; "
        f"scenes of {machine.size} x {machine.size} px; cached tiles asked with {machine.client}; medians "
        f"of {max((line.runs for line in found.lines), default=0)} paired runs in alternating order."
    )
    said = [f"### {machine.day.day} {machine.day:%B %Y}", ""]
    if found.lines:
        said += [about, ""]
        if not machine.is_quiet:
            said += ["The machine was busy: ratios are hints, and no bar is claimed by them.", ""]
        said += [table(found.lines), ""]
    if found.endurance is not None:
        said += [memory_table(found.endurance), "", f"- {memory_summary(found.endurance)}"]
    said += [f"- not run: {line}" for line in found.missing]
    if machine.is_quiet:
        said += [f"- below its bar: {_shortfall(line)}" for line in found.lines if is_short(line)]
    return "\n".join(said).rstrip() + "\n"


def is_short(line: Line) -> bool:
    """Tell whether a bar was missed, or an answer failed, which makes a ratio worthless."""
    return line.bar is not None and line.ratio is not None and (line.ratio < line.bar or line.failed > 0)


def _shortfall(line: Line) -> str:
    return f"{line.case} ({line.phase}) against {line.engine}: x {line.ratio:.2f} of {line.bar:g}"


def as_json(found: Found, measures: Sequence[Measure], machine: Machine) -> dict[str, Any]:
    """Give all for programs: the lines, each run without its single latencies, and samples of memory."""
    return {
        "machine": {**vars(machine), "day": machine.day.isoformat(), "quiet": machine.is_quiet},
        "missing": list(found.missing),
        "lines": [vars(line) for line in found.lines],
        "runs": [
            {
                **{name: getattr(m, name) for name in ("case", "phase", "engine", "number")},
                **{name: getattr(m.run, name) for name in ("rate", "p50", "p99", "seconds")},
                **{name: getattr(m.run, name) for name in ("answered", "received", "failed", "cut")},
                "memory": list(m.memory),
            }
            for m in measures
        ],
        "memory": None if found.endurance is None else _endurance_as_json(found.endurance),
    }


def _endurance_as_json(endurance: Endurance) -> dict[str, Any]:
    return {
        **{name: getattr(endurance, name) for name in ("scenes", "minutes", "answered", "failed", "died")},
        "bar_megabytes": BAR_MEGABYTES,
        "flat_megabytes_a_minute": FLAT,
        "passed": endurance.passed,
        "workers": [vars(worker) for worker in endurance.workers],
        "samples": [vars(sample) for sample in endurance.samples],
    }
