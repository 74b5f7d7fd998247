"""Starts and stops what is compared, all on this machine's loopback: two processes each."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE = Path(__file__).resolve().parent
PROGRAM = Path(sys.executable).with_name("dinamis-flux")
WORKERS: Final = 2
NO_TILE_CACHE: Final = {"FLUX_TILES__CACHE_MEGABYTES": "0", "FLUX_TILES__DISK_CACHE_MEGABYTES": "0"}
"""Settings with which our server makes every tile anew: answers are remembered within the first bound."""
_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 20.0
_ERROR_SECONDS: Final = 5.0
"""How long a server may answer with errors while it starts."""


class EngineMissingError(RuntimeError):
    """An engine can't be started here; the message says what it needs."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A running server."""

    name: str
    port: int
    processes: tuple[subprocess.Popen[bytes], ...]
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with each request."""

    def workers(self) -> tuple[int, ...]:
        """Give the ids of the processes that answer requests, and of what they started."""
        roots = [process.pid for process in self.processes]
        return tuple(pid for root in roots for pid in _descendants(root)) or tuple(roots)

    def memory(self) -> tuple[int, ...]:
        """Give the resident bytes of each process that answers requests, the largest first."""
        sizes = sorted((_resident(pid) for pid in self.workers()), reverse=True)
        return tuple(size for size in sizes[:WORKERS] if size)


def plain_environment() -> dict[str, str]:
    """Give this process's environment without what steers GDAL, libraries' threads or us.

    The command line sets some of it for itself; what is compared must not inherit that.
    """
    steering = ("GDAL_", "CPL_", "VSI_", "OGR_", "PROJ_", "FLUX_", "PROMETHEUS_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(steering) and not name.endswith("_NUM_THREADS")
    }


def free_port() -> int:
    """Give a TCP port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _descendants(root: int) -> list[int]:
    found: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                new = [int(child) for child in children.read_text().split()]
                found += new
                waiting += new
    return found


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def running(
    name: str,
    commands: Sequence[Sequence[str | Path]],
    port: int,
    ready: str,
    *,
    environment: Mapping[str, str] | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    stdin: socket.socket | None = None,
    folder: Path,
) -> Iterator[Engine]:
    """Run processes until the block ends; it begins when `ready` is answered with 200.

    Raises:
        EngineMissingError: If that does not come; the message ends with what the processes wrote.
    """
    log = folder / f"{name}.log"
    processes: list[subprocess.Popen[bytes]] = []
    with log.open("wb") as output:
        try:
            for command in commands:
                started = subprocess.Popen(
                    [str(part) for part in command],
                    stdin=stdin if stdin is not None else subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**plain_environment(), **(environment or {})},
                    cwd=folder,
                )
                processes.append(started)
            engine = Engine(name=name, port=port, processes=tuple(processes), headers=headers)
            _wait(engine, ready, log)
            yield engine
        finally:
            for process in reversed(processes):
                _stop(process)


def _wait(engine: Engine, path: str, log: Path) -> None:
    wanted = urllib.request.Request(f"http://127.0.0.1:{engine.port}{path}", headers=dict(engine.headers))
    until = time.monotonic() + _START_SECONDS
    said = ""
    while time.monotonic() < until and all(process.poll() is None for process in engine.processes):
        try:
            with urllib.request.urlopen(wanted, timeout=20) as answer:  # noqa: S310 - our own machine, by http
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read(300)!r}"
            until = min(until, time.monotonic() + _ERROR_SECONDS)
        except OSError as error:
            said = str(error)
        time.sleep(0.1)
    tail = log.read_text(errors="replace")[-1500:]
    raise EngineMissingError(f"{engine.name} does not answer {path}: {said}\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)


def flux(
    home: Path, data: Path, ready: str, folder: Path, *, key: str | None = None, cache: bool = False
) -> contextlib.AbstractContextManager[Engine]:
    """Serve a home; without `cache`, every tile is made anew."""
    port = free_port()
    environment = {"FLUX_DATA_ROOTS": str(data)}
    if not cache:
        environment |= NO_TILE_CACHE
    return running(
        "flux",
        [[PROGRAM, "--home", home, "serve", "--port", str(port), "--workers", str(WORKERS)]],
        port,
        ready,
        environment=environment,
        headers=(("X-API-Key", key),) if key else (),
        folder=folder,
    )


def titiler_python(work: Path) -> Path:
    """Give the Python that has titiler, in an environment that is made when the pinned list changed.

    Raises:
        EngineMissingError: If it can't be installed.
    """
    wanted = HERE / "titiler-requirements.txt"
    place = work / "titiler"
    stamp = place / "installed"
    python = place / "bin" / "python"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return python
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, timeout=120)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", wanted], check=True, timeout=600)
    except (subprocess.SubprocessError, OSError) as error:
        raise EngineMissingError(f"titiler can't be installed: {error}") from error
    stamp.write_text(digest)
    return python


def titiler(work: Path, ready: str, folder: Path) -> contextlib.AbstractContextManager[Engine]:
    """Serve with titiler-core on uvicorn, with the GDAL settings that its handbook asks for."""
    port = free_port()
    uvicorn = [titiler_python(work), "-m", "uvicorn", "titiler_app:app", "--app-dir", HERE]
    options = ["--port", str(port), "--workers", str(WORKERS), "--no-access-log", "--log-level", "warning"]
    return running(
        "titiler",
        [[*uvicorn, *options]],
        port,
        ready,
        environment={
            "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
            "GDAL_CACHEMAX": "200",
            "GDAL_BAND_BLOCK_CACHE": "HASHSET",
            "VSI_CACHE": "TRUE",
        },
        folder=folder,
    )


def empty(body: Path, folder: Path) -> contextlib.AbstractContextManager[Engine]:
    """Serve one body from an ASGI application that does nothing else, on the server that ours runs on."""
    port = free_port()
    granian = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), "--no-ws"]
    options = ["--workers", str(WORKERS), "--loop", "uvloop", "--log-level", "warning", "empty_app:app"]
    return running(
        "empty",
        [[*granian, "--working-dir", HERE, *options]],
        port,
        "/",
        environment={"BENCH_BODY": str(body)},
        folder=folder,
    )


def _nginx() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        raise EngineMissingError("nginx is not installed (Debian: nginx-light)")
    return found


_NGINX = """daemon off;
{user}
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log error;
events {{ worker_connections 512; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 100000000;
  open_file_cache max=1000 inactive=60s;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ image/jpeg jpg; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
{server}
  }}
}}
"""
_STATIC = "    root {root};"
_FASTCGI = """    fastcgi_buffers 32 16k;
    location / {{
      fastcgi_pass unix:{socket};
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param SERVER_NAME 127.0.0.1;
      fastcgi_param SERVER_PORT {port};
      fastcgi_param SCRIPT_NAME /;
      fastcgi_param MS_MAPFILE {mapfile};
      fastcgi_param MAPSERVER_CONFIG_FILE {config};
    }}"""


def _nginx_command(folder: Path, port: int, server: str) -> list[str | Path]:
    configuration = folder / f"nginx-{port}.conf"
    user = "user root root;" if os.geteuid() == 0 else ""  # root's nginx would not see our folder else
    text = _NGINX.format(user=user, workers=WORKERS, folder=folder, port=port, server=server)
    configuration.write_text(text)
    return [_nginx(), "-p", folder, "-e", folder / "nginx-error.log", "-c", configuration]


def nginx(root: Path, ready: str, folder: Path) -> contextlib.AbstractContextManager[Engine]:
    """Serve files as they are."""
    port = free_port()
    command = _nginx_command(folder, port, _STATIC.format(root=root))
    return running("nginx", [command], port, ready, folder=folder)


@contextlib.contextmanager
def mapserver(mapfile: str, ready: str, folder: Path) -> Iterator[Engine]:
    """Serve a map file with two MapServer processes under FastCGI behind nginx."""
    program = shutil.which("mapserv") or shutil.which("mapserv", path="/usr/lib/cgi-bin")
    if program is None:
        raise EngineMissingError("MapServer is not installed (Debian: cgi-mapserver)")
    map_path = folder / "bench.map"
    map_path.write_text(mapfile)
    config = folder / "mapserver.conf"
    config.write_text(f'CONFIG\n  ENV\n    MS_MAPFILE "{map_path}"\n  END\nEND\n')
    port = free_port()
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        Path(short).chmod(0o755)
        address = Path(short) / "mapserver"  # a socket's path may be 107 bytes long
        listener.bind(str(address))
        address.chmod(0o666)
        listener.listen(512)
        server = _FASTCGI.format(socket=address, port=port, mapfile=map_path, config=config)
        environment = {"MAPSERVER_CONFIG_FILE": str(config), "MS_MAPFILE": str(map_path)}
        gate = _nginx_command(folder, port, server)
        with contextlib.ExitStack() as stack:
            workers = stack.enter_context(_mapserv(program, environment, listener, folder))
            front = stack.enter_context(running("mapserver", [gate], port, ready, folder=folder))
            yield Engine(name="mapserver", port=front.port, processes=tuple(workers))


@contextlib.contextmanager
def _mapserv(
    program: str, environment: Mapping[str, str], listener: socket.socket, folder: Path
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run the workers; FastCGI hands the listening socket over as standard input."""
    with (folder / "mapserv.log").open("wb") as output:
        workers = [
            subprocess.Popen(
                [program],
                stdin=listener,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**plain_environment(), **environment},
            )
            for _ in range(WORKERS)
        ]
        try:
            yield workers
        finally:
            for worker in workers:
                worker.kill()  # while it waits for a request, FastCGI holds SIGTERM back
                worker.wait(_STOP_SECONDS)
