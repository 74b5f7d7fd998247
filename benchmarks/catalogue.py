"""Measures catalogues of 100 to 100 000 scenes: import, start, memory, finding, tiles, capabilities.

`benchmarks/catalogue.py` prints tables; `--sizes 100 1000` takes others, `--json FILE` writes all figures,
`--plot FILE` draws them (docs/images/catalogue.svg). Times of finding are the thread's own; tiles are asked
over HTTP from one process, in turns, so that only what they are compared with counts. Homes are kept in
benchmarks/.work until `--anew`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from auth.credentials import authenticate
from auth.models import Action
from auth.policy import decide
from auth.store import SqlPolicyStore
from benchmarks.catalogue_report import plotted, tables
from benchmarks.catalogue_server import Served, flux, served
from benchmarks.catalogue_world import (
    CENTRE,
    COLLECTION,
    LICENCES,
    ONE,
    link_files,
    make_pictures,
    write_items,
)
from mosaics.catalog.index import CatalogIndex
from mosaics.catalog.sql import SqlCatalog
from mosaics.filters import EVERYTHING, SceneFilter
from mosaics.finding import find_layer
from mosaics.geodesy import ground_resolution, lonlat_transformer
from mosaics.grids import find_grid, load_grids
from mosaics.layers import ANY_TIME
from mosaics.models import Bounds, Collection, Text
from mosaics.resolve import resolve
from mosaics.styles import load_styles
from server.access import Rules
from server.cli.context import Context
from server.database import connect
from server.pepper import load_peppers

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "benchmarks" / ".work" / "catalogue"
SIZES: Final = (100, 1_000, 10_000, 100_000)
ZOOMS: Final = range(19)
ASKED: Final = 200
"""Tiles of each zoom."""
ROUNDS: Final = 40
"""Times that each pair of tiles is asked for."""
GRID: Final = "WebMercatorQuad"


def tell(message: str) -> None:
    """Say what is going on."""
    print(f"catalogue: {message}", file=sys.stderr, flush=True)


def make_home(count: int, *, anew: bool) -> tuple[Path, dict[str, float]]:
    """Make the home of a catalogue of so many scenes; give it, and what its import took when it was made."""
    home, images = WORK / f"home-{count}", WORK / f"images-{count}"
    if anew:
        shutil.rmtree(home, ignore_errors=True)
    if (home / "imported.json").exists():
        found: dict[str, float] = json.loads((home / "imported.json").read_text())
        return home, found
    shutil.rmtree(home, ignore_errors=True)
    link_files(WORK / "pictures", images, count)
    items = WORK / f"items-{count}.ndjson"
    write_items(items, count, images)
    give_rights(home, images)
    tell(f"importing {count} items")
    found = imported(home, images, items, count + 1)
    (home / "imported.json").write_text(json.dumps(found))
    return home, found


def give_rights(home: Path, images: Path) -> None:
    """Make an institution that sees all licences in an area, and keep its key in the home."""
    lines = [["licence", "add", f"bench-{n}", "--title", "Benchmark"] for n in range(LICENCES)]
    lines.append(["institution", "add", "bench"])
    area = ["--area", "-30,30,40,70"]
    lines += [["grant", "add", "bench", "--licence", f"bench-{n}", *area] for n in range(LICENCES)]
    for line in lines:
        flux(home, images, *line)
    (home / "key").write_text(flux(home, images, "key", "create", "bench").strip())


class Beside:
    """Reads the catalogue and writes to it beside an import, and notes how long either takes."""

    def __init__(self, home: Path) -> None:
        self.reads: list[float] = []
        self.writes: list[float] = []
        self._store, self._done = SqlCatalog(connect(None, home)), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(0.05):
            begun = time.perf_counter()
            list(self._store.collections())
            self.reads.append(time.perf_counter() - begun)
            text = Text(fr=str(len(self.reads)), en="")
            begun = time.perf_counter()
            self._store.put_collection(Collection(id="beside", title=text, description=text))
            self.writes.append(time.perf_counter() - begun)


def imported(home: Path, images: Path, items: Path, count: int) -> dict[str, float]:
    """Import items by the command line, and look meanwhile how long readers and other writers wait."""
    bare = spent(lambda: flux(home, images, "scene", "list"))
    with Beside(home) as beside:
        wall, processor = spent(lambda: flux(home, images, "scene", "import", str(items)))
    again, _ = spent(lambda: flux(home, images, "scene", "import", str(items)))
    return {
        "items/s": count / max(wall - bare[0], 1e-3),
        "items/s of processor time": count / max(processor - bare[1], 1e-3),
        "items/s, the same again": count / max(again - bare[0], 1e-3),
        "longest read beside it, ms": 1000 * max(beside.reads, default=0.0),
        "longest write beside it, ms": 1000 * max(beside.writes, default=0.0),
    }


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Give the seconds by the clock, and of the processor in processes that work started."""
    begun, before = time.perf_counter(), os.times()
    work()
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begun, used


def finding(home: Path) -> dict[str, Any]:
    """Time what finds the scenes of a tile, for who has grants with areas and for who sees everything.

    What the cache of tiles goes by is found too. A tile that is there already needs no more. One that has to
    be drawn makes its scenes, some thousand of which a worker keeps: the last is told with all of them made.
    """
    index = Context(home).index
    engine = connect(Context(home).settings.database_url, home)
    snapshot, peppers = SqlPolicyStore(engine).snapshot(), load_peppers(Context(home).settings)
    now = datetime.now(UTC)
    key = (home / "key").read_text()
    principal = authenticate(snapshot, peppers, key, in_url=False, now=now).principal
    opened = Rules().filter(decide(snapshot, principal, Action.TILE, now))
    return {
        "grants": found_by(index, opened),
        "everything": found_by(index, EVERYTHING),
        "grants, scenes made": found_by(index, opened, made=True),
    }


def found_by(index: CatalogIndex, opened: SceneFilter, *, made: bool = False) -> dict[str, Any]:
    """Time one caller: milliseconds of the thread's own time, by zoom and in all.

    Args:
        index: The catalogue.
        opened: What the caller may see.
        made: All scenes of a tile are made, too.
    """
    layer, styles = find_layer(index, COLLECTION, opened), load_styles()
    grid, chance = find_grid(load_grids(), GRID), random.Random(1)  # noqa: S311 - the same every time
    west, south, east, north = layer.bounds
    by_zoom: dict[int, list[float]] = {}
    most = 0
    for zoom in ZOOMS:
        took = by_zoom.setdefault(zoom, [])
        for _ in range(ASKED):
            x, y = chance.uniform(west, east), chance.uniform(south, north)
            tiles = grid.tiles(Bounds(x, y, x + 1e-9, y + 1e-9), zoom)
            assert tiles is not None
            frame = grid.frame(zoom, tiles.min_col, tiles.min_row)
            fineness = ground_resolution(frame)
            for part in index.parts:
                part.table._made.clear()  # noqa: SLF001 - as in a worker that never made them
            begun = time.thread_time_ns()
            found = resolve(
                layer, opened, frame, ground_resolution=fineness, span=ANY_TIME, style_id=None, styles=styles
            )
            found.key("image/jpeg")
            if made:
                found.made()
            took.append((time.thread_time_ns() - begun) / 1e6)
            most = max(most, len(found.contributions))
    everything = [each for took in by_zoom.values() for each in took]
    return {
        "p50": quantile(everything, 0.5),
        "p99": quantile(everything, 0.99),
        "most": max(everything),
        "scenes of a tile at most": most,
        "p50 by zoom": {zoom: quantile(took, 0.5) for zoom, took in by_zoom.items()},
        "p99 by zoom": {zoom: quantile(took, 0.99) for zoom, took in by_zoom.items()},
    }


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that a share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def tile_paths() -> dict[str, list[tuple[int, int, int]]]:
    """Give zoom, column and row of tiles that one scene covers, and of those where four meet."""
    grid = find_grid(load_grids(), GRID)

    def at(east: float, north: float, zoom: int) -> tuple[int, int, int]:
        x, y = lonlat_transformer("EPSG:2154").transform(CENTRE[0] + east, CENTRE[1] + north)
        tiles = grid.tiles(Bounds(float(x), float(y), float(x) + 1e-9, float(y) + 1e-9), zoom)
        assert tiles is not None
        return zoom, tiles.min_col, tiles.min_row

    sides = [(east, north) for east in (-2500.0, 2500.0) for north in (-2500.0, 2500.0)]
    meeting = (60.0, -60.0)
    """Middle of where all four overlap."""
    return {
        "one": [at(east, north, zoom) for east, north in sides for zoom in (14, 15, 16)],
        "four": [at(*meeting, zoom) for zoom in (13, 14, 15, 16)],
    }


class Asking:
    """One connection to a server."""

    def __init__(self, server: Served) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._headers = {"X-API-Key": server.key}

    def get(self, path: str) -> tuple[float, bytes]:
        """Ask for something, and give the seconds it took and the body.

        A connection that the server has closed while others were asked is opened again.
        """
        try:
            return self._get(path)
        except http.client.RemoteDisconnected:
            self._connection.close()
            return self._get(path)

    def _get(self, path: str) -> tuple[float, bytes]:
        begun = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        took = time.perf_counter() - begun
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
        return took, body

    def tile(self, layer: str, tile: tuple[int, int, int]) -> float:
        """Ask for a tile in JPEG."""
        zoom, column, row = tile
        return self.get(f"/tiles/{layer}/{GRID}/{zoom}/{column}/{row}.jpg")[0]


def against_one(asking: Asking, rounds: int) -> dict[str, float]:
    """Give how much longer a tile of the mosaic takes than the same of the picture: medians of pairs."""
    found = {}
    for name, tiles in tile_paths().items():
        for tile in tiles:
            for layer in (COLLECTION, ONE):
                asking.tile(layer, tile)
        ratios, took = [], []
        for number in range(rounds):
            for tile in tiles:
                layers = (COLLECTION, ONE) if number % 2 else (ONE, COLLECTION)
                pair = {layer: asking.tile(layer, tile) for layer in layers}
                ratios.append(pair[COLLECTION] / pair[ONE])
                took.append(pair[COLLECTION])
        found[f"{name}, ratio"] = statistics.median(ratios)
        found[f"{name}, ms"] = 1000 * statistics.median(took)
    return found


def against_few(askings: dict[int, Asking], rounds: int) -> dict[int, float]:
    """Give how much longer a tile takes than the same of the smallest catalogue, all asked in turns."""
    tiles = [tile for some in tile_paths().values() for tile in some]
    sizes, ratios = list(askings), {size: list[float]() for size in askings}
    for number in range(rounds):
        for tile in tiles:
            order = sizes if number % 2 else sizes[::-1]
            took = {size: askings[size].tile(COLLECTION, tile) for size in order}
            for size in sizes:
                ratios[size].append(took[size] / took[sizes[0]])
    return {size: statistics.median(found) for size, found in ratios.items()}


def starting(home: Path, smallest: Path, pairs: int) -> dict[str, float]:
    """Time starts until ready, in turns with those of the smallest catalogue; and what the index adds."""
    found: dict[Path, list[tuple[float, float]]] = {}
    for _ in range(pairs):
        for place in (smallest, home):
            with served(place, images_of(place)) as server:
                found.setdefault(place, []).append((server.ready_after, server.resident()))
    both = list(zip(found[smallest], found[home], strict=False))
    return {
        "start until ready, s": statistics.median(full[0] for _, full in both),
        "more than with the smallest catalogue, s": statistics.median(full[0] - few[0] for few, full in both),
        "memory of a worker, MB": statistics.median(full[1] for _, full in both),
        "more than with the smallest catalogue, MB": statistics.median(
            full[1] - few[1] for few, full in both
        ),
    }


def images_of(home: Path) -> Path:
    """Give the folder of a home's files."""
    return home.with_name(home.name.replace("home-", "images-"))


def capabilities(rounds: int) -> dict[str, float]:
    """Time Capabilities of 500 layers with 2 000 dates in all, made anew and from the cache."""
    home, images = WORK / "home-capabilities", WORK / "images-2000"
    shutil.rmtree(home, ignore_errors=True)
    link_files(WORK / "pictures", images, 2000)
    items = WORK / "items-capabilities.ndjson"
    write_items(items, 2000, images)
    lines = [json.loads(line) for line in items.read_text().splitlines()][1:]
    for number, item in enumerate(lines):
        item["collection"] = f"layer-{number % 500:03d}"
        item["properties"]["datetime"] = f"{2020 + number // 500}-{1 + number % 12:02d}-15T10:00:00Z"
        item["properties"]["license"] = "bench"
    items.write_text("".join(json.dumps(item) + "\n" for item in lines))
    flux(home, images, "licence", "add", "bench", "--title", "Benchmark")
    flux(home, images, "institution", "add", "bench")
    flux(home, images, "grant", "add", "bench", "--licence", "bench")
    (home / "key").write_text(flux(home, images, "key", "create", "bench").strip())
    flux(home, images, "scene", "import", str(items))
    path = "/wmts?SERVICE=WMTS&REQUEST=GetCapabilities"
    with served(home, images) as server:
        asking = Asking(server)
        first, body = asking.get(path)
        anew, kept = [], []
        for number in range(rounds):
            flux(home, images, "collection", "set", "layer-000", "--title-fr", f"n° {number}")
            time.sleep(1.5)  # the worker's poll
            anew.append(asking.get(path)[0])
            kept += [asking.get(path)[0] for _ in range(20)]
    return {
        "bytes": len(body),
        "layers": body.count(b"<Layer>"),
        "the first after a start, ms": 1000 * first,
        "anew, ms": 1000 * statistics.median(anew),
        "from the cache, ms": 1000 * statistics.median(kept),
    }


def measure(sizes: Sequence[int], rounds: int, pairs: int, *, anew: bool) -> dict[str, Any]:
    """Measure everything."""
    make_pictures(WORK / "pictures")
    result: dict[str, Any] = {"load before": os.getloadavg()[0], "sizes": {}}
    homes = {}
    for size in sizes:
        homes[size], found = make_home(size, anew=anew)
        tell(f"{size}: finding and starting")
        result["sizes"][size] = {
            "import": found,
            "finding, ms": finding(homes[size]),
            "start": starting(homes[size], homes[sizes[0]], pairs),
        }
    tell("tiles")
    with ExitStack() as stack:
        askings = {
            size: Asking(stack.enter_context(served(home, images_of(home)))) for size, home in homes.items()
        }
        for size, asking in askings.items():
            result["sizes"][size]["tile against one scene"] = against_one(asking, rounds)
        for size, ratio in against_few(askings, rounds).items():
            result["sizes"][size]["tile against the smallest catalogue"] = ratio
    tell("capabilities")
    result["capabilities"] = capabilities(max(3, pairs))
    result["load after"] = os.getloadavg()[0]
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each pair of tiles")
    parser.add_argument("--starts", type=int, default=3, help="pairs of starts")
    parser.add_argument("--anew", action="store_true", help="make and import the catalogues anew")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    result = measure(sorted(options.sizes), options.rounds, options.starts, anew=options.anew)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    if options.plot:
        options.plot.write_text(plotted(result), encoding="utf-8")
    print(tables(result))


if __name__ == "__main__":
    main()
