"""The ASGI application: from bytes of a request to one route's handler, and back.

The order is always: parse, match, authenticate, decide, handle, finish. Nothing is looked up for a caller
before the credential is known to be good.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from auth.decision import ANONYMOUS, Principal
from auth.errors import CredentialInvalidError, TokenRefusedError
from auth.models import Action
from auth.snapshot import PolicySnapshot
from mosaics.errors import LayerNotFoundError
from server.access import AccessDeniedError
from server.admission import DeadlinePassedError, OverloadedError
from server.answers import Answer, cache_control, matches
from server.authentication import NOBODY, WRITING, Authenticator, Identity
from server.call import KEY_PREFIX, PUBLIC_PREFIX, Call
from server.client import Client, ClientGoneError
from server.errors import (
    CredentialRequiredError,
    MethodNotAllowedError,
    RouteNotFoundError,
    answer_for,
    fact_of,
)
from server.hits import Asked, Found, Hits
from server.identity import NOTHING_SHOWN, Presented, presented, without_credentials
from server.metrics import Metrics
from server.openings import Opening, Openings
from server.requests import (
    BadRequestError,
    HttpRequest,
    TooLargeError,
    circumstances,
    language,
    request_from_scope,
    root_url,
    segments,
)
from server.routing import Route, Router
from server.services import Services

log = structlog.get_logger(__name__)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_CORS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "ETag, Location, X-Request-Id, Retry-After"),
)
_PREFLIGHT = (
    (
        "Access-Control-Allow-Headers",
        "Authorization, X-API-Key, If-Match, If-None-Match, Accept, Accept-Language, Content-Type",
    ),
    ("Access-Control-Max-Age", "86400"),
)
_READING = frozenset({"GET", "HEAD"})
_ADMINISTRATION = frozenset({Action.OPERATE, Action.MANAGE})
"""Actions that a route has as a whole: decided before its handler is entered."""
_MAX_BODY = 32_000_000
"""Longest body of a writing request, bytes: all rights of a large installation are less."""
_ALWAYS = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"))


class Dispatcher:
    """Answers HTTP for the routes it is given."""

    def __init__(
        self,
        services: Services,
        router: Router,
        authenticator: Authenticator,
        metrics: Metrics,
        lifespan: Callable[[], AbstractAsyncContextManager[None]],
        *,
        hits: Hits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._services = services
        self._router = router
        self._authenticator = authenticator
        self._metrics = metrics
        self._lifespan = lifespan
        self._hits = hits
        self._openings = Openings(knowledge=services.knowledge)
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            started = time.perf_counter()
            found = None if self._hits is None else self._hits.find(scope)
            if not isinstance(found, Found):
                await self._http(scope, receive, send, started, found)
                return
            hit, body = found
            headers = [*hit.before, (b"x-request-id", next(_REQUEST_IDS)), *hit.after]
            await send({"type": "http.response.start", "status": hit.status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            self._metrics.observe(hit.route_id, hit.status, time.perf_counter() - started, len(body))
        elif scope["type"] == "lifespan":
            await _run_lifespan(self._lifespan, receive, send)
        else:  # a web socket: nothing here speaks it
            await send({"type": "websocket.close", "code": 1003})

    async def _http(
        self, scope: Scope, receive: Receive, send: Send, started: float, asked: Asked | None
    ) -> None:
        """Answer what is not remembered."""
        exchange = _Exchange()
        answer = await self._answer(scope, receive, exchange, asked)
        headers = self._headers(answer, exchange)
        status = answer.status
        if status == 200 and scope["method"] in _READING and matches(exchange.if_none_match, answer.etag):
            status = 304
        body = b"" if status in {204, 304} else answer.body
        if status not in {204, 304}:
            headers.append(("Content-Length", str(len(body))))
            headers.append(("Content-Type", answer.media_type))
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        if self._hits is not None and asked is not None and exchange.call is not None:
            self._openings.keep(asked, exchange.call, exchange.identity)
            self._hits.keep(asked, exchange.call, exchange.identity, answer, status, raw)
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        self._metrics.observe(exchange.route_id, status, time.perf_counter() - started, len(body))

    async def _answer(
        self, scope: Scope, receive: Receive, exchange: _Exchange, asked: Asked | None
    ) -> Answer:
        try:
            opening = None if asked is None else self._openings.find(asked, self._clock())
            if asked is not None and opening is not None:
                exchange.receive = receive
                call = self._again(opening, asked, scope, exchange)
                return await call.route.handler(call)
            return await self._handle(scope, receive, exchange)
        except asyncio.CancelledError:
            raise
        except ClientGoneError as error:
            self._metrics.client_gone(exchange.route_id)
            return answer_for(error, protocol="problem", kvp=False, language=exchange.language)
        except Exception as error:  # the last line of defence: every error becomes an answer
            shown = _shown(error, exchange.principal)
            if fact_of(shown).status >= 500 and not isinstance(shown, _SHED):
                log.error(  # noqa: TRY400 - a stack only where we did not foresee it
                    "request_failed",
                    request_id=exchange.request_id,
                    route=exchange.route_id,
                    key=exchange.principal.key_id,
                    error=repr(error),
                    exc_info=fact_of(shown).code == "internal",
                )
            return answer_for(
                shown,
                protocol=exchange.protocol,
                kvp=exchange.kvp,
                language=exchange.language,
                by_page=exchange.by_page,
            )

    async def _handle(self, scope: Scope, receive: Receive, exchange: _Exchange) -> Answer:
        request = request_from_scope(scope)
        exchange.receive = receive
        exchange.if_none_match = request.header("if-none-match")
        exchange.by_page = request.header("sec-fetch-mode") not in {None, "navigate"}
        exchange.language = language(request.query, request.header("accept-language"))
        http = self._services.settings.http
        root = root_url(request, http.public_url, http.trusted_proxies, http.allowed_hosts)
        whole = segments(request.path)
        if len(whole) == _BARE_PREFIX.get(whole[0]) and whole[-1]:
            return _with_slash(request)
        parts, path_key, public = _unprefixed(whole)
        exchange.public = public
        found = self._router.match(parts, request.method)
        if found is None:
            raise RouteNotFoundError
        route, values = found
        exchange.enter(route)
        if request.method == "OPTIONS":
            methods = self._router.methods(route.path)
            return Answer(
                status=204, headers=(_allowed("Access-Control-Allow-Methods", methods), *_PREFLIGHT)
            )
        if request.method not in route.methods:
            raise MethodNotAllowedError(self._router.methods(route.path))
        nobody = public or route.ignores_credentials
        shown = NOTHING_SHOWN if nobody else presented(request, path_key)
        try:
            identity = NOBODY if nobody else await self._identify(request, shown)
        except CredentialInvalidError:
            if not (route.shown_when_refused and "text/html" in (request.header("accept") or "")):
                raise
            refused = Identity(principal=ANONYMOUS, way=shown.way, text=shown.text)
            page = await route.handler(self._call(request, route, values, refused, exchange, root))
            return replace(page, status=401, cacheable=False, etag=None)
        exchange.principal = identity.principal
        exchange.call = call = self._call(request, route, values, identity, exchange, root)
        exchange.identity = identity
        for action in _ADMINISTRATION & route.actions:
            decision = call.decision(action)
            if not decision.allowed:
                raise AccessDeniedError(decision.code)
        if request.method in WRITING:
            call = replace(call, request=replace(request, body=await _body(receive)))
        return await route.handler(call)

    async def _identify(self, request: HttpRequest, shown: Presented) -> Identity:
        """Tell who asks; a store that is down too long opens nothing to any credential."""
        now = self._clock()
        knowledge = self._services.knowledge
        if shown.text is not None:
            return await self._authenticator.explicit(knowledge.rights, shown, now)
        return self._authenticator.implicit(knowledge.rights, request, now) or NOBODY

    def _call(  # noqa: PLR0917 - one place, the values of one request
        self,
        request: HttpRequest,
        route: Route,
        values: Mapping[str, str],
        identity: Identity,
        exchange: _Exchange,
        root: str,
    ) -> Call:
        knowledge = self._services.knowledge
        trusted = self._services.settings.http.trusted_proxies
        policy = knowledge.policy or _NO_RIGHTS if route.ignores_credentials else knowledge.known_rights()
        exchange.shared = exchange.public and not policy.public_conditional
        return Call(
            services=self._services,
            request=request,
            route=route,
            path=values,
            query=without_credentials(request.query),
            principal=identity.principal,
            way=identity.way,
            key_text=identity.text,
            public=exchange.public,
            root=root,
            language=exchange.language,
            policy=policy,
            index=knowledge.index,
            now=self._clock(),
            secret=identity.secret,
            signed=identity.signed,
            until=identity.until,
            circumstances=circumstances(request, trusted),
            exhausted=self._services.meter.exhausted,
            client=self._client(identity.principal, exchange),
        )

    def _again(self, opening: Opening, asked: Asked, scope: Scope, exchange: _Exchange) -> Call:
        """Give a request that says what another one did, for its own tile; of errors the form is its own."""
        before, identity = opening.call, opening.identity
        exchange.by_page = _header(scope, b"sec-fetch-mode") not in {None, "navigate"}
        exchange.language = language(before.request.query, _header(scope, b"accept-language"))
        exchange.public = before.public
        exchange.shared = before.public and not before.policy.public_conditional
        exchange.enter(before.route)
        exchange.principal, exchange.identity = identity.principal, identity
        exchange.call = replace(
            before,
            path={**before.path, **dict(zip(opening.names, asked.tile, strict=True))},
            now=self._clock(),
            language=exchange.language,
            exhausted=self._services.meter.exhausted,
            client=self._client(identity.principal, exchange),
        )
        return exchange.call

    def _client(self, principal: Principal, exchange: _Exchange) -> Client:
        """Say whose turn a render takes: institutions have one each, whatever their keys."""
        return Client(
            partition=f"{principal.kind}:{principal.institution_id or ''}",
            deadline=exchange.begun + self._services.settings.http.deadline_seconds,
            receive=exchange.receive,
        )

    def _headers(self, answer: Answer, exchange: _Exchange) -> list[tuple[str, str]]:
        max_age = self._services.settings.tiles.public_max_age_seconds
        headers = [
            *answer.headers,
            *_CORS,
            *_ALWAYS,
            ("X-Request-Id", exchange.request_id),
            ("Cache-Control", cache_control(answer, public=exchange.shared, public_max_age=max_age)),
        ]
        if answer.etag is not None:
            headers.append(("ETag", f'"{answer.etag}"'))
        return headers


_SHED = (OverloadedError, DeadlinePassedError)
"""Not logged one by one: under overload that would be work too; the metrics count them."""

_NO_RIGHTS = PolicySnapshot()
"""What health is asked with while the rights were never read: it looks at none."""

_BARE_PREFIX = {KEY_PREFIX: 2, PUBLIC_PREFIX: 1}
"""Prefixes that are the whole path: the map page lives there, and its relative addresses need the slash."""


async def _body(receive: Receive) -> bytes:
    """Read the body of a writing request, to its bound.

    Raises:
        TooLargeError: If it is longer.
        BadRequestError: If the client went away.
    """
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise BadRequestError("the body did not arrive")
        part: bytes = message.get("body", b"")
        length += len(part)
        if length > _MAX_BODY:
            raise TooLargeError(f"a body has at most {_MAX_BODY} bytes")
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _header(scope: Scope, name: bytes) -> str | None:
    """Give the first value of a header of a request that is not parsed."""
    return next((value.decode("latin-1") for each, value in scope["headers"] if each.lower() == name), None)


def _allowed(header: str, methods: frozenset[str]) -> tuple[str, str]:
    return header, ", ".join(sorted(methods | {"OPTIONS"}))


def _with_slash(request: HttpRequest) -> Answer:
    """Send a browser from `/k/{key}` or `/public` to the same with a slash, relatively, for proxies."""
    last = request.path.rpartition("/")[2]
    return Answer(status=308, headers=(("Location", f"./{last}/"),), cacheable=False)


def _random_ids() -> Iterator[bytes]:
    """Give 16 hex digits each time; the system is asked for many at once."""
    while True:
        many = secrets.token_hex(8 * 512).encode()
        for place in range(0, len(many), 16):
            yield many[place : place + 16]


_REQUEST_IDS = _random_ids()


class _Exchange:
    """What is known so far of a request, for the answer, the log and the metrics."""

    def __init__(self) -> None:
        self.request_id = next(_REQUEST_IDS).decode()
        self.route_id = "none"
        self.protocol: Any = "problem"
        self.kvp = False
        self.public = False
        self.shared = False
        """Whether caches of others may keep what the address alone makes."""
        self.language = "fr"
        self.by_page = False
        self.principal = ANONYMOUS
        self.identity = NOBODY
        self.call: Call | None = None
        """What the handler was given."""
        self.if_none_match: str | None = None
        self.receive: Receive | None = None
        self.begun = asyncio.get_running_loop().time()
        """Of the loop's clock."""

    def enter(self, route: Route) -> None:
        self.route_id = route.id
        self.protocol = route.protocol
        self.kvp = route.id == "wmts_kvp"


def _unprefixed(parts: tuple[str, ...]) -> tuple[tuple[str, ...], str | None, bool]:
    """Take `/k/{key}` or `/public` off: the rest, the key, and whether it was /public."""
    if parts[:1] == (KEY_PREFIX,) and len(parts) >= 2 and parts[1]:
        return parts[2:] or ("",), parts[1], False
    if parts[:1] == (PUBLIC_PREFIX,):
        return parts[1:] or ("",), None, True
    return parts, None, False


def _shown(error: Exception, principal: Principal) -> Exception:
    """Give what a caller is told: to nobody, hidden and missing are one thing, and it wants a key."""
    if principal.anonymous and isinstance(error, LayerNotFoundError | AccessDeniedError):
        # what is open to everybody, only not so fine, is no secret, and a key need not be asked for
        coarser = isinstance(error, AccessDeniedError) and error.code == "zoom_limit"
        return error if coarser else CredentialRequiredError()
    if isinstance(error, CredentialInvalidError):
        reason = error.reason if isinstance(error, TokenRefusedError) else None
        log.info("credential_refused", key=error.key_id, why=type(error).__name__, reason=reason)
    return error


async def _run_lifespan(
    lifespan: Callable[[], AbstractAsyncContextManager[None]], receive: Receive, send: Send
) -> None:
    await receive()
    try:
        context = lifespan()
        await context.__aenter__()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": repr(error)})
        raise
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await context.__aexit__(None, None, None)
    await send({"type": "lifespan.shutdown.complete"})
