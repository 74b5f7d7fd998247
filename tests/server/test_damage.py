"""A file, an item or a database that goes bad fails alone, and what was good comes back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from auth.edits import revoke_key
from auth.store import SqlPolicyStore
from server.database import connect, sqlite_module
from tests.conftest import Reply, Server, Town, flux, position_pixels, serving, wait_until, write_raster
from tests.server.conftest import TILE, Asgi
from tests.server.hostile import check


def tile_of(server: Server, town: Town, layer: str) -> Reply:
    return server.get(TILE.format(layer), {"X-API-Key": town.key})


@pytest.mark.parametrize("damage", ["deleted", "cut short", "garbage", "empty", "a folder", "another image"])
def test_a_file_that_goes_bad_fails_alone_and_comes_back(
    town: Town, own_home: Path, started: Callable[..., Asgi], damage: str
) -> None:
    asgi = started(own_home)
    file = own_home / "data" / "cogs" / "granted" / "granted_20240517.tif"
    whole = file.read_bytes()
    file.unlink()
    if damage == "a folder":
        file.mkdir()
    elif damage == "another image":
        write_raster(file, position_pixels(20, 20, 1))
    elif damage != "deleted":
        bad = {"cut short": whole[: len(whole) // 3], "garbage": b"II*\0" + b"\xff" * 3000, "empty": b""}
        file.write_bytes(bad[damage])
    headers = {"X-API-Key": town.key}
    for _ in range(2):  # the failure isn't kept
        for path in (
            TILE.format("granted"),
            "/preview/granted?width=64",
            "/preview/granted?width=64&max_bytes=9000",
        ):
            reply = asgi.get(path, headers)
            assert reply.status == 502, (path, reply.status)
            assert reply.headers["retry-after"].isdigit()
            assert "etag" not in reply.headers
            assert reply.headers["cache-control"] == "no-store"
            check(Reply(0, reply.headers, reply.body), path)
        assert asgi.get(TILE.format("open"), headers).status == 200
        assert asgi.get("/layers/granted", headers).status == 200
        assert asgi.get("/health/ready").status == 200
    if file.is_dir():
        file.rmdir()
    file.write_bytes(whole)
    # it is told for up to a second to who asks for the very same, and no longer
    wait_until(lambda: asgi.get(TILE.format("granted"), headers).status == 200, seconds=10)
    back = asgi.get(TILE.format("granted"), headers)
    assert back.headers["etag"]
    assert back.body == started(own_home).get(TILE.format("granted"), headers).body


def test_a_bad_file_leaves_the_rest_of_its_mosaic_and_that_is_not_kept(
    town: Town, own_home: Path, started: Callable[..., Asgi], tmp_path: Path
) -> None:
    newer = write_raster(
        tmp_path / "newer_20240901.tif", position_pixels(700, 900, 3)[:, ::-1].copy(), photometric="RGB"
    )
    flux(own_home, "bank", str(newer), "--collection", "open")
    asgi = started(own_home)
    whole = asgi.get(TILE.format("open"))
    assert whole.status == 200
    for found in (own_home / "data" / "cogs" / "open").glob("newer*.tif"):
        kept = found.read_bytes()
        found.write_bytes(b"broken")
    again = started(own_home, tiles={"disk_cache_megabytes": 0})  # the whole one is there
    partial = again.get(TILE.format("open"))
    assert partial.status == 200
    assert partial.body != whole.body
    assert "etag" not in partial.headers
    assert partial.headers["cache-control"] == "no-store"
    found.write_bytes(kept)
    assert again.get(TILE.format("open")).body == whole.body


def edit_item(home: Path, collection: str, change: Callable[[dict[str, object]], object]) -> str:
    """Change the item of a collection's scene by hand, as no command would; give it as it was."""
    with closing(sqlite_module.connect(home / "flux.db")) as database:
        before = database.execute(
            "SELECT item FROM mosaics_scenes WHERE collection_id = ?", (collection,)
        ).fetchone()[0]
        after = change(json.loads(before))
        put_item(database, collection, after if isinstance(after, str) else json.dumps(after))
    return before


def put_item(database: Any, collection: str, item: str) -> None:
    database.execute("UPDATE mosaics_sequence SET value = value + 1")
    database.execute(
        "UPDATE mosaics_scenes SET item = ?, sequence = (SELECT value FROM mosaics_sequence)"
        " WHERE collection_id = ?",
        (item, collection),
    )
    database.execute(
        "UPDATE mosaics_summaries SET summary = NULL, sequence = (SELECT value FROM mosaics_sequence)"
        " WHERE collection_id = ?",
        (collection,),
    )
    database.commit()


def with_href(href: str) -> Callable[[dict], dict]:
    def change(item: dict) -> dict:
        item["assets"]["data"]["href"] = href
        return item

    return change


def test_an_address_outside_the_data_folders_is_not_opened(
    town: Town, own_home: Path, started: Callable[..., Asgi], tmp_path: Path
) -> None:
    outside = tmp_path / "outside.tif"
    inside = own_home / "data" / "cogs" / "granted" / "granted_20240517.tif"
    outside.write_bytes(inside.read_bytes())
    link = inside.with_name("link.tif")
    link.symlink_to(outside)
    headers = {"X-API-Key": town.key}
    for href in (
        str(outside),
        str(link),
        "cogs/granted/link.tif",
        f"{inside.parent}/../../../../outside.tif",
        "/dev/zero",
    ):
        edit_item(own_home, "granted", with_href(href))
        asgi = started(own_home)
        reply = asgi.get(TILE.format("granted"), headers)
        assert reply.status == 502, href
        check(Reply(0, reply.headers, reply.body), href)
        point = "/wmts/1.0.0/granted/default/default/WebMercatorQuad/17/47859/66052/128/128.json"
        assert asgi.get(point, headers).status == 502
        assert asgi.get(TILE.format("open"), headers).status == 200
    edit_item(own_home, "granted", with_href(str(inside)))
    assert started(own_home).get(TILE.format("granted"), headers).status == 200


@pytest.mark.parametrize(
    "change",
    [
        with_href("../../outside.tif"),
        with_href("http://127.0.0.1:1/x.tif"),
        with_href("vrt://x"),
        lambda item: {},
        lambda item: {**item, "properties": {}},
        lambda item: {**item, "geometry": None},
        lambda item: "not JSON",
        lambda item: "[]",
    ],
)
def test_a_broken_item_is_left_out_alone_and_revoking_still_holds(
    town: Town, own_home: Path, change: Callable[[dict], object], started: Callable[..., Asgi]
) -> None:
    asgi = started(own_home)
    knowledge = asgi.application.services.knowledge
    headers = {"X-API-Key": town.key}
    assert asgi.get(TILE.format("granted"), headers).status == 200
    before = edit_item(own_home, "granted", change)
    knowledge.refresh()
    assert asgi.get(TILE.format("open"), headers).status == 200
    engine = connect(None, own_home)
    now = datetime.now(UTC)
    SqlPolicyStore(engine).change(revoke_key(town.key.split("_")[2], now), actor="test", at=now)
    engine.dispose()
    knowledge.refresh()
    assert asgi.get(TILE.format("open"), headers).status == 401
    fresh = started(own_home)
    assert fresh.get(TILE.format("open")).status == 200
    with closing(sqlite_module.connect(own_home / "flux.db")) as database:
        put_item(database, "granted", before)
    knowledge.refresh()
    assert len(asgi.application.services.knowledge.index.scenes) == 3


def test_a_locked_or_broken_database_is_not_felt_by_known_keys(town: Town, own_home: Path) -> None:
    database = own_home / "flux.db"
    with serving(own_home) as server:
        assert tile_of(server, town, "granted").status == 200
        with closing(sqlite_module.connect(database, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            until = time.monotonic() + 2
            while time.monotonic() < until:
                assert tile_of(server, town, "granted").status == 200
            writer.execute("ROLLBACK")
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = database.read_bytes()
        with database.open("r+b") as file:
            file.write(b"\xff" * len(whole))
        wait_until(lambda: "not_refreshed" in server.log.read_text(), seconds=5, what=server.log.read_text)
        for _ in range(20):
            assert tile_of(server, town, "granted").status == 200
            assert tile_of(server, town, "open").status == 200
        assert server.get("/health/ready").status == 200
        assert server.get("/layers", {"X-API-Key": "flx_live_AAAAAAAA_nothing"}).status == 401
        with database.open("r+b") as file:
            file.write(whole)
        flux(own_home, "key", "revoke", town.key)
        wait_until(
            lambda: {tile_of(server, town, "granted").status for _ in range(12)} == {401},
            seconds=8,
            what=server.log.read_text,
        )
    assert not re.search(r"worker_died|request_failed", server.log.read_text())
