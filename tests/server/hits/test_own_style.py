"""A remembered answer, or meaning, is of the very style that was asked for."""

from __future__ import annotations

from tests.server.hits.pair import OPEN, Pair

OTHERS = ("", "?rescale=0,200", "?rescale=0,100", "?gamma=2", "?bands=2&rescale=0,100", "?bands=2&gamma=2")


def test_what_is_remembered_is_of_the_very_same_style(either: Pair) -> None:
    """Each is asked twice, and beside it: a remembered answer or meaning must never be another style's."""
    bodies = {query: either.get(OPEN + query).body for query in OTHERS}
    assert len(set(bodies.values())) == len(OTHERS)
    for query in OTHERS:
        assert either.get(OPEN + query).body == bodies[query]
        beside = either.get(OPEN.replace("66052", "66053") + query).body
        assert beside not in bodies.values()
    assert len({either.get(OPEN.replace("66052", "66053") + query).body for query in OTHERS}) == len(OTHERS)
