"""The application in this process, without a socket; and homes that a test may spoil."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest

from server.app import Application, create_app
from server.database import connect, sqlite_module
from server.metrics import Metrics
from server.routes.health import Readiness
from server.routes.table import routes
from server.routing import Route
from server.settings import load_settings
from tests.conftest import Reply, Town
from tests.loaded import loaded
from tests.object_store import gate, store  # noqa: F401 - fixtures

pytest.register_assert_rewrite(
    *(f"tests.server.{part}" for part in ("cli.lines", "hits.pair", "hits.scenarios", "hostile"))
)

LONGEST_RUN = 7 * 86_400.0
"""Seconds. Here nobody asks the store each second, as a worker does: rights may get as old as the tests."""
TILE = "/tiles/{}/WebMercatorQuad/17/66052/47859.png"
"""Inside of the town's scenes."""


def declared_routes() -> tuple[Route, ...]:
    """Give the ROUTES table, without a server behind it."""
    return routes(Metrics(None), Readiness(cast("Any", None)))


@dataclass(frozen=True)
class Asgi:
    """Asks an application over its ASGI interface."""

    application: Application = field(repr=False)
    runner: asyncio.Runner = field(repr=False)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """Show only its name: all that it holds would hide, as a warning, what a failing test tells."""
        printer.text("Asgi()")

    def get(
        self,
        target: str | bytes,
        headers: dict[str, str] | None = None,
        method: str = "GET",
        body: bytes = b"",
        *,
        peer: str = "127.0.0.1",
        again: tuple[tuple[str, str], ...] = (),
    ) -> Reply:
        """Ask; a target in bytes goes as it is, one in text is percent-encoded where it must be.

        `peer` is the socket's other end, `again` further headers, which may repeat others.
        """
        raw = target if isinstance(target, bytes) else quote(target, safe="/?&=%:@+,;*'()!$~#[]").encode()
        path, _, query = raw.partition(b"?")
        sent: list[dict[str, object]] = []
        given: list[bool] = []

        async def receive() -> dict[str, object]:
            if given:
                return await asyncio.get_running_loop().create_future()  # the client stays
            given.append(True)
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        named = {"host": "flux.example", **{name.lower(): v for name, v in (headers or {}).items()}}
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in (*named.items(), *again)],
            "client": (peer, 4711),
        }
        self.runner.run(self.application.asgi(scope, receive, send))
        start, answered = sent
        found = {k.decode(): v.decode("latin-1") for k, v in start["headers"]}
        return Reply(start["status"], found, answered["body"])

    def send(self, method: str, target: str, value: object, headers: dict[str, str] | None = None) -> Reply:
        """Send JSON."""
        kind = {"content-type": "application/json"}
        return self.get(target, {**kind, **(headers or {})}, method, json.dumps(value).encode())


_RUN_ALL = """
import json, sys
from typer.testing import CliRunner
from server.cli.main import app
for line, env in json.load(sys.stdin):
    done = CliRunner().invoke(app, line, env=env, prog_name="dinamis-flux")
    stack = done.exception is not None and not isinstance(done.exception, SystemExit)
    print(json.dumps([done.exit_code, done.stdout, done.stderr, repr(done.exception) if stack else None]))
"""


@dataclass(frozen=True)
class Done:
    status: int
    stdout: str
    stderr: str
    stack: str | None
    """The error that a person would have seen a stack of."""


def run_all(
    home: Path | None, *lines: list[str], environments: list[dict[str, str]] | None = None
) -> list[Done]:
    """Run many command lines one after the other in one process: importing is most of their time.

    Without a home, the environments say which.
    """
    begin = [] if home is None else ["--home", str(home)]
    asked = zip(lines, environments or [{}] * len(lines), strict=True)
    done = loaded().run(
        _RUN_ALL,
        given=json.dumps([[[*begin, *line], variables] for line, variables in asked]),
        environment={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stderr
    return [Done(*json.loads(line)) for line in done.stdout.splitlines()]


def copy_home(town: Town, home: Path) -> Path:
    """Copy a home that may be in use: its database in one consistent state, with nothing counted yet."""
    home.mkdir(parents=True)
    shutil.copytree(town.home / "data", home / "data")
    shutil.copy2(town.home / "pepper", home / "pepper")
    with closing(sqlite_module.connect(town.home / "flux.db")) as source:
        source.execute("VACUUM INTO ?", (str(home / "flux.db"),))
    with closing(sqlite_module.connect(home / "flux.db")) as copy, copy:
        for table in ("auth_usage", "auth_usage_folded", "auth_key_use", "auth_quota"):
            copy.execute(f"DELETE FROM {table}")
    return home


@pytest.fixture
def own_home(town: Town, tmp_path: Path) -> Path:
    """Give a copy of the town that the test may spoil."""
    return copy_home(town, tmp_path / "home")


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[..., Asgi]]:
    """Give a function that starts an application over a home; it ends with the tests."""
    running: list[Asgi] = []
    with asyncio.Runner() as runner:

        def start(home: Path, **settings: object) -> Asgi:
            chosen = load_settings(home=home, **{"auth": {"stale_seconds": LONGEST_RUN}, **settings})
            asgi = Asgi(create_app(chosen, connect(None, home)), runner)
            asgi.application.services.knowledge.refresh()
            running.append(asgi)
            return asgi

        yield start
        for asgi in running:
            asgi.application.services.pool.shutdown()
            asgi.application.services.desk.shutdown()
            asgi.application.services.cache_threads.shutdown()
            asgi.application.services.knowledge.policy_store._engine.dispose()


@pytest.fixture(scope="session")
def town_asgi(town: Town, tmp_path_factory: pytest.TempPathFactory, started: Callable[..., Asgi]) -> Asgi:
    """Give the application over a copy of the town."""
    return started(copy_home(town, tmp_path_factory.mktemp("asgi") / "home"))
