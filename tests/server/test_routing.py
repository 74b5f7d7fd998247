from __future__ import annotations

from typing import Any

import pytest

from auth.models import Action
from server.answers import Answer
from server.routing import Route, Router, RouteUndeclaredError


async def handler(_call: Any) -> Answer:
    return Answer()


def route(id_: str, path: str, *actions: Action) -> Route:
    return Route(id=id_, path=path, actions=frozenset(actions), handler=handler, summary="")


def test_a_route_without_an_action_stops_the_start() -> None:
    with pytest.raises(RouteUndeclaredError, match="declares no action"):
        Router(routes=(route("a", "/a"),))


def test_two_routes_with_one_id_stop_the_start() -> None:
    with pytest.raises(RouteUndeclaredError):
        Router(routes=(route("a", "/a", Action.OPEN), route("a", "/b", Action.OPEN)))


def test_a_path_that_begins_with_a_variable_stops_the_start() -> None:
    with pytest.raises(RouteUndeclaredError):
        Router(routes=(route("a", "/{x}/a", Action.OPEN),))


def test_match() -> None:
    router = Router(
        routes=(
            route("tile", "/tiles/{layer}/{z}", Action.TILE),
            route("fixed", "/tiles/{layer}/info", Action.OPEN),
            route("index", "/", Action.OPEN),
        )
    )
    found = router.match(("tiles", "a", "7"))
    assert found is not None
    assert (found[0].id, found[1]) == ("tile", {"layer": "a", "z": "7"})
    assert router.match(("",)) is not None
    for nowhere in [(), ("tiles",), ("tiles", "a", ""), ("tiles", "", "7"), ("tiles", "a", "7", "8"), ("x",)]:
        assert router.match(nowhere) is None
