"""Routes as data: pattern, methods, action, what it takes and gives; and the matching of a path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from auth.models import Action
from server.answers import Answer

Handler = Callable[[Any], Awaitable[Answer]]
"""Takes a `server.call.Call`, which holds its route and so stands a floor above."""
Protocol = Literal["problem", "ows"]


class RouteUndeclaredError(Exception):
    """A route that can't be served as it is declared; the server does not start."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a route, for OpenAPI and the tests."""

    name: str
    where: Literal["path", "query", "header"]
    description: str
    required: bool = False
    example: str | None = None


@dataclass(frozen=True, kw_only=True)
class Body:
    """What a writing route takes, for OpenAPI."""

    schema: str
    """Name of its schema."""
    media_types: tuple[str, ...] = ("application/json",)
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Route:
    """One line of the ROUTES table."""

    id: str
    """Name in logs and metrics, and OpenAPI's operationId."""
    path: str
    """Segments; `{name}` takes exactly one."""
    actions: frozenset[Action]
    """What the handler may decide; never empty. It can ask for no other."""
    handler: Handler
    summary: str
    methods: frozenset[str] = frozenset({"GET", "HEAD"})
    parameters: tuple[Parameter, ...] = ()
    answers: tuple[tuple[int, str], ...] = ()
    """(status, what it means)."""
    body: Body | None = None
    gives: str | None = None
    """Name of the schema of what it gives, where that is JSON and described."""
    protocol: Protocol = "problem"
    """The form of its errors."""
    ignores_credentials: bool = False
    """True where everybody gets the same and a credential is not even looked at (health, page files)."""
    memoised: bool = False
    """True where rights, catalogue and request alone make the answer, so that it may be given again."""
    shown_when_refused: bool = False
    """True for a page that tells people in a browser that their key is not valid: it comes with the 401."""


@dataclass(frozen=True, kw_only=True)
class Router:
    """Finds the route of a path."""

    routes: tuple[Route, ...]
    _by_shape: dict[tuple[str, int], tuple[tuple[tuple[str, ...], Route], ...]] = field(
        default_factory=dict, repr=False
    )

    def __post_init__(self) -> None:
        """Refuse routes without an action, and index the rest by first segment and length."""
        shapes: dict[tuple[str, int], list[tuple[tuple[str, ...], Route]]] = {}
        for route in self.routes:
            if not route.actions:
                raise RouteUndeclaredError(f"route {route.id!r} declares no action")
            parts = tuple(route.path.split("/")[1:])
            if parts[0].startswith("{"):
                raise RouteUndeclaredError(f"route {route.id!r} begins with a variable")
            shapes.setdefault((parts[0], len(parts)), []).append((parts, route))
        for known in shapes.values():
            for number, (parts, route) in enumerate(known):
                if any(parts == p and route.methods & other.methods for p, other in known[:number]):
                    raise RouteUndeclaredError(f"route {route.id!r} has the path and method of another")
        ids = [route.id for route in self.routes]
        if len(set(ids)) != len(ids):
            raise RouteUndeclaredError("two routes have one id")
        self._by_shape.update({shape: tuple(found) for shape, found in shapes.items()})

    def match(self, parts: Sequence[str], method: str = "GET") -> tuple[Route, dict[str, str]] | None:
        """Give the route of decoded path segments and the values of its variables.

        Where several have the path, the one of the method; where none has the method, the first.
        """
        if not parts:
            return None
        first = None
        for pattern, route in self._by_shape.get((parts[0], len(parts)), ()):
            values = _values(pattern, parts)
            if values is None:
                continue
            if method in route.methods:
                return route, values
            first = first or (route, values)
        return first

    def methods(self, path: str) -> frozenset[str]:
        """Give every method that a route's path takes."""
        return frozenset().union(*(route.methods for route in self.routes if route.path == path))


def _values(pattern: Sequence[str], parts: Sequence[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for expected, part in zip(pattern, parts, strict=True):
        if expected.startswith("{"):
            if not part:
                return None
            values[expected[1:-1]] = part
        elif expected != part:
            return None
    return values


@lru_cache(maxsize=1024)
def variables(path: str) -> tuple[str, ...]:
    """Give the names of a pattern's variables."""
    return tuple(part[1:-1] for part in path.split("/") if part.startswith("{"))
