"""Tiles that other processes draw are the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mosaics.contribution import Held
from mosaics.ingest.sandbox import Sandbox
from server.cli.context import Context
from server.cli.seed_progress import Done
from server.cli.seeding import Seeding
from server.seeding.artists import Drawn, Elsewhere, Here, Wanted
from server.seeding.plan import Plan
from server.seeding.stores import NoStore
from server.services import Made
from tests.dask_cluster import dask_cluster
from tests.server.cli.lines import fine
from tests.server.seeding.conftest import ORDER


@pytest.fixture
def seeding(own_home: Path) -> Seeding:
    context = Context(own_home)
    with Seeding(context, replace(ORDER, zooms=(16, 17)), datetime.now(UTC)) as made:
        yield made
    context.engine.dispose()


def wanted_of(seeding: Seeding) -> list[Wanted]:
    seeder = seeding._seeder(NoStore(), Here(tools=seeding._services))
    plan: Plan = seeder.plan
    looked = [seeder._looked(place) for batch in plan.batches(100) for place in batch]
    return [Wanted(each[0].tile, each[1]) for each in looked if len(each) == 2]


def data(drawn: list[Drawn]) -> list[bytes]:
    assert all(isinstance(each, Made) and each.whole for each in drawn), drawn
    return [each.tile.data for each in drawn]


def test_another_process_draws_the_same(seeding: Seeding, own_home: Path) -> None:
    here, wanted = Here(tools=seeding._services), wanted_of(seeding)
    assert len(wanted) > 5
    with Sandbox() as sandbox:
        elsewhere = seeding._elsewhere(sandbox, here)
        assert data(elsewhere.draw(wanted, bool)) == data(here.draw(wanted, bool))
        narrow = replace(elsewhere, roots=(own_home / "cache",))
        assert {type(each) for each in narrow.draw(wanted[:2], bool)} == {str}, "it opens nothing elsewhere"


def test_what_lies_in_a_store_is_drawn_here(seeding: Seeding) -> None:
    here, wanted = Here(tools=seeding._services), wanted_of(seeding)[:2]
    contribution = wanted[0].tile.contributions[0]
    scene = replace(contribution.scene, href="s3://bucket/key.tif")
    moved = replace(wanted[0].tile, contributions=(replace(contribution, source=Held(scene)),))
    with Sandbox() as sandbox:
        elsewhere: Elsewhere = seeding._elsewhere(sandbox, here)
        first, second = elsewhere.draw([Wanted(moved, wanted[0].image_format), wanted[1]], bool)
    assert isinstance(first, str), "no store is configured here"
    assert isinstance(second, Made)


def test_a_batch_that_can_not_be_drawn_fails_alone(seeding: Seeding) -> None:
    here, wanted = Here(tools=seeding._services), wanted_of(seeding)[:2]
    with Sandbox() as sandbox:
        elsewhere: Elsewhere = replace(seeding._elsewhere(sandbox, here), block_megabytes=None)
        assert all("it can't be handled" in each for each in elsewhere.draw(wanted, bool))


def test_a_cluster_fills_the_cache(own_home: Path, tmp_path: Path, seed: Callable[..., Done]) -> None:
    pytest.importorskip("distributed", reason="dask (the extra `cluster`) is not installed")
    with dask_cluster(tmp_path) as cluster:
        cluster.start(workers=1)
        line = ["seed", "granted", "--zooms", "15-19", "--json", "--scheduler", cluster.address]
        (done,) = fine(own_home, line)
    told = json.loads(done.stdout)
    assert (told["failed"], told["there"]) == (0, 0)
    again = seed(zooms=(15, 19)).tally
    assert (again.there, again.made) == (told["made"], 0)
