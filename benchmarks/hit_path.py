"""Times what a cached tile costs in the application itself, beside a handler that does nothing.

`benchmarks/hit_path.py` prints a table; `--json` prints it for programs; `--profile KIND` shows where the
time goes; `--served` asks real servers with one worker each. Times of the processor (of the thread, or of
the worker): a busy machine does not make them much longer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import json
import pstats
import socket
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
import uvloop
from rasterio.transform import from_origin

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from server.app import create_app
from server.database import connect
from server.settings import load_settings
from server.shared import Shared
from server.worker import server_of

ROOT = Path(__file__).resolve().parents[1]
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
    more = [*headers, *((f"x-header-{n}".encode(), b"a value of some length") for n in range(8))]

    async def answer(scope: Scope, receive: Any, send: Send) -> None:  # noqa: ARG001 - ASGI's form
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": more if scope["query_string"] else headers,
            }
        )
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


def kinds_of(key: str) -> dict[str, Callable[[], Scope]]:
    """Give what is asked, by what it shows."""
    as_header = (b"x-api-key", key.encode())
    return {
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


async def measure(home: Path, key: str, asked: int, runs: int, profile: str | None) -> dict[str, float]:
    """Time each kind of request.

    Returns:
        Microseconds of processor time by kind.
    """
    application = create_app(
        load_settings(home=home), connect(None, home), Shared(metrics=home / "run" / "metrics")
    )
    application.services.knowledge.refresh()
    kinds = kinds_of(key)
    sent = Sent()
    for name, fresh in kinds.items():
        await application.asgi(fresh(), receive, sent.send)
        if sent.last["status"] != 200:
            sys.exit(f"{name}: status {sent.last['status']} {sent.body[:200]!r}")
    etag = dict(sent.last["headers"])[b"etag"]
    kinds["key, 304"] = scope_of(
        PATH.format("granted"), (b"x-api-key", key.encode()), (b"if-none-match", etag)
    )
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


def serve_empty(port: int, body: bytes) -> None:
    """Serve the empty handler as a worker serves the application, until killed."""

    async def serve() -> None:
        await server_of(empty_handler(body), "127.0.0.1", port).serve()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def request_bytes(fresh: Callable[[], Scope]) -> bytes:
    """Write a request as a browser does."""
    scope = fresh()
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    lines = [b"GET " + scope["raw_path"] + query + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in scope["headers"]]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def ask(port: int, request: bytes, asked: int) -> bytes:
    """Ask on one connection, one request after the other; give the last answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = b""
        for _ in range(asked):
            connection.sendall(request)
            whole = connection.recv(1 << 18)
            head, found, _ = whole.partition(b"\r\n\r\n")
            length = next(
                (ln for ln in head.lower().split(b"\r\n") if ln.startswith(b"content-length:")), b":0"
            )
            while not found or len(whole) < len(head) + 4 + int(length.split(b":")[1]):
                whole += connection.recv(1 << 18)
        return whole


def processor_seconds(process: int) -> float:
    """Give the processor time that a process has used, all its threads together."""
    tasks = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def cost_served(process: int, port: int, request: bytes, asked: int) -> float:
    """Give the microseconds of its processor time that a server needs for a request."""
    before = processor_seconds(process)
    ask(port, request, asked)
    return (processor_seconds(process) - before) / asked * 1e6


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    sys.exit("the server does not listen")


def measure_served(home: Path, key: str, asked: int, runs: int) -> dict[str, float]:
    """Time each kind of request over HTTP, each beside the empty handler in turn.

    Returns:
        Microseconds of processor time by kind.
    """
    kinds = {name: request_bytes(fresh) for name, fresh in kinds_of(key).items()}
    port, other_port = free_port(), free_port()
    line = [sys.executable, "-m", "server", "--home", str(home), "serve", "--workers", "1"]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen([*line, "--port", str(port)], cwd=ROOT, stdout=log, stderr=log)
    empty = None
    try:
        wait_for(port)
        (worker,) = subprocess.check_output(
            ["ps", "-o", "pid=", "--ppid", str(server.pid)], text=True
        ).split()
        answers = {name: ask(port, request, 50) for name, request in kinds.items()}
        if not all(answer.startswith(b"HTTP/1.1 200") for answer in answers.values()):
            sys.exit(str({name: answer[:200] for name, answer in answers.items()}))
        body = home / "body"
        body.write_bytes(answers["public"].partition(b"\r\n\r\n")[2])
        empty = subprocess.Popen([sys.executable, __file__, "--empty", str(other_port), str(body)], cwd=ROOT)
        wait_for(other_port)
        ask(other_port, kinds["public"], 1000)
        took: dict[str, list[float]] = {}
        many_headers = request_bytes(scope_of(PATH.format("open") + "?many"))
        for _ in range(runs):
            took.setdefault("empty handler", []).append(
                cost_served(empty.pid, other_port, kinds["public"], asked)
            )
            took.setdefault("with as many headers", []).append(
                cost_served(empty.pid, other_port, many_headers, asked)
            )
            for name, request in kinds.items():
                took.setdefault(name, []).append(cost_served(int(worker), port, request, asked))
        return {name: statistics.median(all_of_it) for name, all_of_it in took.items()}
    finally:
        for process in (server, empty):
            if process is not None:
                process.terminate()
                process.wait()


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--asked", type=int, default=2000)
    options.add_argument("--runs", type=int, default=7)
    options.add_argument("--json", action="store_true")
    options.add_argument("--profile")
    options.add_argument("--served", action="store_true")
    options.add_argument("--empty", nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.empty:
        serve_empty(int(chosen.empty[0]), Path(chosen.empty[1]).read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        key = town(home)
        (home / "run" / "metrics").mkdir(parents=True, exist_ok=True)
        if chosen.served:
            found = measure_served(home, key, chosen.asked, chosen.runs)
        else:
            found = asyncio.run(measure(home, key, chosen.asked, chosen.runs, chosen.profile))
    if chosen.json:
        print(json.dumps(found))
        return
    for name, microseconds in found.items():
        ratio = (
            f"   {found['empty handler'] / microseconds:5.2f} of the empty handler" if chosen.served else ""
        )
        print(f"{name:22} {microseconds:8.2f} µs{ratio}")


if __name__ == "__main__":
    main()
