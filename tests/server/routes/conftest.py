"""Fixtures of administration, scenes for styles, and scenes over time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Town
from tests.server.conftest import Asgi, copy_home
from tests.server.routes.albums import Album, open_album
from tests.server.routes.galleries import Gallery, open_gallery
from tests.server.routes.offices import Office, furnish


@pytest.fixture(scope="session")
def quiet(town: Town, tmp_path_factory: pytest.TempPathFactory, started: Callable[..., Asgi]) -> Office:
    """For tests that change nothing."""
    return furnish(started(copy_home(town, tmp_path_factory.mktemp("office") / "home")), town)


@pytest.fixture
def office(own_home: Path, started: Callable[..., Asgi], town: Town) -> Office:
    return furnish(started(own_home), town)


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory, started: Callable[..., Asgi]) -> Gallery:
    """Bank scenes of four bands, of three, and of classes, once."""
    return open_gallery(tmp_path_factory.mktemp("gallery"), started)


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory, started: Callable[..., Asgi]) -> Album:
    """Bank scenes of one place on several dates, once."""
    return open_album(tmp_path_factory.mktemp("album"), started)
