"""Times what a cached tile costs in the application itself, beside a handler that does nothing.

`benchmarks/hit_path.py` prints a table; `--json` prints it for programs; `--profile KIND` shows where the
time goes. Times of the processor (of the thread): a busy machine does not make them much longer.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from server.app import create_app  # noqa: E402 - found by the line above
from server.database import connect  # noqa: E402
from server.settings import load_settings  # noqa: E402

PATH = "/tiles/{}/WebMercatorQuad/17/66052/47859.png"
BROWSER = (
    (b"host", b"flux.example"),
    (b"connection", b"keep-alive"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML) Chrome/140.0 Safari/537.36"),
    (b"accept", b"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"accept-language", b"fr-FR,fr;q=0.9,en;q=0.8"),
    (b"referer", b"https://map.example/"),
    (b"sec-fetch-dest", b"image"),
    (b"sec-fetch-mode", b"no-cors"),
    (b"sec-fetch-site", b"cross-site"),
)
Scope = dict[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


def town(home: Path) -> str:
    """Bank two layers, one public, one of an institution's area; give the institution's key."""
    rows, columns = np.mgrid[0:700, 0:900]
    pixels = np.stack([columns % 251 + 1, rows % 241 + 1, (rows + columns) % 239 + 1]).astype("uint8")
    for number, (layer, more) in enumerate((("open", ["--public"]), ("granted", []), ("cut", []))):
        pixels[0, 0, 0] = 10 + number  # the same content is banked once
        path = home.parent / f"{layer}_20240517.tif"
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=900,
            height=700,
            count=3,
            dtype="uint8",
            crs="EPSG:2154",
            transform=from_origin(572_000, 6_280_000, 0.5, 0.5),
            photometric="RGB",
        ) as target:
            target.write(pixels)
        flux(home, "bank", str(path), "--collection", layer, *more)
    flux(home, "institution", "add", "region")
    flux(home, "grant", "add", "region", "--collection", "granted")
    flux(home, "grant", "add", "region", "--collection", "cut", "--area", "1.4175,43.6045,1.4187,43.6061")
    return flux(home, "key", "create", "region").strip()


def flux(home: Path, *arguments: str) -> str:
    """Run the command line."""
    line = [sys.executable, "-m", "server", "--home", str(home), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"{arguments}: {done.stdout}{done.stderr}")
    return done.stdout


def scope_of(target: str, *headers: tuple[bytes, bytes]) -> Callable[[], Scope]:
    """Give what makes the scope of a request anew, as the server does."""
    path, _, query = target.partition("?")

    def fresh() -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 4711),
            "scheme": "http",
            "method": "GET",
            "root_path": "",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(bytes(bytearray(n)), bytes(bytearray(v))) for n, v in (*BROWSER, *headers)],
        }

    return fresh


async def receive() -> Mapping[str, Any]:
    """Give no body."""
    return {"type": "http.request", "body": b"", "more_body": False}


class Sent:
    """Takes an answer."""

    def __init__(self) -> None:
        self.last: Mapping[str, Any] = {}
        self.body = b""

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take one message."""
        if message["type"] == "http.response.start":
            self.last = message
        else:
            self.body = message["body"]


def empty_handler(body: bytes) -> Callable[[Scope, Any, Send], Awaitable[None]]:
    """Give the handler that does nothing but answer."""
    headers = [(b"content-type", b"image/png"), (b"content-length", str(len(body)).encode())]

    async def answer(scope: Scope, receive: Any, send: Send) -> None:  # noqa: ARG001 - ASGI's form
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


async def cost(app: Any, fresh: Callable[[], Scope], asked: int, runs: int) -> float:
    """Give the median over runs of the microseconds that one request takes."""
    sent, took = Sent(), []
    for _ in range(runs):
        scopes = [fresh() for _ in range(asked)]
        begun = time.thread_time_ns()
        for scope in scopes:
            await app(scope, receive, sent.send)
        took.append((time.thread_time_ns() - begun) / asked / 1000)
    return statistics.median(took)


async def measure(home: Path, key: str, asked: int, runs: int, profile: str | None) -> dict[str, float]:
    """Time each kind of request.

    Returns:
        Microseconds of processor time by kind.
    """
    application = create_app(load_settings(home=home), connect(None, home), home / "run" / "metrics")
    application.services.knowledge.refresh()
    as_header = (b"x-api-key", key.encode())
    kinds = {
        "public": scope_of(PATH.format("open")),
        "key in a header": scope_of(PATH.format("granted"), as_header),
        "key in the query": scope_of(PATH.format("granted") + f"?key={key}"),
        "key, cut by an area": scope_of(PATH.format("cut"), as_header),
        "key, WMTS KVP": scope_of(
            "/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=granted&STYLE=default&FORMAT=image/png"
            "&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX=17&TILEROW=47859&TILECOL=66052",
            as_header,
        ),
    }
    sent = Sent()
    for name, fresh in kinds.items():
        await application.asgi(fresh(), receive, sent.send)
        if sent.last["status"] != 200:
            sys.exit(f"{name}: status {sent.last['status']} {sent.body[:200]!r}")
    etag = dict(sent.last["headers"])[b"etag"]
    kinds["key, 304"] = scope_of(PATH.format("granted"), as_header, (b"if-none-match", etag))
    if profile is not None:
        watch = cProfile.Profile()
        watch.enable()
        await cost(application.asgi, kinds[profile], asked, 1)
        watch.disable()
        pstats.Stats(watch).sort_stats("tottime").print_stats(35)
    found = {"empty handler": await cost(empty_handler(sent.body), kinds["public"], asked, runs)}
    for name, fresh in kinds.items():
        found[name] = await cost(application.asgi, fresh, asked, runs)
    application.services.meter.close()
    application.services.pool.shutdown()
    application.services.desk.shutdown()
    return found


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--asked", type=int, default=2000)
    options.add_argument("--runs", type=int, default=7)
    options.add_argument("--json", action="store_true")
    options.add_argument("--profile")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        key = town(home)
        (home / "run" / "metrics").mkdir(parents=True, exist_ok=True)
        found = asyncio.run(measure(home, key, chosen.asked, chosen.runs, chosen.profile))
    if chosen.json:
        print(json.dumps(found))
        return
    for name, microseconds in found.items():
        print(f"{name:22} {microseconds:8.2f} µs")


if __name__ == "__main__":
    main()
