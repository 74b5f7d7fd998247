"""A shared cache in front (a real nginx, set up carelessly): nobody ever gets what is another's."""

from __future__ import annotations

import base64
import contextlib
import getpass
import grp
import http.client
import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.access.test_table import LAYER_ROUTES, LAYERS
from tests.conftest import SCALE, Reply, Server, Town, free_port, need_program, serving, wait_until
from tests.server.conftest import copy_home

REQUESTS = max(400, round(10_000 * SCALE))
SHARED = frozenset({"HIT", "STALE", "UPDATING", "REVALIDATED", "EXPIRED"})
"""What nginx says of an answer that it had kept."""

VARIANTS = {
    "as it is": "",
    "without Vary": "proxy_ignore_headers Vary;",
    "stale and locked": (
        "proxy_cache_lock on; proxy_cache_revalidate on; proxy_cache_background_update on;"
        "proxy_cache_use_stale error timeout updating invalid_header http_500 http_503 http_403 http_404;"
    ),
}
"""What operators write into such a block; each obeys Cache-Control."""

HOSTS = ("tiles.example.org", "elsewhere.example.org")
LANGUAGES = ("fr", "en")
ACCEPTED = ("*/*", "text/html", "application/json", "image/webp,*/*")

OTHERS = (
    *("/layers", "/wmts", "/wmts/1.0.0/WMTSCapabilities.xml", "/", "/app.js", "/openapi.json", "/whoami"),
    *("/explain?key_id=AAAAAAAA&layer=open&at=1,44", "/layers/none", "/nothing", "/metrics", "/public"),
)
PATHS = tuple(
    [path.format(layer=layer) for path in LAYER_ROUTES.values() for layer in LAYERS]
    + [path.removesuffix(".png").format(layer=layer) for path in LAYER_ROUTES.values() for layer in LAYERS]
    + list(OTHERS)
)
CHANGING = ("/metrics", "/explain")
"""Whose bodies differ from one asking to the next."""

COMPARED = ("content-type", "etag", "cache-control", "www-authenticate", "location", "set-cookie")


@dataclass(frozen=True)
class Caller:
    """A credential and the way it travels."""

    name: str
    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""
    prefix: str = ""

    def target(self, path: str) -> str:
        whole = self.prefix + path
        return whole if not self.query else f"{whole}{'&' if '?' in path else '?'}{self.query}"


@dataclass(frozen=True)
class Asked:
    caller: Caller
    target: str
    headers: tuple[tuple[str, str], ...]


@pytest.fixture(scope="module")
def server(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a copy of the town, so that nobody changes it between two askings."""
    with serving(copy_home(town, tmp_path_factory.mktemp("cached") / "home")) as running:
        yield running


@pytest.fixture(scope="module")
def callers(town: Town, server: Server) -> list[Caller]:
    """Give everybody, on every way that a credential can come."""
    found = [Caller("nobody"), Caller("nobody below public", prefix="/public")]
    keys = {
        "region": town.key,
        "other": town.other_key,
        "revoked": town.revoked_key,
        "ops": town.operator_key,
    }
    for name, key in keys.items():
        basic = base64.b64encode(f"user:{key}".encode()).decode()
        found += [
            Caller(f"{name} by header", headers=(("X-API-Key", key),)),
            Caller(f"{name} by bearer", headers=(("Authorization", f"Bearer {key}"),)),
            Caller(f"{name} by basic", headers=(("Authorization", f"Basic {basic}"),)),
            Caller(f"{name} by query", query=f"key={key}"),
            Caller(f"{name} by path", prefix=f"/k/{key}"),
            Caller(f"{name} below public", prefix="/public", headers=(("X-API-Key", key),)),
        ]
    for name in ("region", "other"):
        for kind in ("url", "cookie"):
            signed = _signed(server, keys[name], kind)
            if kind == "url":
                found.append(Caller(f"{name} by signature", query=f"sig={signed}"))
            else:
                found.append(Caller(f"{name} by cookie", headers=(("Cookie", f"__Host-flux={signed}"),)))
                below = (("Cookie", f"__Host-flux={signed}"),)
                found.append(Caller(f"{name} by cookie below public", prefix="/public", headers=below))
    return found


def _signed(server: Server, key: str, kind: str) -> str:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as line:
        body = json.dumps({"minutes": 30, "as": kind})
        line.request("POST", "/sign", body, {"X-API-Key": key, "Content-Type": "application/json"})
        reply = line.getresponse()
        text = reply.read()
        assert reply.status == 200, text
        if kind == "cookie":
            return str(reply.getheader("Set-Cookie")).partition(";")[0].partition("=")[2]
        return str(json.loads(text)["query"]).partition("=")[2]


def ask(port: int, asked: Asked) -> Reply:
    """Ask on a line of its own, saying the same host to whoever listens."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as line:
        line.putrequest("GET", asked.target, skip_host=True, skip_accept_encoding=True)
        for name, value in asked.headers:
            line.putheader(name, value)
        line.endheaders()
        reply = line.getresponse()
        return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())


CONFIGURATION = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {servers}
}}
"""
BLOCK = """
  proxy_cache_path {folder}/cache{number} keys_zone=zone{number}:4m inactive=10m use_temp_path=off;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_set_header Host $http_host;
      proxy_cache zone{number};
      proxy_cache_valid any 10m;
      add_header X-Cache-Status $upstream_cache_status always;
      {more}
    }}
  }}
"""


@pytest.fixture(scope="module")
def nginx(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], int]]:
    """Run nginx with a cache for each variant; gives the port of one."""
    program = need_program("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    blocks, ports = [], {}
    for number, more in enumerate((*VARIANTS.values(), IGNORING)):
        ports[more] = free_port()
        blocks.append(
            BLOCK.format(folder=folder, number=number, port=ports[more], upstream=server.port, more=more)
        )
    own_group = grp.getgrgid(os.getgid()).gr_name
    user = f"user {getpass.getuser()} {own_group};" if os.getuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(CONFIGURATION.format(user=user, folder=folder, servers="\n".join(blocks)))
    with (folder / "out.log").open("wb") as output:
        process = subprocess.Popen(
            [program, "-c", str(path), "-p", str(folder)], stdout=output, stderr=output
        )
    try:
        wait_until(lambda: all(map(_answers, ports.values())), seconds=15, what=lambda: _said(folder))
        yield ports.__getitem__
    finally:
        process.terminate()
        process.wait(10)


IGNORING = "proxy_ignore_headers Cache-Control Set-Cookie Expires Vary;"
"""What no server can help against."""


def _answers(port: int) -> bool:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.suppress(OSError), contextlib.closing(line):
        line.request("GET", "/health/live")
        return line.getresponse().status == 200
    return False


def _said(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*.log"))


TILES = [path for path in PATHS if path.startswith("/tiles/") and path.endswith((".png", ".jpg", ".webp"))]
"""What a shared cache may keep of nobody's; the other half of all requests."""


def requests(callers: list[Caller], count: int, seed: int) -> list[Asked]:
    """Draw requests: often the same address by different callers, and often the same request again."""
    chance = random.Random(seed)
    drawn: list[Asked] = []
    while len(drawn) < count:
        path = chance.choice(PATHS if chance.random() < 0.5 else TILES)
        below_public = [caller for caller in callers if caller.prefix == "/public"]
        for caller in (*chance.sample(callers, 2), *chance.sample(below_public, 1)):
            headers = (
                ("Host", chance.choice(HOSTS)),
                ("Accept", chance.choice(ACCEPTED)),
                ("Accept-Language", chance.choice(LANGUAGES)),
                *caller.headers,
            )
            drawn += [Asked(caller, caller.target(path), headers)] * chance.randint(1, 2)
    chance.shuffle(drawn)
    return drawn[:count]


def violations(server: Server, port: int, asked: list[Asked]) -> tuple[list[str], int]:
    """Ask through the cache, and the server itself; tell what differs, and how much the cache gave."""
    with ThreadPoolExecutor(8) as pool:
        cached = list(pool.map(lambda one: ask(port, one), asked))
        different = list(dict.fromkeys(asked))
        own = dict(zip(different, pool.map(lambda one: ask(server.port, one), different), strict=True))
    wrong, given = [], 0
    for one, through in zip(asked, cached, strict=True):
        direct, state = own[one], through.headers.get("x-cache-status", "-")
        where = f"{one.caller.name}: {one.target} {dict(one.headers)} {state}"
        if state in SHARED:
            given += 1
            if not one.target.startswith("/public/"):
                wrong.append(f"kept: {where}")
        if through.status != direct.status:
            wrong.append(f"{through.status} for {direct.status}: {where}")
        elif not one.target.removeprefix(one.caller.prefix).startswith(CHANGING):
            if through.body != direct.body:
                wrong.append(f"another's body: {where}")
            wrong += [
                f"{name}: {where}"
                for name in COMPARED
                if through.headers.get(name) != direct.headers.get(name)
            ]
    return wrong, given


@pytest.mark.parametrize("variant", VARIANTS)
def test_nobody_gets_what_is_anothers(
    server: Server, nginx: Callable[[str], int], callers: list[Caller], variant: str
) -> None:
    asked = requests(callers, REQUESTS, seed=list(VARIANTS).index(variant))
    wrong, given = violations(server, nginx(VARIANTS[variant]), asked)
    assert not wrong, "\n".join(wrong[:20])
    assert given > REQUESTS / 100, "the cache kept nothing, so this showed nothing"


def test_a_cache_that_ignores_what_is_said_is_found_out(
    server: Server, nginx: Callable[[str], int], callers: list[Caller]
) -> None:
    wrong, _ = violations(server, nginx(IGNORING), requests(callers, 400, seed=7))
    assert any(line.startswith("kept") for line in wrong)
    assert any(line.startswith("another's body") for line in wrong)
