"""What many tests share: small rasters whose pixels encode their position, homes, and running servers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from rasterio.transform import from_origin

from mosaics.gdal import configure
from server.database import open_database
from tests.loaded import ROOT, loaded
from tests.postgres import Postgres, postgres

configure()

hypothesis_settings.register_profile(
    "mutation", derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate)
)
"""Of docs/mutation.md: a mutant needs no smallest example."""
hypothesis_settings.register_profile("patient", hypothesis_settings(), deadline=None)
hypothesis_settings.load_profile("patient")
"""What this machine's own profile is (that of CI repeats itself), but no example fails for being slow."""

IMAGERY = ROOT.parent / "shared" / "data"
SCALE = float(os.environ.get("FLUX_TEST_SCALE", "0.05"))
"""Heavy tests multiply their counts with it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if IMAGERY.is_dir():
        return
    skip = pytest.mark.skip(reason="the real imagery is not beside this checkout")
    for item in items:
        if "imagery" in item.keywords:
            item.add_marker(skip)


def pytest_sessionfinish() -> None:
    if loaded.cache_info().currsize:
        loaded().close()


def need_program(name: str) -> str:
    """Give the path of a program; without it skip, or fail where CI promises that it is there."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        message = f"{name} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Run a PostgreSQL server for all tests of this process."""
    with postgres() as server:
        yield server


@pytest.fixture
def database(postgres_server: Postgres, tmp_path: Path) -> str:
    """Give the address of a database with our own tables, as they are in the beginning."""
    return postgres_server.emptied("flux", lambda address: open_database(address, tmp_path).dispose())


def imagery(path: str) -> Path:
    """Give a file of the real imagery."""
    return IMAGERY / path


def write_raster(
    path: Path,
    data: np.ndarray,
    *,
    crs: str = "EPSG:2154",
    origin: tuple[float, float] = (572_000.0, 6_280_000.0),
    resolution: float = 0.5,
    nodata: float | None = None,
    tags: dict[str, str] | None = None,
    **profile: Any,
) -> Path:
    """Write a plain GeoTIFF of (bands, height, width)."""
    count, height, width = data.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        **{"driver": "GTiff", **profile},
        width=width,
        height=height,
        count=count,
        dtype=data.dtype,
        crs=crs,
        transform=from_origin(*origin, resolution, resolution),
        nodata=nodata,
    ) as target:
        target.write(data)
        if tags:
            target.update_tags(**tags)
    return path


def position_pixels(height: int, width: int, bands: int = 3, dtype: str = "uint8") -> np.ndarray:
    """Give pixels that tell where they are: smooth ramps along x, along y and across."""
    y, x = np.mgrid[0:height, 0:width]
    ramps = [x / width, y / height, (x + y) / (width + height), (x - y + height) / (width + height)]
    top = {"uint8": 254, "uint16": 4000}.get(dtype, 1000.0)
    return np.stack([1 + ramp * (top - 1) for ramp in ramps[:bands]]).astype(dtype)


def flux(
    home: Path, *arguments: str, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    done = loaded().run(
        'import runpy; runpy.run_module("server", run_name="__main__", alter_sys=True)',
        *("--home", str(home), *arguments),
        environment={**os.environ, **environment},
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{arguments}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


@dataclass
class Server:
    """A running `dinamis-flux serve`."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Reply:
        request = urllib.request.Request(self.url + path, headers=headers or {}, method=method)
        try:
            with _OPENER.open(request, timeout=30) as reply:
                return Reply(reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

    def ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self.get("/health/ready").status == 200
        return False

    def workers(self) -> list[int]:
        done = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in done.stdout.split()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(home: Path, *, workers: int = 2, **environment: str) -> Iterator[Server]:
    """Run a server over a home until the block ends."""
    port, log = free_port(), home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "server",
                "--home",
                str(home),
                "serve",
                "--port",
                str(port),
                "--workers",
                str(workers),
            ],
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env={**os.environ, **environment},
        )
    server = Server(home, port, process, log)
    try:
        wait_until(server.ready, seconds=30, what=log.read_text)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def wait_until(
    condition: Callable[[], bool], *, seconds: float, what: Callable[[], str] = lambda: ""
) -> float:
    """Wait for a condition and give how long it took."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if condition():
            return time.monotonic() - started
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what()}")


@dataclass(frozen=True)
class Town:
    """A home with a public, a granted and a hidden collection, and the keys of two institutions."""

    home: Path
    key: str
    """Of `region`, which may see `granted`."""
    other_key: str
    """Of `other`, which may see `hidden`."""
    revoked_key: str
    operator_key: str
    sources: dict[str, Path] = field(default_factory=dict)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Bank three small scenes by the command line and give rights to two institutions."""
    folder = tmp_path_factory.mktemp("town")
    home = folder / "home"
    sources = {}
    for number, (collection, more) in enumerate(
        {"open": ["--public"], "granted": ["--licence", "region-only"], "hidden": []}.items()
    ):
        pixels = position_pixels(700, 900, 3)
        pixels[0, 0, 0] = 10 + number  # another content
        sources[collection] = write_raster(folder / f"{collection}_20240517.tif", pixels, photometric="RGB")
        flux(home, "bank", str(sources[collection]), "--collection", collection, *more)
    for institution in ("region", "other"):
        flux(home, "institution", "add", institution)
    flux(home, "grant", "add", "region", "--licence", "region-only")
    flux(home, "grant", "add", "other", "--collection", "hidden")
    flux(home, "operator", "add", "ops")
    keys = [flux(home, "key", "create", name).stdout.strip() for name in ("region", "other", "region", "ops")]
    flux(home, "key", "revoke", keys[2])
    return Town(home, keys[0], keys[1], keys[2], keys[3], sources)


@pytest.fixture(scope="session")
def town_server(town: Town) -> Iterator[Server]:
    """Serve the town with two workers."""
    with serving(town.home) as server:
        yield server


def tool_environment(**more: str) -> dict[str, str]:
    """Give the environment for programs of others: ours without what we set for our own GDAL."""
    ours = ("GDAL_", "CPL_", "PROJ_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more
