"""What every catalogue store must do."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from mosaics.catalog.base import Catalog, Changes, NewScene
from mosaics.catalog.index import CatalogIndex
from mosaics.catalog.memory import MemoryCatalog
from mosaics.catalog.migrate import HEAD, VERSION_TABLE, migrate
from mosaics.catalog.sql import SqlCatalog
from mosaics.catalog.summary import Summary, summary_of
from mosaics.errors import NameTakenError, SceneUnreadableError
from mosaics.models import Collection, Text
from mosaics.mosaic import Mosaic, Order
from mosaics.sensors import load_sensors
from server.database import connect
from server.scenes import SceneOfItem
from tests.items import item

FIRST_TABLES = {"mosaics_collections", "mosaics_scenes", "mosaics_sequence", VERSION_TABLE}
"""Of the first version."""
MAKE = SceneOfItem(root=Path("/"), sensors=load_sensors())


def _sqlite(folder: Path) -> SqlCatalog:
    engine = connect(None, folder)
    migrate(engine)
    return SqlCatalog(engine)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    if request.param == "memory":
        yield MemoryCatalog()
    elif request.param == "sqlite":
        yield _sqlite(tmp_path)
    else:
        database = request.getfixturevalue("database")
        engine = connect(database, tmp_path)
        yield SqlCatalog(engine)
        engine.dispose()


def collection(id_: str = "c", title: str = "t") -> Collection:
    return Collection(id=id_, title=Text(fr=title, en=title), description=Text(fr="", en=""))


def written(changes: Changes) -> dict[Any, Any]:
    """Give sequence and record of what is new."""
    columns = changes.scenes
    there = zip(columns.keys, columns.sequences.tolist(), columns.records.all(), strict=True)
    return {key: (sequence, record) for key, sequence, record in there}


def test_everything_since_the_beginning(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    sequence = catalog.put_scene("c", item("a"), "d1")
    changes = catalog.changes(0)
    assert changes.sequence == sequence
    assert changes.collections == {"c": collection()}
    assert written(changes) == {("c", "a"): (sequence, summary_of(item("a")).record)}


def test_only_what_came_later(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    first = catalog.put_scene("c", item("a"), "d1")
    second = catalog.put_scene("c", item("b"), "d2")
    assert second > first
    assert catalog.changes(first).scenes.keys == [("c", "b")]
    assert catalog.changes(second).scenes.keys == []
    assert catalog.changes(second).sequence == second


def test_a_replaced_scene_is_a_change(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    first = catalog.put_scene("c", item("a"), "d1")
    second = catalog.put_scene("c", item("a", license="été"), "d2")
    changed = {("c", "a"): (second, summary_of(item("a", license="été")).record)}
    assert written(catalog.changes(first)) == changed
    assert catalog.find_by_digest("d1") is None
    assert catalog.find_by_digest("d2") == ("c", "a")


def test_a_broken_item_is_told_and_left_out_alone(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    catalog.put_scene("c", item("a"), "d1")
    catalog.put_scene("c", {"id": "broken"}, "d2")
    for since in (0, 1):
        changes = catalog.changes(since)
        assert changes.scenes.keys == [("c", "a")]
        assert set(changes.broken) == {("c", "broken")}
    catalog.remove_scene("c", "broken")
    assert catalog.changes(1).broken == {}
    assert catalog.changes(0).scenes.keys == [("c", "a")]


def test_all_that_there_is(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    catalog.put_scene("c", item("a"), "d1")
    catalog.put_scene("c", item("b"), "d2")
    catalog.remove_scene("c", "a")
    assert dict(catalog.items()) == {("c", "b"): item("b")}
    assert catalog.collections() == {"c": collection()}


def test_the_item_of_a_scene(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    assert catalog.item("c", "a") is None
    catalog.put_scene("c", item("a"), "d1")
    assert catalog.item("c", "a") == item("a")
    assert catalog.item("d", "a") is None
    catalog.put_scene("c", item("a", license="été"), "d1")
    assert catalog.item("c", "a") == item("a", license="été")
    catalog.remove_scene("c", "a")
    assert catalog.item("c", "a") is None


def test_some_items_are_evenly_chosen(catalog: Catalog) -> None:
    for id_ in ("c", "d"):
        catalog.put_collection(collection(id_))
    for number in range(7):
        catalog.put_scene("c", item(f"s{number}"), f"c{number}")
    catalog.put_scene("d", item("s0", "d"), "d0")
    catalog.remove_scene("c", "s6")
    assert [each["id"] for each in catalog.some_items("c", 3)] == ["s0", "s2", "s5"]
    assert catalog.some_items("c", 10) == [item(f"s{number}") for number in range(6)]
    assert catalog.some_items("nothing", 3) == []


def test_the_scenes_at_an_address(catalog: Catalog) -> None:
    def at(id_: str, href: str) -> dict[str, Any]:
        made = item(id_)
        made["assets"]["data"] |= {"href": href, "flux:etag": "e"}
        made["assets"]["thumbnail"] = {"href": "s3://b/other.tif"}
        return made

    catalog.put_collection(collection())
    for number, href in enumerate(("s3://b/a_1.tif", "s3://b/a_1.tif", "s3://b/ab1.tif", "cogs/a_1.tif")):
        catalog.put_scene("c", at(f"s{number}", href), f"d{number}")
    catalog.put_scene("c", {"id": "bare"}, "d9")
    assert sorted(catalog.scenes_at("s3://b/a_1.tif")) == [("c", "s0"), ("c", "s1")]
    assert catalog.scenes_at("s3://b/other.tif") == []
    catalog.remove_scene("c", "s0")
    assert catalog.scenes_at("s3://b/a_1.tif") == [("c", "s1")]


def test_a_removed_scene_is_told_to_those_who_knew_it(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    known = catalog.put_scene("c", item("a"), "d1")
    assert catalog.remove_scene("c", "a")
    assert not catalog.remove_scene("c", "a")
    assert catalog.changes(known).gone == (("c", "a"),)
    assert catalog.changes(known).scenes.keys == []
    assert (catalog.changes(0).gone, catalog.changes(0).scenes.keys) == ((), [])
    assert not catalog.scene_exists("c", "a")
    assert catalog.find_by_digest("d1") is None
    catalog.put_scene("c", item("a"), "d1")
    assert catalog.scene_exists("c", "a")


def new(id_: str, digest: str | None = None, **properties: Any) -> NewScene:
    return NewScene.of(item(id_, **properties), digest)


def statuses(catalog: Catalog, *scenes: NewScene) -> list[str]:
    return [put.status for put in catalog.put_scenes(scenes)]


def test_many_scenes_at_once_have_a_sequence_each(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    before = catalog.changes(0).sequence
    assert statuses(catalog, *(new(f"s{n}", f"d{n}") for n in range(1201))) == ["added"] * 1201
    changes = catalog.changes(before)
    found = sorted(written(changes).items(), key=lambda each: each[1][0])
    assert [key for key, _ in found] == [("c", f"s{n}") for n in range(1201)]
    assert len({sequence for _, (sequence, _) in found}) == 1201
    assert changes.sequence == found[-1][1][0]
    assert found[7][1][1] == summary_of(item("s7")).record
    assert catalog.find_by_digest("d1200") == ("c", "s1200")
    assert catalog.put_scene("c", item("z"), "dz") > changes.sequence


def test_of_many_only_what_is_other_is_written(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    statuses(catalog, new("a", "d1"), new("b", "d2"), new("c", "d3"))
    known = catalog.changes(0).sequence
    again = [new("a", "d1"), new("b", "d2", license="été"), new("c", "d3")]
    assert statuses(catalog, *again) == ["unchanged", "replaced", "unchanged"]
    assert catalog.changes(known).scenes.keys == [("c", "b")]
    known = catalog.changes(0).sequence
    assert statuses(catalog, *again) == ["unchanged"] * 3
    assert catalog.changes(0).sequence == known
    assert catalog.item("c", "b") == item("b", license="été")


def test_of_many_what_cannot_be_is_left_out_alone(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    broken = NewScene.of({"id": "x", "collection": "c"}, None)
    puts = catalog.put_scenes([new("a", "d1"), broken, new("b", "d1"), new("c"), new("d"), new("c", gsd=1)])
    assert [put.status for put in puts] == ["added", "broken", "taken", "added", "added", "replaced"]
    assert puts[2].holder == ("c", "a")
    assert puts[1].error is not None
    assert sorted(catalog.changes(0).scenes.keys) == [("c", "a"), ("c", "c"), ("c", "d")]
    assert catalog.changes(0).broken == {}
    assert catalog.item("c", "c") == item("c", gsd=1)
    with pytest.raises(KeyError):
        catalog.put_scenes([NewScene.of(item("n", "nowhere"), None)])
    assert statuses(catalog, new("a", "d1"), new("b", "d1")) == ["unchanged", "taken"]


def test_many_are_taken_out_and_come_again(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    names = [f"s{n}" for n in range(700)]
    statuses(catalog, *(new(name, name) for name in names))
    known = catalog.changes(0).sequence
    keys = [("c", name) for name in names[1:]]
    assert catalog.remove_scenes([*keys, keys[0], ("c", "nothing"), ("d", "s0")]) == 699
    assert catalog.remove_scenes(keys) == 0
    assert sorted(catalog.changes(known).gone) == sorted(keys)
    assert catalog.changes(0).scenes.keys == [("c", "s0")]
    assert catalog.find_by_digest("s1") is None
    assert statuses(catalog, new("s0", "s0"), new("s1", "s1")) == ["unchanged", "added"]


def test_others_write_while_many_are_looked_at(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    seen = []

    def look(summaries: Sequence[Summary]) -> list[SceneUnreadableError | None]:
        names = [str(summary.words[0]) for summary in summaries]
        for name in names:
            seen.append(name)
            catalog.put_scene("c", item(f"other-{name}"), f"other-{name}")
        return [SceneUnreadableError("b") if name == "b" else None for name in names]

    puts = catalog.put_scenes([new("a"), new("b")], look)
    assert [put.status for put in puts] == ["added", "broken"]
    assert seen == ["a", "b"]
    assert sorted(catalog.changes(0).scenes.keys) == [("c", "a"), ("c", "other-a"), ("c", "other-b")]


def test_an_equal_collection_again_changes_nothing(catalog: Catalog) -> None:
    catalog.put_collection(collection())
    before = catalog.changes(0).sequence
    catalog.put_collection(collection())
    assert catalog.changes(0).sequence == before
    catalog.put_collection(collection(title="u"))
    assert catalog.collection("c") == collection(title="u")
    assert set(catalog.changes(before).collections) == {"c"}


def test_a_scene_needs_its_collection(catalog: Catalog) -> None:
    with pytest.raises(KeyError):
        catalog.put_scene("nowhere", item("a"), "d1")
    assert catalog.changes(0).scenes.keys == []


def mosaic(id_: str = "m", title: str = "t", **more: Any) -> Mosaic:
    return Mosaic(id=id_, title=Text(fr=title, en="été"), description=Text(fr="", en=""), **more)


WHERE = {"op": "=", "args": [{"property": "collection"}, "c"]}


def test_a_named_mosaic_is_kept_whole(catalog: Catalog) -> None:
    assert catalog.mosaic("m") is None
    put = mosaic(where=WHERE, order=Order(rule="finest"), pixel_selection="mean", styles=("natural",))
    catalog.put_mosaic(put)
    assert catalog.mosaic("m") == put
    assert catalog.changes(0).mosaics == {"m": put}
    assert catalog.changes(0).collections == {}


def test_an_equal_mosaic_again_changes_nothing(catalog: Catalog) -> None:
    catalog.put_mosaic(mosaic())
    before = catalog.changes(0).sequence
    catalog.put_mosaic(mosaic())
    assert catalog.changes(0).sequence == before
    catalog.put_mosaic(mosaic(title="u"))
    assert catalog.changes(before).mosaics == {"m": mosaic(title="u")}


def test_a_removed_mosaic_is_told_to_those_who_knew_it(catalog: Catalog) -> None:
    catalog.put_mosaic(mosaic())
    known = catalog.changes(0).sequence
    assert catalog.remove_mosaic("m")
    assert not catalog.remove_mosaic("m")
    assert catalog.mosaic("m") is None
    assert catalog.changes(known).mosaics == {"m": None}
    assert catalog.changes(0).mosaics == {}
    catalog.put_mosaic(mosaic())
    assert catalog.mosaic("m") == mosaic()


def test_collections_and_mosaics_share_their_ids(catalog: Catalog) -> None:
    catalog.put_collection(collection("c"))
    catalog.put_mosaic(mosaic("m"))
    with pytest.raises(NameTakenError, match="'c' is the id of a collection"):
        catalog.put_mosaic(mosaic("c"))
    with pytest.raises(NameTakenError, match="'m' is the id of a mosaic"):
        catalog.put_collection(collection("m"))
    assert set(catalog.changes(0).mosaics) == {"m"}
    assert set(catalog.changes(0).collections) == {"c"}
    catalog.remove_mosaic("m")
    catalog.put_collection(collection("m"))


def test_a_check_sees_what_is_there_and_can_end_the_change(catalog: Catalog) -> None:
    seen: list[Mosaic | None] = []

    def refuse(held: Mosaic | None) -> None:
        seen.append(held)
        raise LookupError

    with pytest.raises(LookupError):
        catalog.put_mosaic(mosaic(), refuse)
    catalog.put_mosaic(mosaic())
    for change in (
        lambda: catalog.put_mosaic(mosaic(title="u"), refuse),
        lambda: catalog.put_mosaic(mosaic(), refuse),
    ):
        with pytest.raises(LookupError):
            change()
    with pytest.raises(LookupError):
        catalog.remove_mosaic("m", refuse)
    assert seen == [None, mosaic(), mosaic(), mosaic()]
    assert catalog.mosaic("m") == mosaic()


def test_the_index_knows_the_mosaics(catalog: Catalog) -> None:
    catalog.put_mosaic(mosaic("a"))
    catalog.put_mosaic(mosaic("b"))
    index = CatalogIndex().with_changes(catalog.changes(0), MAKE)
    assert index.mosaics == {"a": mosaic("a"), "b": mosaic("b")}
    catalog.remove_mosaic("a")
    catalog.put_mosaic(mosaic("b", title="u"))
    index = index.with_changes(catalog.changes(index.sequence), MAKE)
    assert index.mosaics == {"b": mosaic("b", title="u")}


def test_a_mosaic_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    engine = connect(None, tmp_path)
    migrate(engine)
    store = SqlCatalog(engine)
    for name in "abc":
        store.put_mosaic(mosaic(name))
    with engine.begin() as connection:
        for name, text in (("a", "{"), ("b", '{"id": "b", "new": 1}')):
            connection.exec_driver_sql("UPDATE mosaics_mosaics SET document = ? WHERE id = ?", (text, name))
    assert store.changes(0).mosaics == {"a": None, "b": None, "c": mosaic("c")}
    assert store.mosaic("a") is None
    store.put_mosaic(mosaic("a"))
    assert store.mosaic("a") == mosaic("a")


def test_a_home_of_the_first_version_is_upgraded(tmp_path: Path) -> None:
    engine = connect(None, tmp_path)
    migrate(engine)
    store = SqlCatalog(engine)
    store.put_collection(collection())
    for name in "abc":
        store.put_scene("c", item(name), name)
    store.put_scene("c", {"id": "broken"}, "d")
    store.remove_scene("c", "b")
    before = store.changes(0)
    with engine.begin() as connection:
        for table in set(sa.inspect(connection).get_table_names()) - FIRST_TABLES:
            connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.exec_driver_sql("UPDATE mosaics_version SET version_num = '0001'")
    assert migrate(engine)
    store.put_mosaic(mosaic())
    assert store.mosaic("m") == mosaic()
    after = store.changes(0)
    assert after.scenes.keys == before.scenes.keys == [("c", "a"), ("c", "c")]
    assert after.scenes.tokens.tolist() == before.scenes.tokens.tolist()
    assert set(after.broken) == {("c", "broken")}
    assert set(store.changes(before.sequence - 1).gone) >= {("c", "b")}


def test_writers_at_once_lose_nothing(catalog: Catalog, request: pytest.FixtureRequest) -> None:
    if isinstance(catalog, MemoryCatalog):
        pytest.skip("the memory twin is for one thread")
    catalog.put_collection(collection())
    errors: list[Exception] = []

    def write(name: str) -> None:
        try:
            for n in range(0, 20, 5):
                catalog.put_scene("c", item(f"{name}{n}"), f"{name}{n}")
                catalog.put_scenes([new(f"{name}{m}", f"{name}{m}") for m in range(n + 1, n + 5)])
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(set(catalog.changes(0).scenes.sequences.tolist())) == 60


def test_migrating_again_does_nothing(tmp_path: Path) -> None:
    engine = connect(None, tmp_path)
    assert migrate(engine)
    assert not migrate(engine)


def test_head_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", "mosaics:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_overviews_are_changes_like_others(catalog: Catalog) -> None:
    first = catalog.put_overview("c", "2024", {"a": 1})
    second = catalog.put_overview("c", "2025", {"é": [2]})
    catalog.put_overview("m", "2024", {})
    assert catalog.overviews("c") == {"2024": {"a": 1}, "2025": {"é": [2]}}
    changes = catalog.changes(first)
    assert changes.overviews.keys() == {("c", "2025"), ("m", "2024")}
    assert changes.overviews["c", "2025"] == (second, {"é": [2]})
    third = catalog.put_overview("c", "2024", {"a": 3})
    assert catalog.changes(second).overviews["c", "2024"] == (third, {"a": 3})
    assert catalog.remove_overview("c", "2024")
    assert not catalog.remove_overview("c", "2024")
    changes = catalog.changes(third)
    assert [(key, document) for key, (_, document) in changes.overviews.items()] == [(("c", "2024"), None)]
    assert catalog.changes(0).overviews.keys() == {("c", "2025"), ("m", "2024")}
    assert catalog.overviews("c") == {"2025": {"é": [2]}}
