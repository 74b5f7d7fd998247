"""A catalogue that is kept in pgSTAC, by its own functions and by its loader's way, and read from there."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

from mosaics.catalog.base import NewScene
from mosaics.catalog.index import CatalogIndex
from mosaics.catalog.pgstac import PgstacCatalog
from mosaics.catalog.pgstac_schema import mark_anew, prepare
from mosaics.catalog.summary import summary_of
from mosaics.errors import CatalogReadOnlyError, CatalogUnavailableError, NameTakenError
from mosaics.ingest.foreign import Completing
from mosaics.ingest.placing import Places
from mosaics.ingest.whole_items import Foreign
from mosaics.models import Collection, Text
from mosaics.mosaic import Mosaic
from mosaics.sensors import load_sensors
from mosaics.stretch import Stretch
from mosaics.styles import load_styles
from server.database import connect
from server.scenes import SceneOfItem
from tests.conftest import write_raster
from tests.items import item
from tests.postgres import Postgres

SENSORS, STYLES = load_sensors(), load_styles()


class Pgstac:
    """pgSTAC as whoever keeps the catalogue has it."""

    def __init__(self, address: str) -> None:
        self.connection = psycopg.connect(address, autocommit=True, options="-csearch_path=pgstac,public")

    def call(self, function: str, *arguments: Any) -> None:
        values = [json.dumps(each) if isinstance(each, dict | list) else each for each in arguments]
        places = ", ".join("%s::jsonb" if isinstance(each, dict | list) else "%s" for each in arguments)
        self.connection.execute(f"SELECT {function}({places})".encode(), values)

    def collection(self, id_: str = "c", **more: Any) -> None:
        self.call("upsert_collection", {"type": "Collection", "id": id_, "title": id_, **more})


@pytest.fixture
def address(postgres_server: Postgres, tmp_path: Path) -> str:
    return postgres_server.with_pgstac(tmp_path)


@pytest.fixture
def pgstac(address: str) -> Iterator[Pgstac]:
    found = Pgstac(address)
    found.collection()
    yield found
    found.connection.close()


def opened(engine: sa.Engine, home: Path) -> PgstacCatalog:
    root = (home / "data").resolve()
    places = Places(root=root, roots=(root,))
    return PgstacCatalog(
        engine, Foreign(completing=Completing(places=places, sensors=SENSORS, styles=STYLES))
    )


@pytest.fixture
def engine(address: str, pgstac: Pgstac, tmp_path: Path) -> Iterator[sa.Engine]:
    for name in ("a", "b", "x"):
        write_raster(tmp_path / "data" / "cogs" / "c" / f"{name}.tif", np.ones((3, 8, 8), "uint8"))
    found = connect(address, tmp_path)
    yield found
    found.dispose()


@pytest.fixture
def catalog(engine: sa.Engine, tmp_path: Path) -> PgstacCatalog:
    return opened(engine, tmp_path)


def foreign(id_: str = "x", **asset: Any) -> dict[str, Any]:
    """Give an item as another program writes it, of a file that lies in the data folder."""
    found = item(id_, license="not-ours")
    found["properties"] = {"datetime": "2024-05-17T10:30:00Z", "license": "etalab", "proj:code": "EPSG:2154"}
    bands = [{"name": n, "data_type": "uint8", "eo:common_name": n} for n in ("red", "green", "blue")]
    transform = [0.5, 0, 572_000, 0, -0.5, 6_280_000]
    found["assets"] = {
        "image": {
            "href": f"cogs/c/{id_}.tif",
            "type": "image/tiff; application=geotiff",
            "roles": ["data"],
            "bands": bands,
            "proj:shape": [8, 8],
            "proj:transform": transform,
            **asset,
        }
    }
    return found


def test_what_is_there_is_read(catalog: PgstacCatalog, pgstac: Pgstac) -> None:
    pgstac.call("create_item", item("a"))
    changes = catalog.changes(0)
    assert list(changes.collections) == ["c"]
    assert changes.scenes.keys == [("c", "a")]
    assert changes.scenes.records.at(0) == summary_of(item("a")).record
    again = catalog.changes(changes.sequence)
    assert again.sequence == changes.sequence
    assert again.scenes.keys == []


def test_only_what_came_later(catalog: PgstacCatalog, pgstac: Pgstac) -> None:
    pgstac.call("create_item", item("a"))
    first = catalog.changes(0).sequence
    pgstac.call("create_items", [item("b")])
    later = catalog.changes(first)
    assert later.scenes.keys == [("c", "b")]
    assert later.collections == {}
    assert sorted(catalog.changes(0).scenes.keys) == [("c", "a"), ("c", "b")]


def test_a_change_a_removal_and_what_comes_again(catalog: PgstacCatalog, pgstac: Pgstac) -> None:
    pgstac.call("create_items", [item("a"), item("b")])
    first = catalog.changes(0).sequence
    pgstac.call("upsert_item", item("a", platform="phr1a"))
    pgstac.call("delete_item", "b", "c")
    changes = catalog.changes(first)
    assert changes.scenes.keys == [("c", "a")]
    assert changes.gone == (("c", "b"),)
    pgstac.call("create_item", item("b"))
    assert catalog.changes(changes.sequence).scenes.keys == [("c", "b")]


def test_the_same_again_is_no_change(catalog: PgstacCatalog, pgstac: Pgstac) -> None:
    pgstac.call("create_item", item("a"))
    first = catalog.changes(0).sequence
    pgstac.call("update_item", item("a"))  # taken out and put again
    assert catalog.changes(first).sequence == first


def test_the_way_of_its_loader_past_the_whole_table(catalog: PgstacCatalog, pgstac: Pgstac) -> None:
    pgstac.call("create_item", item("a"))
    first = catalog.changes(0).sequence
    (part,) = pgstac.connection.execute("SELECT partition FROM partition_stats").fetchone() or ()
    pgstac.connection.execute(
        f"INSERT INTO {part} SELECT (content_dehydrate(%s::jsonb)).*".encode(), [json.dumps(item("b"))]
    )
    assert catalog.changes(first).scenes.keys == [("c", "b")]


def test_a_transaction_that_ends_later_is_not_missed(
    catalog: PgstacCatalog, pgstac: Pgstac, address: str
) -> None:
    pgstac.collection("d")  # pgSTAC itself lets one at a time write to a collection
    pgstac.call("create_items", [item("x"), item("b", "d")])
    catalog.follow_all()
    with psycopg.connect(address, options="-csearch_path=pgstac,public") as slow:
        slow.execute("SELECT upsert_item(%s::jsonb)", [json.dumps(item("a"))])
        pgstac.call("delete_item", "b", "d")
        first = catalog.changes(0)
        assert first.scenes.keys == [("c", "x")]
    assert catalog.changes(first.sequence).scenes.keys == [("c", "a")]


def test_a_collection_that_goes_takes_its_scenes(catalog: PgstacCatalog, pgstac: Pgstac) -> None:
    pgstac.collection("d")
    pgstac.call("create_items", [item("a"), item("b")])
    first = catalog.changes(0).sequence
    pgstac.call("delete_collection", "c")
    changes = catalog.changes(first)
    assert changes.collections == {"c": None}
    assert sorted(changes.gone) == [("c", "a"), ("c", "b")]
    assert list(catalog.collections()) == ["d"]


def test_what_items_have_in_common_is_part_of_each(catalog: PgstacCatalog, pgstac: Pgstac) -> None:
    common = {"data": {"roles": ["data"], "bands": item()["assets"]["data"]["bands"]}}
    pgstac.collection("c", item_assets=common)
    pgstac.call("create_item", item("a"))
    (slim,) = pgstac.connection.execute("SELECT content FROM items").fetchone() or ()
    assert "bands" not in slim["assets"]["data"]
    assert catalog.changes(0).scenes.records.at(0) == summary_of(item("a")).record
    assert dict(catalog.items()) == {("c", "a"): item("a")}


def test_the_licence_of_the_collection_is_that_of_others_items(
    catalog: PgstacCatalog, pgstac: Pgstac
) -> None:
    pgstac.call("create_items", [foreign(), item("a", license="own")])
    first = catalog.changes(0)
    licences = {key: made["properties"].get("license") for key, made in catalog.items()}
    assert licences == {("c", "a"): "own", ("c", "x"): None}
    pgstac.collection("c", **{"flux:licence": "region"})
    assert catalog.changes(first.sequence).scenes.keys == [("c", "x")]
    made = catalog.item("c", "x")
    assert made is not None
    assert made["properties"]["license"] == "region"


def test_what_is_not_understood_is_told_and_left_out_alone(
    catalog: PgstacCatalog, pgstac: Pgstac, engine: sa.Engine, tmp_path: Path
) -> None:
    outside, nameless = foreign("b", href="/etc/x.tif"), foreign("with space", href="cogs/c/x.tif")
    bandless = copy.deepcopy(foreign("bandless", href="cogs/c/a.tif"))
    del bandless["assets"]["image"]["bands"]
    late = foreign("late")
    pgstac.call("create_items", [item("a"), outside, nameless, bandless, late])
    changes = catalog.changes(0)
    assert changes.scenes.keys == [("c", "a")]
    reasons = {key[1]: str(error.__cause__) for key, error in changes.broken.items()}
    assert set(reasons) == {"b", "with space", "bandless", "late"}
    assert "data root" in reasons["b"]
    assert "name a scene" in reasons["with space"]
    assert "bands" in reasons["bandless"]
    assert "not there" in reasons["late"]
    write_raster(tmp_path / "data" / "cogs" / "c" / "late.tif", np.ones((3, 8, 8), "uint8"))
    assert catalog.changes(changes.sequence).sequence == changes.sequence
    mark_anew(engine)  # as at each start
    assert catalog.changes(changes.sequence).scenes.keys == [("c", "late")]


def test_what_happened_while_triggers_were_missing_is_found(
    catalog: PgstacCatalog, pgstac: Pgstac, engine: sa.Engine
) -> None:
    pgstac.call("create_items", [item("a"), item("b")])
    first = catalog.changes(0).sequence
    pgstac.connection.execute("ALTER TABLE items DISABLE TRIGGER USER")
    pgstac.connection.execute("DELETE FROM items WHERE id = 'a'")
    pgstac.connection.execute("ALTER TABLE items ENABLE TRIGGER USER")
    assert catalog.changes(first).gone == ()
    pgstac.connection.execute("DROP TRIGGER flux_follow_1 ON items")
    prepare(engine)
    assert catalog.changes(first).gone == (("c", "a"),)


def test_workers_make_the_same_index(
    catalog: PgstacCatalog, pgstac: Pgstac, engine: sa.Engine, tmp_path: Path
) -> None:
    make, other = SceneOfItem(root=tmp_path / "data", sensors=SENSORS), opened(engine, tmp_path)
    indices = [CatalogIndex(), CatalogIndex()]
    pgstac.call("create_items", [item("a"), foreign()])
    for step in range(3):
        for number, each in enumerate((catalog, other) if step % 2 else (other, catalog)):
            place = number if step % 2 else 1 - number
            indices[place] = indices[place].with_changes(each.changes(indices[place].sequence), make)
        if step == 0:
            pgstac.call("upsert_items", [item("a", platform="p"), item("b")])
        elif step == 1:
            pgstac.call("delete_item", "x", "c")
    assert dict(indices[0].scenes) == dict(indices[1].scenes)
    assert {key: scene.sequence for key, scene in indices[0].scenes.items()} == {
        key: scene.sequence for key, scene in indices[1].scenes.items()
    }
    assert set(indices[0].scenes) == {("c", "a"), ("c", "b")}


def test_mosaics_and_ranges_are_ours(catalog: PgstacCatalog, pgstac: Pgstac) -> None:
    text = Text(fr="m", en="m")
    mosaic = Mosaic(id="m", title=text, description=text)
    first = catalog.changes(0).sequence
    catalog.put_mosaic(mosaic)
    catalog.put_stretch("c", Stretch())
    changes = catalog.changes(first)
    assert changes.mosaics == {"m": mosaic}
    assert changes.stretches == {"c": Stretch()}
    assert catalog.mosaic("m") == mosaic
    with pytest.raises(NameTakenError):
        catalog.put_mosaic(Mosaic(id="c", title=text, description=text))
    pgstac.call("create_item", item("a"))
    catalog.follow_all()
    assert catalog.scene_count("c") == 1
    assert catalog.some_items("c", 3) == [catalog.item("c", "a")]
    assert catalog.remove_mosaic("m")


def test_scenes_and_collections_are_others(catalog: PgstacCatalog, pgstac: Pgstac) -> None:
    pgstac.call("create_item", item("a"))
    catalog.follow_all()
    text = Text(fr="t", en="t")
    new = NewScene.of(item("b"), None)
    for refused in (
        lambda: catalog.put_collection(Collection(id="c", title=text, description=text)),
        lambda: catalog.put_scene("c", item("b"), "d"),
        lambda: catalog.put_scenes([new]),
        lambda: catalog.remove_scene("c", "a"),
        lambda: catalog.remove_scenes([("c", "a")]),
    ):
        with pytest.raises(CatalogReadOnlyError, match="pgSTAC"):
            refused()
    there = catalog.collection("c")
    assert there is not None
    catalog.put_collection(there)
    assert catalog.scene_exists("c", "a")
    assert catalog.scenes_at("cogs/c/a.tif") == [("c", "a")]


def test_a_database_without_pgstac_is_told(database: str, tmp_path: Path) -> None:
    engine = connect(database, tmp_path)
    with pytest.raises(CatalogUnavailableError, match="holds no pgSTAC"):
        prepare(engine)
    engine.dispose()


def test_a_role_needs_no_more_than_to_make_triggers(
    address: str, pgstac: Pgstac, engine: sa.Engine, tmp_path: Path
) -> None:
    execute = pgstac.connection.execute
    execute("DROP FUNCTION public.mosaics_pgstac_items_changed CASCADE")
    execute("DROP FUNCTION public.mosaics_pgstac_collections_changed CASCADE")
    execute("DROP FUNCTION public.mosaics_pgstac_mark")
    execute("CREATE ROLE flux LOGIN IN ROLE pgstac_read")
    execute("GRANT ALL ON SCHEMA public TO flux")
    execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO flux")
    execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO flux")
    narrow = connect(address.replace("postgres@", "flux@") + "&options=-csearch_path%3Dpublic", tmp_path)
    try:
        with pytest.raises(CatalogUnavailableError, match="GRANT TRIGGER"):
            prepare(narrow)
        pgstac.call("create_item", item("a"))
        execute("GRANT TRIGGER ON ALL TABLES IN SCHEMA pgstac TO flux")
        prepare(narrow)
        catalog = opened(narrow, tmp_path)
        changes = catalog.changes(0)
        assert changes.scenes.keys == [("c", "a")]
        pgstac.collection("d")  # with a partition that is new
        pgstac.call("create_item", item("b", "d"))
        changes = catalog.changes(changes.sequence)
        assert changes.broken.keys() | set(changes.scenes.keys) == {("d", "b")}
    finally:
        narrow.dispose()
        execute("DROP OWNED BY flux CASCADE")
        execute("DROP ROLE flux")
        prepare(engine)
