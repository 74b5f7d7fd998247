"""Measures a catalogue in pgSTAC: reading it, finding the scenes of a tile, and tiles beside titiler-pgstac.

`benchmarks/pgstac.py --count 100000` starts a PostgreSQL of its own, fills pgSTAC with the world of
benchmarks/catalogue_world.py, and serves it with one worker of each; the same tiles are asked for over 8
connections in turns. titiler-pgstac keeps its own cache of look-ups, as it comes; ours makes each tile anew.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.catalogue import GRID, finding, tile_paths
from benchmarks.catalogue_server import flux, served
from benchmarks.catalogue_world import COLLECTION, LICENCES, ONE, items, link_files, make_pictures
from benchmarks.load import replay
from benchmarks.servers import Engine, free_port, running
from server.cli.context import Context
from tests.postgres import install_pgstac, postgres

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work" / "pgstac"
CONNECTIONS: Final = 8
_AT_ONCE: Final = 5_000


def tell(message: str) -> None:
    """Say what is going on."""
    print(f"pgstac: {message}", file=sys.stderr, flush=True)


def fill(address: str, count: int, images: Path) -> None:
    """Put collections and items into pgSTAC, by its own staging table."""
    with psycopg.connect(address, autocommit=True, options="-csearch_path=pgstac,public") as connection:
        for name in (COLLECTION, ONE):
            document = json.dumps({"type": "Collection", "id": name, "title": name})
            connection.execute("SELECT upsert_collection(%s::jsonb)", [document])
        batch: list[str] = []
        for number, item in enumerate(items(count, images), start=1):
            batch.append(json.dumps(item))
            if len(batch) == _AT_ONCE or number == count + 1:
                with connection.cursor().copy("COPY items_staging (content) FROM stdin") as copy:
                    for each in batch:
                        copy.write_row((each,))
                batch = []
        connection.execute("ANALYZE items")


def make_home(home: Path, address: str, images: Path) -> float:
    """Make a home that serves pgSTAC; give the seconds that its first reading took."""
    home.mkdir(parents=True)
    (home / "flux.toml").write_text(
        f'database_url = "{address}"\ncatalog = "pgstac"\ndata_roots = ["{images}"]\n'
    )
    begun = time.perf_counter()
    flux(home, images, "scene", "list")
    took = time.perf_counter() - begun
    flux(home, images, "institution", "add", "bench")
    for number in range(LICENCES):
        flux(home, images, "licence", "add", f"bench-{number}", "--title", "Benchmark")
        flux(home, images, "grant", "add", "bench", "--licence", f"bench-{number}", "--area", "-30,30,40,70")
    (home / "key").write_text(flux(home, images, "key", "create", "bench").strip())
    return took


@contextlib.contextmanager
def titiler_pgstac(address: str, folder: Path) -> Iterator[tuple[Engine, str]]:
    """Serve with titiler-pgstac; give it and the path of its tiles, of the newest scene first."""
    place = WORK / "venv"
    python = place / "bin" / "python"
    if not (place / "installed").exists():
        tell("installing titiler-pgstac")
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        wanted = HERE / "pgstac-requirements.txt"
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", wanted], check=True)
        (place / "installed").touch()
    port = free_port()
    command = [python, "-m", "uvicorn", "titiler.pgstac.main:app", "--port", str(port), "--no-access-log"]
    environment = {
        "DATABASE_URL": address.replace("@/", "@localhost/"),  # it wants a host; the socket wins
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_CACHEMAX": "200",
        "VSI_CACHE": "TRUE",
    }
    search = {"collections": [COLLECTION], "sortby": [{"field": "datetime", "direction": "desc"}]}
    ready = "/healthz"
    with running("titiler-pgstac", [command], port, ready, environment=environment, folder=folder) as engine:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/searches/register",
            data=json.dumps({**search, "filter-lang": "cql2-json"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
            yield engine, f"/searches/{json.load(answer)['id']}/tiles/{GRID}"


def beside(home: Path, address: str, images: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Ask both for the same tiles in turns; give the rates and the median of their ratios."""
    tiles = [tile for some in tile_paths().values() for tile in some]
    rates: dict[str, list[float]] = {"flux": [], "titiler-pgstac": []}
    with served(home, images) as ours, titiler_pgstac(address, home) as (theirs, path):
        how = "tilesize=256&assets=data&asset_bidx=data%7C1,2,3&rescale=200,2400"
        paths = {
            "flux": [f"/tiles/{COLLECTION}/{GRID}/{z}/{x}/{y}.jpg" for z, x, y in tiles],
            "titiler-pgstac": [f"{path}/{z}/{x}/{y}.jpg?{how}" for z, x, y in tiles],
        }
        ports = {"flux": ours.port, "titiler-pgstac": theirs.port}
        headers = (("X-API-Key", ours.key),)
        found: dict[str, Any] = {"ready after, s": ours.ready_after, "MB of our worker": ours.resident()}
        found["pictures"] = {
            name: _seen(ports[name], paths[name][0], headers if name == "flux" else ()) for name in ports
        }
        for turn in range(rounds + 1):
            for name in ("flux", "titiler-pgstac") if turn % 2 else ("titiler-pgstac", "flux"):
                lanes = [paths[name][n:] + paths[name][:n] for n in range(CONNECTIONS)]
                run = replay(
                    ports[name], lanes, headers if name == "flux" else (), at_least=seconds, at_most=120
                )
                if run.failed:
                    raise SystemExit(f"{name}: {run.failed} of {run.answered + run.failed} failed")
                if turn:  # the first is for warming up
                    rates[name].append(run.rate)
                found[f"{name}, p99 ms"] = 1000 * run.p99
                found[f"{name}, bytes a tile"] = run.received / run.answered
                tell(f"{name}: {run.rate:.0f} tiles/s")
    ratios = [mine / other for mine, other in zip(rates["flux"], rates["titiler-pgstac"], strict=True)]
    return found | {
        "flux, tiles/s": statistics.median(rates["flux"]),
        "titiler-pgstac, tiles/s": statistics.median(rates["titiler-pgstac"]),
        "ratio, median of pairs": statistics.median(ratios),
    }


def _seen(port: int, path: str, headers: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Give what tells whether two pictures are alike: size, mean and spread of the pixels, coarseness."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=dict(headers))
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own machine, by http
        picture = Image.open(io.BytesIO(answer.read()))
    pixels = np.asarray(picture.convert("RGB"), float)
    coarseness = sum(picture.quantization[0])  # type: ignore[attr-defined] # of JPEG
    return {
        "size": picture.size,
        "mean": pixels.mean(),
        "spread": pixels.std(),
        "JPEG quantization": coarseness,
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    images = WORK / f"images-{asked.count}"
    make_pictures(WORK / "pictures")
    link_files(WORK / "pictures", images, asked.count)
    with postgres() as server, tempfile.TemporaryDirectory(dir=WORK) as folder:
        tell(f"filling pgSTAC with {asked.count} items")
        begun = time.perf_counter()
        address = server.made("world", install_pgstac)
        fill(address, asked.count, images)
        figures: dict[str, Any] = {"items": asked.count, "filled in, s": time.perf_counter() - begun}
        home = Path(folder) / "home"
        tell("reading it")
        figures["first reading, s"] = make_home(home, address, images)
        begun = time.perf_counter()
        Context(home).index  # noqa: B018 - read when it is asked for
        figures["reading again, s"] = time.perf_counter() - begun
        figures["finding, ms"] = finding(home)
        tell(json.dumps(figures))
        figures |= beside(home, address, images, asked.seconds, asked.rounds)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
