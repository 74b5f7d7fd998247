"""What the tests of remembered answers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Town
from tests.server.conftest import Asgi, copy_home
from tests.server.hits.pair import SECRET, Pair


@pytest.fixture
def pair(town: Town, tmp_path: Path, started: Callable[..., Asgi]) -> Pair:
    """Give one application that remembers whole answers, and what requests mean, and one that does not."""
    settings: dict[str, Any] = {
        "gateway": {"networks": ["127.0.0.1"], "secret": SECRET},
        "auth": {"stale_seconds": 900.0},  # which the scenarios pass
    }
    one = started(copy_home(town, tmp_path / "one"), **settings)
    other = started(copy_home(town, tmp_path / "other"), **settings, tiles={"memo_entries": 0})
    assert other.application.asgi._hits is None
    return Pair(one, other, town)


@pytest.fixture
def opener(pair: Pair) -> Pair:
    """Give one that remembers what requests mean, and no answer."""
    pair.memo.most_bytes = 0
    return pair


@pytest.fixture(params=["pair", "opener"])
def either(request: pytest.FixtureRequest) -> Pair:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Pair)
    return found
