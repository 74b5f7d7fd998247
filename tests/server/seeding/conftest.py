"""Seeds in this process, as the command line orders it."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server.cli.context import Context
from server.cli.seed_order import Order
from server.cli.seed_progress import Done
from server.cli.seeding import Seeding
from tests.server.seeding.test_journal import longest_file

ORDER = Order(
    layer_id="granted",
    bbox=None,
    area=None,
    zooms=(14, 18),
    grid_id="WebMercatorQuad",
    style=None,
    time=None,
    image_format="auto",
    institution=None,
    key_id=None,
    everything=False,
    output=None,
    incomplete=False,
    jobs=2,
    scheduler=None,
    bounded=True,
)


def seeded(home: Path, *, room: int = resource.RLIM_INFINITY, **ordered: Any) -> Done:
    """Seed, and tell what came of it; files may not grow beyond `room` bytes."""
    context = Context(home)
    try:
        assert context.index.sequence, "it is read before room gets scarce"
        with longest_file(room), Seeding(context, replace(ORDER, **ordered), datetime.now(UTC)) as seeding:
            return seeding.run(quiet=True)
    finally:
        context.engine.dispose()


@pytest.fixture
def seed(own_home: Path) -> Callable[..., Done]:
    """Give what seeds the town's copy."""
    return lambda **ordered: seeded(own_home, **ordered)
