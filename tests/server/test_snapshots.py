"""Rights and catalogue in memory: swapped whole, kept when a store is down, aged, and each on its own."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from auth.edits import add
from auth.errors import PolicyUnavailableError
from auth.memory_store import MemoryPolicyStore
from auth.models import Institution
from mosaics.catalog.memory import MemoryCatalog
from mosaics.errors import CatalogUnavailableError
from mosaics.models import Collection, Text
from mosaics.sensors import load_sensors
from server.scenes import SceneOfItem
from server.snapshots import Knowledge
from tests.conftest import Town
from tests.items import item
from tests.server.conftest import TILE, Asgi


@dataclass
class Moody:
    """A store that can be told to fail."""

    inner: Any
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        if self.error is not None:
            raise self.error
        return getattr(self.inner, name)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def rights() -> Moody:
    store = MemoryPolicyStore()
    store.change(add(Institution(id="region", name="Region")), actor="test", at=datetime.now(UTC))
    return Moody(store)


@pytest.fixture
def catalogue() -> Moody:
    catalog = MemoryCatalog()
    nothing = Text(fr="", en="")
    catalog.put_collection(Collection(id="town", title=nothing, description=nothing))
    catalog.put_scene("town", item("a", "town"), "digest-a")
    return Moody(catalog)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def knowledge(rights: Moody, catalogue: Moody, clock: Clock) -> Knowledge:
    return Knowledge(
        policy_store=rights,
        catalog=catalogue,
        scene_from=SceneOfItem(root=Path("/"), sensors=load_sensors()),
        stale_seconds=900,
        clock=clock,
    )


def test_nothing_is_known_before_the_first_look(knowledge: Knowledge) -> None:
    assert not knowledge.loaded
    for ask in (knowledge.rights, knowledge.known_rights):
        with pytest.raises(PolicyUnavailableError):
            ask()
    knowledge.refresh()
    assert knowledge.loaded
    assert "region" in knowledge.rights().institutions
    assert ("town", "a") in knowledge.index.scenes


def test_what_did_not_change_is_not_read_again(knowledge: Knowledge, rights: Moody, catalogue: Moody) -> None:
    knowledge.refresh()
    before, index = knowledge.rights(), knowledge.index
    rights.asked.clear()
    knowledge.refresh()
    assert rights.asked == ["epoch"]
    assert knowledge.rights() is before
    assert knowledge.index is index


def test_a_change_is_swapped_in_whole_and_old_snapshots_stay_as_they_were(
    knowledge: Knowledge, rights: Moody, catalogue: Moody
) -> None:
    knowledge.refresh()
    before, index = knowledge.rights(), knowledge.index
    rights.inner.change(add(Institution(id="other", name="Other")), actor="test", at=datetime.now(UTC))
    catalogue.inner.put_scene("town", item("b", "town"), "digest-b")
    assert "other" not in knowledge.rights().institutions
    knowledge.refresh()
    assert "other" in knowledge.rights().institutions
    assert "other" not in before.institutions
    assert set(knowledge.index.scenes) == {("town", "a"), ("town", "b")}
    assert set(index.scenes) == {("town", "a")}
    catalogue.inner.remove_scene("town", "a")
    knowledge.refresh()
    assert set(knowledge.index.scenes) == {("town", "b")}


@pytest.mark.parametrize(
    "error",
    [
        PolicyUnavailableError("x"),
        CatalogUnavailableError("x"),
        OSError("x"),
        RuntimeError("x"),
        KeyError("x"),
    ],
)
def test_a_store_that_is_down_changes_nothing_and_leaves_the_other_be(
    knowledge: Knowledge, rights: Moody, catalogue: Moody, error: Exception
) -> None:
    knowledge.refresh()
    rights.error = error
    catalogue.inner.put_scene("town", item("b", "town"), "digest-b")
    knowledge.refresh()
    assert "region" in knowledge.rights().institutions
    assert ("town", "b") in knowledge.index.scenes
    rights.error, catalogue.error = None, error
    rights.inner.change(add(Institution(id="other", name="Other")), actor="test", at=datetime.now(UTC))
    catalogue.inner.put_scene("town", item("c", "town"), "digest-c")
    knowledge.refresh()
    assert "other" in knowledge.rights().institutions
    assert ("town", "c") not in knowledge.index.scenes
    catalogue.error = None
    knowledge.refresh()
    assert ("town", "c") in knowledge.index.scenes


def test_rights_that_could_not_be_read_for_long_open_nothing_to_keys(
    knowledge: Knowledge, rights: Moody, clock: Clock
) -> None:
    knowledge.refresh()
    rights.error = PolicyUnavailableError("down")
    clock.now += 899
    knowledge.refresh()
    knowledge.rights()
    clock.now += 2
    knowledge.refresh()
    with pytest.raises(PolicyUnavailableError):
        knowledge.rights()
    assert knowledge.known_rights()
    rights.error = None
    knowledge.refresh()
    knowledge.rights()


def test_a_broken_item_is_left_out_alone_and_comes_back(knowledge: Knowledge, catalogue: Moody) -> None:
    catalogue.inner.put_scene("town", {"id": "b"}, "digest-b")
    knowledge.refresh()
    assert set(knowledge.index.scenes) == {("town", "a")}
    assert len(knowledge.index.newest_first("town")) == 1
    catalogue.inner.put_scene("town", item("b", "town"), "digest-b")
    knowledge.refresh()
    assert set(knowledge.index.scenes) == {("town", "a"), ("town", "b")}
    catalogue.inner.put_scene("town", {"id": "a"}, "digest-a")
    knowledge.refresh()
    assert set(knowledge.index.scenes) == {("town", "b")}


def test_with_old_rights_only_what_is_public_goes_on(
    town: Town, own_home: Path, started: Callable[..., Asgi]
) -> None:
    asgi = started(own_home, auth={"stale_seconds": 900.0})
    tile = TILE.format("open")
    asgi.application.services.knowledge.policy_at -= 10_000
    basic = "Basic " + base64.b64encode(f"me:{town.key}".encode()).decode()
    for headers in ({"X-API-Key": town.key}, {"Authorization": basic}):
        for path in (tile, "/layers", TILE.format("granted"), "/metrics", "/"):
            refused = asgi.get(path, headers)
            assert (refused.status, refused.headers["retry-after"]) == (503, "5"), path
            assert refused.headers["cache-control"] == "no-store"
    assert asgi.get(tile).status == 200
    assert asgi.get(f"/public{tile}", {"X-API-Key": town.key}).status == 200
    assert asgi.get(TILE.format("granted")).status == 401
    assert asgi.get("/layers").status == 200
    assert asgi.get("/health/live", {"X-API-Key": town.key}).status == 200
    asgi.application.services.knowledge.refresh()
    assert asgi.get(tile, {"X-API-Key": town.key}).status == 200


def test_a_server_that_never_saw_its_rights_is_alive_but_not_ready(
    town: Town, own_home: Path, started: Callable[..., Asgi]
) -> None:
    asgi = started(own_home)
    knowledge = asgi.application.services.knowledge
    knowledge.policy = None
    assert asgi.get("/health/live").status == 200
    assert asgi.get("/health/ready").status == 503
    for path in (TILE.format("open"), "/layers", "/public/layers", "/wmts", "/"):
        assert asgi.get(path).status == 503, path
    knowledge.refresh()
    assert asgi.get("/health/ready").status == 200
