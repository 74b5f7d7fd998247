"""Compares tiles of a mosaic with titiler-pgstac: the same items, the same tiles, the same machine.

`benchmarks/pgstac.py --size 1000` prints a table. Needs PostgreSQL with PostGIS (Debian:
postgresql-15-postgis-3) and, as root, the user postgres that it brings; titiler.pgstac and pypgstac are
installed into an environment of their own in benchmarks/.work. Its catalogues are those of catalogue.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.catalogue import GRID, WORK, images_of, make_home, tell, tile_paths
from benchmarks.catalogue_server import served
from benchmarks.catalogue_world import COLLECTION, make_pictures
from benchmarks.load import replay
from benchmarks.servers import EngineMissingError, free_port, running

ENVIRONMENT: Final = WORK.parent / "pgstac-env"
PACKAGES: Final = ("titiler.pgstac", "pypgstac[psycopg]", "psycopg[binary,pool]", "uvicorn")
POSTGRES: Final = Path("/usr/lib/postgresql")
CONNECTIONS: Final = 4
SECONDS: Final = 5.0
"""Length of a run."""


def environment() -> Path:
    """Give the folder of programs of the environment that has titiler-pgstac, made if it is not there."""
    programs = ENVIRONMENT / "bin"
    if not (ENVIRONMENT / "installed").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True, timeout=120)
            install = [programs / "pip", "install", "-q", *PACKAGES]
            subprocess.run(install, check=True, timeout=900)
        except (subprocess.SubprocessError, OSError) as error:
            raise EngineMissingError(f"titiler-pgstac can't be installed: {error}") from error
        (ENVIRONMENT / "installed").touch()
    return programs


@contextlib.contextmanager
def database(folder: Path) -> Iterator[dict[str, str]]:
    """Run a PostgreSQL of its own until the block ends; give what says where it is."""
    found = sorted(POSTGRES.glob("*/bin"))
    if not found:
        raise EngineMissingError("PostgreSQL is not installed (Debian: postgresql-15-postgis-3)")
    as_user: list[str] = []
    if os.geteuid() == 0:  # it does not run as root
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    data, port = folder / "data", str(free_port())
    initdb = [found[-1] / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8"]
    subprocess.run([*as_user, *initdb], check=True, capture_output=True, cwd=folder)
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c shared_buffers=512MB"
    control = [*as_user, str(found[-1] / "pg_ctl"), "-D", str(data), "-l", str(folder / "log"), "-w"]
    subprocess.run([*control, "-o", options, "start"], check=True, capture_output=True, cwd=folder)
    try:
        yield {
            "PGHOST": "127.0.0.1",
            "PGPORT": port,
            "PGUSER": "bench",
            "PGDATABASE": "postgres",
            "PGPASSWORD": "x",
        }
    finally:
        subprocess.run([*control, "-m", "fast", "stop"], check=False, capture_output=True, cwd=folder)


def load_items(programs: Path, where: dict[str, str], items: Path, folder: Path) -> None:
    """Bring the items into pgSTAC, as another catalogue would write them."""
    given = {**os.environ, **where}
    collections, plain = folder / "collections.ndjson", folder / "items.ndjson"
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
    about = {
        "type": "Collection",
        "stac_version": "1.0.0",
        "description": "",
        "license": "other",
        "links": [],
    }
    collections.write_text(json.dumps({**about, "id": COLLECTION, "extent": extent}) + "\n")
    with items.open(encoding="utf-8") as source, plain.open("w", encoding="utf-8") as target:
        target.writelines(line for line in source if json.loads(line)["collection"] == COLLECTION)
    for path in (collections, plain):
        path.chmod(0o644)
    for line in (
        ["migrate"],
        ["load", "collections", str(collections), "--method", "insert"],
        ["load", "items", str(plain), "--method", "insert_ignore"],
    ):
        done = subprocess.run(
            [programs / "pypgstac", *line], capture_output=True, text=True, env=given, check=False
        )
        if done.returncode:
            raise EngineMissingError(f"pypgstac {' '.join(line)}: {done.stderr[-1500:]}")


def theirs(tile: tuple[int, int, int]) -> str:
    """Give the address of a tile of titiler-pgstac, in the colours and the range that ours shows."""
    zoom, column, row = tile
    asked = "assets=data%7Cbidx%3D1,2,3&rescale=300,2300&resampling=bilinear"
    return f"/collections/{COLLECTION}/tiles/{GRID}/{zoom}/{column}/{row}.jpg?{asked}"


def ours(tile: tuple[int, int, int]) -> str:
    """Give the address of a tile of ours."""
    zoom, column, row = tile
    return f"/tiles/{COLLECTION}/{GRID}/{zoom}/{column}/{row}.jpg"


def compare(size: int, runs: int) -> dict[str, Any]:
    """Ask both for the same tiles, in turns; give tiles a second and the medians of the ratios."""
    make_pictures(WORK / "pictures")
    home, _ = make_home(size, anew=False)
    programs = environment()
    result: dict[str, Any] = {"load": os.getloadavg()[0], "size": size}
    with tempfile.TemporaryDirectory(prefix="flux-pgstac-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        place = folder / "postgres"
        place.mkdir()
        where = stack.enter_context(database(place))
        tell("loading pgSTAC")
        load_items(programs, where, WORK / f"items-{size}.ndjson", folder)
        port = free_port()
        server = [programs / "python", "-m", "uvicorn", "titiler.pgstac.main:app", "--port", str(port)]
        engine = stack.enter_context(
            running(
                "titiler-pgstac",
                [[*server, "--workers", "1", "--log-level", "warning"]],
                port,
                theirs(tile_paths()["one"][0]),
                environment={**where, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "VSI_CACHE": "TRUE"},
                folder=folder,
            )
        )
        flux = stack.enter_context(served(home, images_of(home)))
        for kind, tiles in tile_paths().items():
            rates: dict[str, list[float]] = {"ours": [], "theirs": []}
            for _ in range(runs):
                for who, port_of, path, headers in (
                    ("ours", flux.port, ours, (("X-API-Key", flux.key),)),
                    ("theirs", engine.port, theirs, ()),
                ):
                    lanes = [[path(tile) for tile in tiles]] * CONNECTIONS
                    run = replay(port_of, lanes, headers, at_least=SECONDS, at_most=20 * SECONDS)
                    if run.failed:
                        tell(f"{who}, {kind}: {run.failed} failed")
                    rates[who].append(run.rate)
            result[kind] = {
                **{who: statistics.median(found) for who, found in rates.items()},
                "ratio": statistics.median(
                    a / b for a, b in zip(rates["ours"], rates["theirs"], strict=True)
                ),
            }
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=10_000, help="scenes of the catalogue")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    result = compare(options.size, options.runs)
    print(f"| {options.size:,} scenes, tiles/s | ours | titiler-pgstac | faster by | bar |")
    print("|---|---|---|---|---|")
    for kind, words in (("one", "one scene covers"), ("four", "four scenes meet")):
        row = result[kind]
        print(f"| {words} | {row['ours']:.3g} | {row['theirs']:.3g} | x {row['ratio']:.3g} | >= 10 |")
    print(f"\nLoad of the machine before: {result['load']:.1f}.")


if __name__ == "__main__":
    main()
