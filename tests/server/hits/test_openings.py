"""What a request means is remembered for its neighbours: all that is a tile's own is asked for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from server.hits import Asked
from server.openings import Opening, Openings
from tests.server.hits.pair import GRANTED, OPEN, Pair, by_key
from tests.server.hits.scenarios import (
    catalogue_changes,
    changed_meanwhile,
    credential_of_a_site,
    grant_ends,
    key_ends,
    negotiation,
    old_secret_ends,
    other_callers,
    portal,
    portal_not_believed,
    quota,
    revoked,
    right_of_a_network,
    right_of_a_site,
    rights_too_old,
    signature_ends,
    suspended,
    validators,
)
from tests.server.hits.switches import (
    a_header_forgotten,
    conditions_of_credentials_forgotten,
    no_end_of_credentials,
    peers_forgotten,
    portals_forgotten,
    sites_forgotten,
    the_query_forgotten,
)
from tests.server.hits.test_random_requests import BOX

Patch = pytest.MonkeyPatch


def beside(target: str, column: int) -> str:
    return target.replace("66052", str(column))


@pytest.mark.parametrize(
    "target",
    [
        GRANTED,
        GRANTED + "?style=default",
        "/wmts/1.0.0/granted/default/default/WebMercatorQuad/17/47859/66052.png",
    ],
)
def test_neighbours_are_their_own_tiles(opener: Pair, target: str) -> None:
    opener.get(target, by_key(opener))
    bodies = {opener.get(beside(target, column), by_key(opener)).body for column in (66052, 66053, 66054)}
    assert (len(bodies), opener.hits) == (3, 3)
    opener.get(
        target.replace("17/47859/66052", "16/23929/33026").replace("17/66052/47859", "16/33026/23929"),
        by_key(opener),
    )
    assert opener.hits == 4, "of another zoom too"


@pytest.mark.parametrize(
    "other",
    [
        "066052",
        "66052.0",
        "+66052",
        "66052%2f",
        "%36%36052",
        "99999999999",
        "-1",
        "",
        "66052.gif",
        "66052@3x",
    ],
)
def test_what_is_no_tile_is_read_as_ever(opener: Pair, other: str) -> None:
    path = "/tiles/granted/WebMercatorQuad/17/{}/47859.png"
    opener.warm(path.format(66052), by_key(opener))
    opener.get(path.format(other), by_key(opener))
    opener.get("/tiles/granted/WebMercatorQuad/17/66052/{}".format(other or "."), by_key(opener))


def test_a_request_that_is_long_is_not_held(opener: Pair) -> None:
    opener.get(OPEN, {"cookie": "a=" + "x" * 5000})
    opener.get(OPEN + "?a=" + "x" * 5000)
    assert not opener.openings._kept
    opener.get(OPEN, {"cookie": "a=" + "x" * 2000})
    assert len(opener.openings._kept) == 1


def test_each_has_its_own_language_and_form_of_error(opener: Pair) -> None:
    far = "/tiles/granted/WebMercatorQuad/17/0/0.png?time=1999-01-01"
    words = set()
    for said in ({"accept-language": "fr"}, {"accept-language": "en"}, {"accept-language": "de, en;q=0.5"}):
        for _ in range(2):
            reply = opener.get(far, {**by_key(opener), **said})
            words.add(reply.json["detail"])
    assert opener.hits >= 5
    assert len(words) == 2, "French and English"


def test_a_validator_is_the_tiles_own(opener: Pair) -> None:
    etag = opener.get(GRANTED, by_key(opener)).headers["etag"]
    said = {**by_key(opener), "if-none-match": etag}
    assert [opener.get(GRANTED, said).status for _ in range(3)] == [304] * 3
    assert [opener.get(beside(GRANTED, 66053), said).status for _ in range(3)] == [200] * 3
    assert opener.hits == 0


def test_a_client_of_a_neighbour_may_go_away(opener: Pair) -> None:
    """Its own line is watched, and no other's."""
    opener.warm(GRANTED, by_key(opener))
    dispatcher = opener.remembering.application.asgi
    seen: list[Any] = []
    client = dispatcher._client

    def listened(principal: Any, exchange: Any) -> Any:
        seen.append(exchange.receive)
        return client(principal, exchange)

    object.__setattr__(dispatcher, "_client", listened)
    opener.get(beside(GRANTED, 66053), by_key(opener))
    opener.get(beside(GRANTED, 66054), by_key(opener))
    assert None not in seen
    assert len(set(map(id, seen))) == 2


def test_they_are_bounded_and_hold_no_path(opener: Pair) -> None:
    opener.openings.most = 3
    for number in range(5):
        opener.get(f"{OPEN}?n={number}")
    kept = list(opener.openings._kept.values())
    assert [opening.call.request.path for opening in kept] == [""] * 3
    assert [opening.call.query for opening in kept] == [(("n", str(number)),) for number in (2, 3, 4)]
    opener.get(f"{OPEN}?n=2")
    opener.get(f"{OPEN}?n=5")
    assert opener.hits == 1
    assert [opening.call.query[0][1] for opening in opener.openings._kept.values()] == ["4", "2", "5"]


def never_forgets(patch: Patch, _pair: Pair) -> None:
    def find(self: Openings, asked: Asked, now: datetime) -> Opening | None:
        self._policy, self._sequence = asked.policy, asked.sequence
        opening = self._kept.get(asked.opening) if asked.tile else None
        return opening if opening is not None and self._holds(opening, now) else None

    patch.setattr(_pair.openings, "find", find.__get__(_pair.openings))


def no_look_at_the_clock(patch: Patch, _pair: Pair) -> None:
    patch.setattr(Openings, "_holds", lambda *_: True)


def no_look_at_the_age(patch: Patch, _pair: Pair) -> None:
    patch.setattr(
        Openings,
        "_holds",
        lambda _self, opening, now: opening.until is None or opening.since <= now < opening.until,
    )


def the_clock_of_then(patch: Patch, pair: Pair) -> None:
    dispatcher = pair.remembering.application.asgi
    again = dispatcher._again
    patch.setattr(
        dispatcher, "_again", lambda opening, *more: replace(again(opening, *more), now=opening.call.now)
    )


def no_look_at_what_it_was_asked_by(patch: Patch, _pair: Pair) -> None:
    keep = Openings.keep

    def keeps(self: Openings, asked: Asked, call: Any, *more: Any) -> None:
        asked = asked._replace(policy=call.policy, sequence=call.index.sequence)
        self._policy, self._sequence = asked.policy, asked.sequence
        keep(self, asked, call, *more)

    patch.setattr(Openings, "keep", keeps)
    never_forgets(patch, _pair)


def validators_forgotten(patch: Patch, _pair: Pair) -> None:
    keep = Openings.keep

    def keeps(self: Openings, asked: Asked, call: Any, *more: Any) -> None:
        headers = {name: value for name, value in call.request.headers.items() if name != "if-none-match"}
        keep(self, asked, replace(call, request=replace(call.request, headers=headers)), *more)

    patch.setattr(Openings, "keep", keeps)


DEFENCES: tuple[tuple[Callable[[Patch, Pair], None], Callable[[Pair], None]], ...] = (
    (never_forgets, revoked),
    (never_forgets, suspended),
    (never_forgets, catalogue_changes),
    (never_forgets, quota),
    (no_look_at_the_clock, key_ends),
    (no_look_at_the_clock, signature_ends),
    (no_look_at_the_clock, rights_too_old),
    (no_look_at_the_age, rights_too_old),
    (no_end_of_credentials, key_ends),
    (no_end_of_credentials, old_secret_ends),
    (no_end_of_credentials, signature_ends),
    (the_clock_of_then, grant_ends),
    (conditions_of_credentials_forgotten, credential_of_a_site),
    (sites_forgotten, right_of_a_site),
    (peers_forgotten, right_of_a_network),
    (peers_forgotten, portal),
    (a_header_forgotten(b"x-api-key"), other_callers),
    (a_header_forgotten(b"authorization"), other_callers),
    (a_header_forgotten(b"cookie"), other_callers),
    (a_header_forgotten(b"x-flux-gateway"), portal),
    (a_header_forgotten(b"sec_org"), portal),
    (a_header_forgotten(b"accept"), negotiation),
    (validators_forgotten, validators),
    (the_query_forgotten, other_callers),
    (portals_forgotten, portal_not_believed),
    (no_look_at_what_it_was_asked_by, changed_meanwhile),
)


@pytest.mark.parametrize(("switch_off", "scenario"), DEFENCES)
def test_each_condition_switched_off_is_noticed(
    opener: Pair, monkeypatch: Patch, switch_off: Callable[..., None], scenario: Callable[[Pair], None]
) -> None:
    switch_off(monkeypatch, opener)
    with pytest.raises(AssertionError):
        scenario(opener)


def test_areas_are_cut_for_each(opener: Pair) -> None:
    """A neighbour that an area cuts is cut as if it was asked for alone."""
    opener.change_grants("region", area=BOX)
    replies = [opener.get(beside(GRANTED, column), by_key(opener)) for column in (66053, 66052, 66051)]
    assert opener.hits == 2
    assert len({reply.body for reply in replies}) > 1
