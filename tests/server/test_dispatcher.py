"""From an ASGI scope to one handler and back: the order of steps, and what every answer carries."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from auth.edits import add_by_content
from auth.models import Action
from auth.reach import EVERYWHERE, Conditions, Selector
from auth.rules import new_grant
from mosaics.errors import CatalogUnavailableError
from server.answers import Answer, json_answer
from server.app import Application, create_app
from server.call import Call
from server.database import connect
from server.dispatcher import Dispatcher
from server.routing import Route, Router
from server.settings import load_settings
from tests.conftest import Reply, Town
from tests.server.conftest import TILE, Asgi


def with_routes(asgi: Asgi, *routes: Route) -> Asgi:
    """Give the same application with other routes."""
    dispatcher = asgi.application.asgi
    made = Dispatcher(
        dispatcher._services,
        Router(routes=routes),
        dispatcher._authenticator,
        dispatcher._metrics,
        dispatcher._lifespan,
    )
    return replace(asgi, application=replace(asgi.application, asgi=made))


def route(handler: Callable[[Call], Any], *actions: Action, **more: Any) -> Route:
    async def handle(call: Call) -> Answer:
        return handler(call)

    return Route(
        id="tried",
        path="/tried",
        actions=frozenset(actions or {Action.OPEN}),
        handler=handle,
        summary="",
        **more,
    )


def raises(error: Exception) -> Callable[[Call], Answer]:
    def handler(_call: Call) -> Answer:
        raise error

    return handler


def test_what_nobody_foresaw_is_a_500_that_tells_nothing(town_asgi: Asgi) -> None:
    secret = RuntimeError("/srv/secret/path s3://bucket")
    with structlog.testing.capture_logs() as logged:
        reply = with_routes(town_asgi, route(raises(secret))).get("/tried")
    assert reply.status == 500
    assert reply.json["code"] == "internal"
    assert "secret" not in reply.body.decode() + str(reply.headers)
    (line,) = [x for x in logged if x["event"] == "request_failed"]
    assert line["request_id"] == reply.headers["x-request-id"], (
        "the request id leads from the one to the other"
    )
    assert line["exc_info"]
    assert "secret" in line["error"]


@pytest.mark.parametrize("protocol", ["problem", "ows"])
def test_a_store_that_is_down_is_503_with_retry_after_and_no_stack(town_asgi: Asgi, protocol: Any) -> None:
    tried = route(raises(CatalogUnavailableError("sqlite:///path")), protocol=protocol)
    with structlog.testing.capture_logs() as logged:
        reply = with_routes(town_asgi, tried).get("/tried")
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert "sqlite" not in reply.body.decode()
    assert ("ExceptionReport" in reply.body.decode()) == (protocol == "ows")
    assert not logged[0]["exc_info"]


def test_a_handler_can_only_decide_what_its_route_declares(town_asgi: Asgi) -> None:
    def handler(call: Call) -> Answer:
        call.decision(Action.TILE)
        return json_answer({})

    with structlog.testing.capture_logs():
        assert with_routes(town_asgi, route(handler, Action.CATALOGUE)).get("/tried").status == 500
    assert with_routes(town_asgi, route(handler, Action.TILE)).get("/tried").status == 200


def test_the_credential_is_looked_at_before_the_handler_runs(town: Town, town_asgi: Asgi) -> None:
    ran: list[Call] = []

    def handler(call: Call) -> Answer:
        ran.append(call)
        return json_answer({})

    for actions in ((Action.OPEN,), (Action.CATALOGUE, Action.TILE), (Action.OPERATE,)):
        tried = with_routes(town_asgi, route(handler, *actions))
        assert tried.get("/tried", {"X-API-Key": "bad"}).status == 401
        assert tried.get("/tried", {"X-API-Key": town.revoked_key}).status == 401
        assert tried.get(f"/k/{town.revoked_key}/tried").status == 401
        assert tried.get(f"/tried?key={town.key}&apikey=other").status == 400
    assert not ran
    operators_only = with_routes(town_asgi, route(handler, Action.OPERATE))
    assert operators_only.get("/tried").status == 401
    assert operators_only.get("/tried", {"X-API-Key": town.key}).status == 403
    assert operators_only.get("/public/tried", {"X-API-Key": town.operator_key}).status == 401
    assert not ran
    assert operators_only.get("/tried", {"X-API-Key": town.operator_key}).status == 200
    assert len(ran) == 1


def test_a_handler_never_sees_the_credential_in_its_query(town: Town, town_asgi: Asgi) -> None:
    def handler(call: Call) -> Answer:
        return json_answer({"query": call.query, "path": dict(call.path)})

    reply = with_routes(town_asgi, route(handler)).get(f"/tried?a=1&KEY={town.key}&b=2")
    assert reply.json == {"query": [["a", "1"], ["b", "2"]], "path": {}}


ANSWERS = [
    ("/layers", 200),
    (TILE.format("open"), 200),
    ("/nothing", 404),
    ("/layers/none", 401),
    ("/public", 308),
    ("/wmts?request=x", 400),
    ("/health/live", 200),
    (b"*", 400),
    (b"/%ff", 400),
]


@pytest.mark.parametrize(("path", "status"), ANSWERS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_what_every_answer_carries(town_asgi: Asgi, path: str | bytes, status: int, method: str) -> None:
    reply = town_asgi.get(path, method=method)
    if method in {"GET", "HEAD"}:
        assert reply.status == status
    headers = reply.headers
    assert headers["access-control-allow-origin"] == "*"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert re.fullmatch(r"[0-9a-f]{16}", headers["x-request-id"])
    assert "set-cookie" not in headers
    assert "server" not in headers
    kept = reply.status < 400 and not (path == "/health/live" and reply.status == 200) and path != "/public"
    expected = "private, max-age=0, must-revalidate" if kept else "no-store"
    assert headers["cache-control"] == expected
    if reply.status >= 400:
        assert "etag" not in headers
    if method == "HEAD" or reply.status in {204, 304}:
        assert reply.body == b""
    if reply.status == 405:
        assert headers["allow"] == "GET, HEAD, OPTIONS"
    if reply.status == 204:
        assert "content-length" not in headers
    elif method != "HEAD":
        assert headers["content-length"] == str(len(reply.body))


def test_request_ids_differ(town_asgi: Asgi) -> None:
    assert len({town_asgi.get("/health/live").headers["x-request-id"] for _ in range(50)}) == 50


def test_an_answer_that_did_not_change_is_304_without_a_body(town_asgi: Asgi) -> None:
    for path in (TILE.format("open"), "/layers", "/wmts", "/openapi.json", "/preview/open?width=64"):
        first = town_asgi.get(path)
        again = town_asgi.get(path, {"If-None-Match": first.headers["etag"]})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert "content-type" not in again.headers
        assert again.headers["cache-control"] == first.headers["cache-control"]
        assert town_asgi.get(path, {"If-None-Match": '"other"'}).status == 200


def test_browsers_at_the_bare_prefix_are_sent_to_its_slash_relatively(town: Town, town_asgi: Asgi) -> None:
    for path, where in (("/public", "./public/"), (f"/k/{town.key}", f"./{town.key}/")):
        reply = town_asgi.get(path)
        assert (reply.status, reply.headers["location"]) == (308, where)
    for path in ("/k", "/k/", "/k//", "/k/%0d%0aSet-Cookie:a", "/publicx"):
        reply = town_asgi.get(path)
        assert reply.status in {400, 404}
        assert "location" not in reply.headers


def test_errors_speak_the_protocol_and_the_language_of_the_caller(town_asgi: Asgi) -> None:
    assert "clé" in town_asgi.get("/layers/none").json["detail"]
    assert "key" in town_asgi.get("/layers/none?lang=en").json["detail"]
    assert "key" in town_asgi.get("/layers/none", {"Accept-Language": "en-GB"}).json["detail"]
    ows = town_asgi.get("/wmts/1.0.0/none/default/default/WebMercatorQuad/0/0/0.png?lang=en").body.decode()
    assert "A key is needed" in ows


def test_a_web_socket_is_closed(town_asgi: Asgi) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    town_asgi.runner.run(town_asgi.application.asgi({"type": "websocket"}, None, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


def living(application: Application) -> Callable[[Callable[[], Any]], None]:
    """Give a function that runs another one between start and stop of the application."""

    def run(inside: Callable[[], Any]) -> None:
        async def live() -> list[str]:
            inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
            said: list[str] = []
            ready = asyncio.Event()

            async def send(message: dict[str, str]) -> None:
                said.append(message["type"])
                ready.set()

            await inbox.put({"type": "lifespan.startup"})
            task = asyncio.ensure_future(application.asgi({"type": "lifespan"}, inbox.get, send))
            await ready.wait()
            await asyncio.get_running_loop().run_in_executor(None, inside)
            await inbox.put({"type": "lifespan.shutdown"})
            await task
            return said

        assert asyncio.run(live()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    return run


def test_starting_loads_what_is_known_and_stopping_leaves_no_thread(town: Town, own_home: Path) -> None:
    before = set(threading.enumerate())
    settings = load_settings(home=own_home, auth={"poll_seconds": 0.05})
    application = create_app(settings, connect(None, own_home))
    knowledge = application.services.knowledge
    assert not knowledge.loaded

    def inside() -> None:
        assert knowledge.loaded
        first = knowledge.policy_at
        for _ in range(100):
            if knowledge.policy_at > first:
                break
            threading.Event().wait(0.05)
        assert knowledge.policy_at > first, "rights are asked for again and again"
        names = {thread.name.partition("_")[0] for thread in threading.enumerate()}
        assert {"tile", "poll"} <= names

    living(application)(inside)
    left = [t for t in threading.enumerate() if t not in before and t.is_alive()]
    assert not left
    assert application.readiness.draining


def test_a_draining_worker_is_alive_but_not_ready(town_asgi: Asgi) -> None:
    readiness = town_asgi.application.readiness
    assert town_asgi.get("/health/ready").status == 200
    readiness.draining = True
    try:
        reply: Reply = town_asgi.get("/health/ready")
        assert reply.status == 503
        assert town_asgi.get("/health/live").status == 200
        assert json.loads(town_asgi.get("/layers").body)
    finally:
        readiness.draining = False


def test_readiness_falls_when_no_scene_can_be_read(
    town: Town, own_home: Path, started: Callable[..., Asgi]
) -> None:
    asgi = started(own_home)
    files = {path: path.read_bytes() for path in (own_home / "data" / "cogs").rglob("*.tif")}
    assert len(files) == 3
    for path in files:
        path.write_bytes(b"broken")
    assert asgi.get("/health/ready").status == 503
    assert asgi.get("/health/live").status == 200
    path = next(iter(files))
    path.write_bytes(files[path])
    assert asgi.get("/health/ready").status == 200, "one that can be read is enough"


@pytest.mark.parametrize(
    ("mode", "scheme"),
    [(None, "Basic"), ("navigate", "Basic"), ("cors", "Bearer"), ("no-cors", "Bearer")],
)
def test_a_page_s_own_requests_open_no_login_window(
    town_asgi: Asgi, town: Town, mode: str | None, scheme: str
) -> None:
    """GIS need the Basic challenge; a browser would ask for a password over a map whose cookie ran out."""
    sent = {"sec-fetch-mode": mode} if mode else {}
    rest = "/wmts/1.0.0/granted/default/default/WebMercatorQuad/17/47859/66052.png"
    for more in ({}, {"cookie": "__Host-flux=s1.stale"}, {"x-api-key": town.revoked_key}):
        for path in (TILE.format("granted"), rest):
            reply = town_asgi.get(path, sent | more)
            assert (reply.status, reply.headers["www-authenticate"]) == (
                401,
                f'{scheme} realm="dinamis-flux"',
            )


def test_what_everybody_may_see_from_some_places_only_is_kept_by_no_shared_cache(
    started: Callable[..., Asgi], own_home: Path
) -> None:
    asgi, tile = started(own_home), "/public" + TILE.format("open")
    assert asgi.get(tile).headers["cache-control"] == "public, max-age=300"
    assert asgi.get(tile.removesuffix(".png")).headers["cache-control"].startswith("private")
    portal = "https://portal.example.org"
    granted = new_grant(
        "public",
        Selector(collections=frozenset({"hidden"})),
        area=EVERYWHERE,
        now=datetime.now(UTC),
        conditions=Conditions(origins=frozenset({portal})),
    )
    knowledge = asgi.application.services.knowledge
    knowledge.policy_store.change(add_by_content(granted), actor="test", at=granted.created)
    knowledge.refresh()
    some = asgi.get("/public" + TILE.format("hidden"), {"Origin": portal})
    assert (some.status, some.headers["cache-control"][:8]) == (200, "private,")
    assert asgi.get("/public" + TILE.format("hidden")).status == 401
    assert asgi.get(tile).headers["cache-control"].startswith("private")
