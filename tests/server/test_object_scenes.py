"""Scenes in an S3 store from the command line to the tile: as a file of this machine, and no further."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from server.database import sqlite_module
from tests.conftest import position_pixels, serving, wait_until, write_raster
from tests.object_store import BUCKET, KEY, SECRET, Gate, Store
from tests.server.conftest import TILE, Asgi, Done, run_all

COG = {"driver": "COG", "blocksize": 128}


def environment(url: str, root: str, **more: str) -> dict[str, str]:
    return {
        "FLUX_DATA_ROOTS": root,
        "FLUX_S3__ENDPOINT": url,
        "FLUX_S3__ACCESS_KEY": KEY,
        "FLUX_S3__SECRET_KEY": SECRET,
        "FLUX_S3__TIMEOUT_SECONDS": "3",
        **more,
    }


def item(home: Path, collection: str, scene: str) -> dict:
    with closing(sqlite_module.connect(home / "flux.db")) as database:
        found = database.execute(
            "SELECT item FROM mosaics_scenes WHERE collection_id = ? AND id = ?", (collection, scene)
        ).fetchone()
    return json.loads(found[0])


@dataclass
class Town:
    home: Path
    cog: Path
    store: Store
    banked: list[Done]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Town:
    """Bank a COG on disk, and another of the same pixels in the store."""
    folder = tmp_path_factory.mktemp("objects")
    home = folder / "home"
    here = write_raster(folder / "root" / "here_20240517.tif", position_pixels(700, 900), **COG)
    there = write_raster(
        folder / "there_20240517.tif", position_pixels(700, 900), **COG, tags={"IMAGEDESCRIPTION": "there"}
    )
    lerc = write_raster(
        folder / "lerc_20240517.tif", position_pixels(700, 900)[:1], **COG, compress="lerc", max_z_error=0
    )
    store.put("town/there_20240517.tif", there)
    store.put("town/lerc_20240517.tif", lerc)
    store.put("elsewhere/there_20240517.tif", there)
    roots = environment(store.url, f"{here.parent}:s3://{BUCKET}/town/")
    banked = run_all(
        home,
        ["bank", str(here), "--collection", "here", "--public"],
        ["bank", f"s3://{BUCKET}/town/there_20240517.tif", "--collection", "there", "--public", "--json"],
        ["bank", f"s3://{BUCKET}/town/lerc_20240517.tif", "--collection", "lerc", "--public"],
        environments=[roots] * 3,
    )
    return Town(home, there, store, banked)


@pytest.fixture
def asgi(town: Town, gate: Gate, started: Callable[..., Asgi]) -> Asgi:
    """Give the application, which asks the store through the gate and keeps no tile."""
    return started(
        town.home,
        data_roots=[str(town.cog.parent / "root"), f"s3://{BUCKET}/town/"],
        s3={"endpoint": gate.url, "access_key": KEY, "secret_key": SECRET, "timeout_seconds": 3},
        tiles={"cache_megabytes": 0, "memo_entries": 0, "disk_cache_megabytes": 0},
    )


def test_a_good_cog_is_banked_where_it_lies(town: Town) -> None:
    assert [done.status for done in town.banked] == [0, 0, 0], town.banked
    (row,) = json.loads(town.banked[1].stdout)
    assert row["path"] == f"s3://{BUCKET}/town/there_20240517.tif"
    assert (row["status"], row["in_place"], row["layer"]) == ("banked", True, "there:there_20240517")
    asset = item(town.home, "there", "there_20240517")["assets"]["data"]
    assert asset["href"] == row["path"]
    assert asset["file:size"] == town.cog.stat().st_size
    assert asset["flux:etag"].startswith('"')
    assert item(town.home, "there", "there_20240517")["properties"]["datetime"].startswith("2024-05-17")
    assert (town.home / "data" / "quicklooks" / "there" / "there_20240517.webp").is_file()
    assert not (town.home / "data" / "cogs").exists()
    assert not list((town.home / "data").glob(".banking-*"))


def test_its_tiles_are_those_of_the_file_on_disk(asgi: Asgi, gate: Gate) -> None:
    for tile in (TILE, TILE.replace("17/66052/47859", "15/16513/11964"), TILE.replace(".png", "@2x.webp")):
        there, here = asgi.get(tile.format("there")), asgi.get(tile.format("here"))
        assert there.status == here.status == 200
        assert there.body == here.body
    assert asgi.get(TILE.format("lerc")).status == 200, "by the reference"
    assert {request.headers["authorization"].split("/")[0] for request in gate.requests} == {
        f"AWS4-HMAC-SHA256 Credential={KEY}"
    }
    assert {request.method for request in gate.requests} == {"GET"}
    there, here = (asgi.get(f"/point/{layer}/1.4168,43.6153") for layer in ("there", "here"))
    assert (there.status, there.json["values"]) == (200, here.json["values"])


def test_a_running_server_gives_the_same_tiles(town: Town, gate: Gate) -> None:
    """Over HTTP, with forked workers."""
    roots = environment(gate.url, f"{town.cog.parent / 'root'}:s3://{BUCKET}/town/")
    with serving(town.home, workers=2, **roots) as server:
        for _ in range(4):
            there = server.get(TILE.format("there"))
            assert there.status == 200
            assert there.body == server.get(TILE.format("here")).body
        assert gate.asked()


@pytest.mark.parametrize("fault", [403, 404, 503, "cut", "short", "stall"])
def test_a_store_that_fails_is_502_and_others_go_on(asgi: Asgi, gate: Gate, fault: object) -> None:
    gate.fault = lambda _: fault
    for layer in ("there", "lerc"):
        failed = asgi.get(TILE.format(layer))
        assert failed.status == 502
        assert failed.headers["cache-control"] == "no-store"
        for word in (BUCKET, "127.0.0.1", "s3", "tif", KEY):
            assert word not in failed.body.decode()
    assert asgi.get(TILE.format("here")).status == 200
    gate.fault = lambda _: None
    # a store that was silent is asked again after some seconds, a tile that failed after one
    asgi.application.services.reader.files.objects._silent_until = 0.0
    wait_until(lambda: asgi.get(TILE.format("there")).status == 200, seconds=20)


def test_nothing_outside_the_prefix_is_asked_for(
    town: Town, gate: Gate, started: Callable[..., Asgi]
) -> None:
    narrowed = started(
        town.home,
        data_roots=[f"s3://{BUCKET}/tow/", f"s3://{BUCKET}/town/there"],
        s3={"endpoint": gate.url},
        tiles={"disk_cache_megabytes": 0},
    )
    assert narrowed.get(TILE.format("there")).status == 502
    assert gate.asked() == []


def test_what_is_not_banked_from_the_store_is_told(town: Town, gate: Gate, tmp_path: Path) -> None:
    home = tmp_path / "home"
    roots = environment(gate.url, f"s3://{BUCKET}/town/")
    lines = {
        f"s3://{BUCKET}/elsewhere/there_20240517.tif": "below no data root",
        f"s3://{BUCKET}/town/missing.tif": "no such object",
        f"s3://{BUCKET}/town/": "use s3://BUCKET/KEY",
        f"s3://{BUCKET}/town/../elsewhere/there_20240517.tif": "use s3://BUCKET/KEY",
        "s3://": "no bucket",
    }
    (done,) = run_all(home, ["bank", *lines, "--json"], environments=[roots])
    assert done.status == 1
    assert done.stack is None
    rows = {row["path"]: row for row in json.loads(done.stdout)}
    assert set(rows) == set(lines)
    for path, words in lines.items():
        assert rows[path]["status"] == "refused"
        assert words in rows[path]["reason"]
        assert path in done.stderr
    assert [request.path for request in gate.requests] == [f"/{BUCKET}/town/missing.tif"]
    gate.fault = lambda _: 403
    (denied,) = run_all(home, ["bank", f"s3://{BUCKET}/town/there_20240517.tif"], environments=[roots])
    assert denied.status == 1
    assert "refuses access" in denied.stderr
    assert SECRET not in done.stderr + denied.stderr
    assert not list((home / "data").rglob("*.tif"))
    assert not list((home / "data").glob(".banking-*"))


def test_without_a_root_in_a_store_it_is_told_what_to_set(tmp_path: Path) -> None:
    (done,) = run_all(tmp_path / "home", ["bank", f"s3://{BUCKET}/town/there_20240517.tif"])
    assert done.status == 1
    assert f"data_roots, such as s3://{BUCKET}/" in done.stderr


def test_no_good_cog_is_converted_into_the_home(store: Store, tmp_path: Path) -> None:
    plain = write_raster(tmp_path / "plain_20240517.tif", position_pixels(700, 900), photometric="RGB")
    store.put("town/plain_20240517.tif", plain)
    roots = environment(store.url, f"s3://{BUCKET}/town")
    home = tmp_path / "home"
    done, again = run_all(
        home,
        ["bank", f"s3://{BUCKET}/town/plain_20240517.tif", "--collection", "plain"],
        ["bank", str(plain)],
        environments=[roots] * 2,
    )
    assert done.status == 0
    assert "converted" in done.stderr
    assert "no valid COG" in done.stderr
    assert item(home, "plain", "plain_20240517")["assets"]["data"]["href"] == "cogs/plain/plain_20240517.tif"
    assert "unchanged" in again.stderr, "the same content on disk is the same scene"


def test_an_object_that_was_replaced_is_served_when_it_is_banked_again(
    store: Store, gate: Gate, tmp_path: Path, started: Callable[..., Asgi]
) -> None:
    """Until then it is not shown, and what was kept of it is not shown for another."""
    first, second = position_pixels(700, 900), np.flip(position_pixels(700, 900), axis=2).copy()
    paths = [
        write_raster(tmp_path / f"{n}.tif", pixels, **COG, compress="none")
        for n, pixels in enumerate((first, second))
    ]
    key, home = "town/changing_20240517.tif", tmp_path / "home"
    bank = ["bank", f"s3://{BUCKET}/{key}", "--collection", "changing", "--public"]
    roots = environment(store.url, f"s3://{BUCKET}/town/")
    store.put(key, paths[0])
    assert run_all(home, bank, environments=[roots])[0].status == 0

    def serve() -> Asgi:
        s3 = {"endpoint": gate.url, "access_key": KEY, "secret_key": SECRET}
        return started(home, data_roots=[f"s3://{BUCKET}/town/"], s3=s3, tiles={"disk_cache_megabytes": 0})

    tile = TILE.format("changing")
    before = serve().get(tile)
    assert before.status == 200
    store.put(key, paths[1])
    assert serve().get(tile).status == 502
    done, again = run_all(home, bank, bank, environments=[roots] * 2)
    assert "banked in place" in done.stderr
    assert "changing_20240517 in changing, which this object held before, is taken out" in done.stderr
    assert "unchanged" in again.stderr
    assert "taken out" not in again.stderr
    after = serve().get(tile)
    assert after.status == 200
    assert after.body != before.body
    assert after.headers["etag"] != before.headers["etag"]


def test_an_object_written_anew_with_the_same_content_is_taken_as_it_is(
    store: Store, tmp_path: Path, started: Callable[..., Asgi]
) -> None:
    """Such as one copied in parts: its bytes are the same, its ETag is not."""
    path = write_raster(tmp_path / "a.tif", position_pixels(1400, 1800), **COG, compress="none")
    key, home = "town/anew_20240517.tif", tmp_path / "home"
    bank = ["bank", f"s3://{BUCKET}/{key}", "--collection", "anew", "--licence", "narrow"]
    roots = environment(store.url, f"s3://{BUCKET}/town/")
    store.put(key, path)
    assert run_all(home, bank, environments=[roots])[0].status == 0
    was = item(home, "anew", "anew_20240517")
    store.put_in_parts(key, path)
    (done,) = run_all(home, [*bank[:2]], environments=[roots])
    assert done.status == 0
    assert "written anew" in done.stderr
    now = item(home, "anew", "anew_20240517")
    assert now["assets"]["data"]["flux:etag"] != was["assets"]["data"]["flux:etag"]
    now["assets"]["data"]["flux:etag"] = was["assets"]["data"]["flux:etag"]
    assert now == was, "nothing else, its licence least of all"
