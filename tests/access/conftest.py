"""What the tests of access share; and assertions outside of test modules tell what they compared, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.access.leak_world import World, bank_scenes
from tests.server.conftest import Asgi, started

__all__ = ["started"]

pytest.register_assert_rewrite(
    *(f"tests.access.leak_{part}" for part in ("oracle", "pictures", "numbers", "told", "asking"))
)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bank_scenes(tmp_path_factory.mktemp("leak"))


@pytest.fixture
def world(home: Path, started: Callable[..., Asgi]) -> World:
    """A server of its own: what a test with a defence switched off has cached must not be found by others."""
    return World(started(home))
