"""How much is remembered, and what never is."""

from __future__ import annotations

from dataclasses import replace

import server.hits
from mosaics.filters import SceneFilter, SceneRule, SceneSet
from mosaics.models import Bounds, Frame
from mosaics.resolve import ResolvedTile
from server.dispatcher import Dispatcher
from server.resolutions import Resolutions, Resolved
from tests.server.hits.pair import GRANTED, OPEN, Pair, by_key


def test_it_is_bounded_in_answers_and_in_bytes_of_different_bodies(pair: Pair) -> None:
    memo = pair.memo
    for number in range(20):
        pair.get(f"{OPEN}?n={number}")
    (tile,) = {hit.body for hit in memo._hits.values()}
    assert memo.size_bytes == 20 * server.hits._OVERHEAD + len(tile), "a body is counted once"
    assert len({id(hit.body) for hit in memo._hits.values()}) == 1, "and held once, as the cache holds it"
    memo.most = 5
    pair.get(f"{OPEN}?n=20")
    assert len(memo._hits) == 5
    pair.get(f"{OPEN}?n=17")
    pair.get(f"{OPEN}?n=21")
    pair.get(f"{OPEN}?n=22")
    before = pair.hits
    pair.get(f"{OPEN}?n=17")
    assert pair.hits == before + 1, "the one that was asked last stays"
    memo.most_bytes = 3 * server.hits._OVERHEAD + len(tile)
    pair.get(f"{OPEN}?n=23")
    assert len(memo._hits) == 3
    memo.most_bytes = server.hits._OVERHEAD
    pair.get(f"{OPEN}?n=24")
    assert (len(memo._hits), memo.size_bytes, memo._holders) == (0, 0, {})


def test_no_secret_is_kept(pair: Pair) -> None:
    pair.warm(GRANTED, by_key(pair))
    kept = repr(list(pair.memo._hits.items()))
    assert pair.town.key[18:] not in kept


def test_a_request_that_could_be_read_in_two_ways_is_not_remembered(pair: Pair) -> None:
    scope = {
        "method": "GET",
        "scheme": "http",
        "raw_path": OPEN.encode(),
        "query_string": b"",
        "client": None,
    }
    assert pair.memo._name({**scope, "headers": [(b"a", b"b")]}) is not None
    assert pair.memo._name({**scope, "headers": [(b"a", b"b\nc")]}) is None
    assert isinstance(pair.remembering.application.asgi, Dispatcher)


def test_what_metered_rights_resolve_to_is_not_shared(pair: Pair) -> None:
    services = pair.plain.application.services
    rule = SceneRule(scenes=SceneSet())
    plain, metered = SceneFilter((rule,)), SceneFilter((replace(rule, metered=True, label="g"),))
    assert plain.digest == metered.digest
    layer = services.decisions.layer(services.knowledge.index, "open", plain)
    frame = Frame(crs="EPSG:3857", bounds=Bounds(0, 0, 1, 1), width=256, height=256)
    known, value = Resolutions(), Resolved(ResolvedTile(frame=frame, contributions=()), "key")
    known.put(layer, plain, "tile", value)
    assert known.get(layer, plain, "tile") is value
    assert known.get(layer, plain, "other tile") is None
    assert known.get(replace(layer), plain, "tile") is None, "another layer, however equal"
    assert known.get(layer, metered, "tile") is None
    known.put(layer, metered, "third", value)
    assert known.get(layer, plain, "third") is None
