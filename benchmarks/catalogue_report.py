"""Tells what the benchmark of catalogues found: tables beside the bars, and a drawing."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.plot import svg

BARS: Final = (
    ("import, items/s", lambda r: r["import"]["items/s"], ">= 5000"),
    ("import, items/s of processor time", lambda r: r["import"]["items/s of processor time"], ""),
    ("import, the same again, items/s", lambda r: r["import"]["items/s, the same again"], ""),
    ("longest read meanwhile, ms", lambda r: r["import"]["longest read beside it, ms"], ""),
    ("longest write meanwhile, ms", lambda r: r["import"]["longest write beside it, ms"], ""),
    ("start until ready, s", lambda r: r["start"]["start until ready, s"], "<= 3"),
    ("memory of the index, MB", lambda r: r["start"]["more than with the smallest catalogue, MB"], "<= 120"),
    ("finding a tile's scenes, p50 ms", lambda r: r["finding, ms"]["grants"]["p50"], ""),
    ("finding a tile's scenes, p99 ms", lambda r: r["finding, ms"]["grants"]["p99"], "<= 2"),
    ("the same for who sees everything, p99 ms", lambda r: r["finding, ms"]["everything"]["p99"], "<= 2"),
    (
        "the same by grants, and all its scenes made, p50 ms",
        lambda r: r["finding, ms"]["grants, scenes made"]["p50"],
        "",
    ),
    (
        "the same by grants, and all its scenes made, p99 ms",
        lambda r: r["finding, ms"]["grants, scenes made"]["p99"],
        "",
    ),
    ("scenes of a tile at most", lambda r: r["finding, ms"]["grants"]["scenes of a tile at most"], "<= 32"),
    (
        "tile, one scene covers: x of one scene's",
        lambda r: r["tile against one scene"]["one, ratio"],
        "<= 1.25",
    ),
    ("tile, four meet: x of one scene's", lambda r: r["tile against one scene"]["four, ratio"], "<= 1.6"),
    ("tile: x of the smallest catalogue's", lambda r: r["tile against the smallest catalogue"], "<= 1.15"),
)


def tables(result: dict[str, Any]) -> str:
    """Write the figures as Markdown."""
    sizes = list(result["sizes"])
    lines = [
        f"| | {' | '.join(f'{size:,} scenes' for size in sizes)} | bar |",
        "|---" * (len(sizes) + 2) + "|",
    ]
    for name, value, bar in BARS:
        shown = (f"{value(result['sizes'][size]):.4g}" for size in sizes)
        lines.append(f"| {name} | {' | '.join(shown)} | {bar} |")
    found = result["capabilities"]
    lines += ["", f"| Capabilities of {found['layers']} layers, 2 000 dates | | bar |", "|---|---|---|"]
    lines.append(f"| bytes | {found['bytes']:,} | <= 1 000 000 |")
    lines.append(f"| made anew, ms | {found['anew, ms']:.3g} | <= 100 |")
    lines.append(f"| from the cache, ms | {found['from the cache, ms']:.3g} | <= 5 |")
    lines += [
        "",
        f"Load of the machine: {result['load before']:.1f} before, {result['load after']:.1f} after.",
    ]
    return "\n".join(lines)


def plotted(result: dict[str, Any]) -> str:
    """Draw what a tile costs against the number of scenes."""
    sizes = result["sizes"]
    lines = {
        "one scene covers": [(size, r["tile against one scene"]["one, ratio"]) for size, r in sizes.items()],
        "four scenes meet": [(size, r["tile against one scene"]["four, ratio"]) for size, r in sizes.items()],
        "finding them, p99 ms": [(size, r["finding, ms"]["grants"]["p99"]) for size, r in sizes.items()],
    }
    return svg("A tile of a mosaic, as a multiple of one scene's", "scenes in the catalogue", lines, 2.0)
