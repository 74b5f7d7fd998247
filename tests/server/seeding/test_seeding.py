"""Seeded tiles are those of the server: in its cache a hit, in a file the same bytes, and by whose rights."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from auth.credentials import read_key_id
from mosaics.models import EncodedTile
from server.cache.disk import DiskTileCache
from server.cli.seed_progress import Done
from server.seeding.plan import NothingToSeedError, Place, TooManyTilesError
from server.seeding.stores import CacheStore, StoreFullError
from tests.conftest import Town
from tests.server.conftest import Asgi, run_all
from tests.server.seeding.test_journal import longest_file

pmtiles_reader = pytest.importorskip("pmtiles.reader", reason="the extra `pmtiles` is not installed")

Seed = Callable[..., Done]
GRANTED = "cogs/granted/granted_20240517.tif"
WEBP = {"accept": "image/webp,*/*"}


def tiles_of(path: Path) -> dict[tuple[int, int, int], bytes]:
    found: dict[tuple[int, int, int], bytes] = dict(
        pmtiles_reader.all_tiles(pmtiles_reader.MemorySource(path.read_bytes()))
    )
    return found


def metadata_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = pmtiles_reader.Reader(pmtiles_reader.MemorySource(path.read_bytes())).metadata()
    return found


def kept_files(home: Path) -> int:
    folder = home / "cache" / "tiles"
    return sum(path.is_file() for first in "0123456789abcdef" for path in (folder / first).rglob("*"))


def damaged(cog: bytes) -> bytes:
    """Spoil the end of a COG, where its finest blocks lie."""
    spoilt = len(cog) // 4
    return cog[:-spoilt] + bytes(spoilt)


def url(place: tuple[int, int, int], end: str = "", layer: str = "granted") -> str:
    return f"/tiles/{layer}/WebMercatorQuad/{place[0]}/{place[1]}/{place[2]}{end}"


def test_what_is_seeded_is_a_hit_for_whoever_may_see_it(
    seed: Seed, own_home: Path, started: Callable[..., Asgi], town: Town, tmp_path: Path
) -> None:
    before = started(own_home, tiles={"disk_cache_megabytes": 0})
    done = seed(zooms=(15, 17)).tally
    assert (done.there, done.failed) == (0, 0)
    assert done.made + done.empty == done.total >= 8
    assert kept_files(own_home) == done.made, "what no scene touches is not kept"
    region = {"X-API-Key": town.key, **WEBP}
    place = (17, 66052, 47859)
    fresh = before.get(url(place), region)
    (own_home / "data" / GRANTED).unlink()
    after = started(own_home)
    hit = after.get(url(place), region)
    assert (hit.status, hit.body, hit.headers["etag"]) == (200, fresh.body, fresh.headers["etag"])
    assert after.get(url(place, ".png"), region).status == 502, "another format was not made, nor can be"
    assert after.get(url(place), {"X-API-Key": town.other_key, **WEBP}).status == 404


def test_the_same_again_makes_nothing_and_other_formats_are_others(seed: Seed) -> None:
    first = seed(zooms=(16, 17)).tally
    again = seed(zooms=(16, 17)).tally
    assert (again.made, again.there, again.size_bytes) == (0, first.made, 0)
    assert seed(zooms=(16, 17), image_format="png").tally.made == first.made
    wider = seed(zooms=(15, 17)).tally
    assert (wider.there, wider.made > 0) == (first.made, True)


def test_what_an_institution_sees_whole_is_shared(seed: Seed, town: Town) -> None:
    first = seed(zooms=(16, 17), institution="region").tally
    assert seed(zooms=(16, 17), key_id=read_key_id(town.key)).tally.there == first.made
    assert seed(zooms=(16, 17)).tally.there == first.made
    with pytest.raises(NothingToSeedError, match="nothing of it is open"):
        seed(institution="other")
    with pytest.raises(NothingToSeedError, match="nothing of it is open"):
        seed(institution="public")


def test_a_file_holds_the_tiles_of_the_server(
    seed: Seed, own_home: Path, started: Callable[..., Asgi], town: Town, tmp_path: Path
) -> None:
    output = tmp_path / "granted.pmtiles"
    line = ["grant", "add", "region", "--licence", "region-only", "--actions", "catalogue,tile,export"]
    (granted,) = run_all(own_home, line)
    assert granted.status == 0, granted
    done = seed(output=output, institution="region")
    found = tiles_of(output)
    assert len(found) == done.tally.made > 20
    assert kept_files(own_home) == 0, "the cache is left alone"
    west, south, east, north = (float(side) for side in metadata_of(output)["bounds"].split(","))
    beside = tmp_path / "beside.pmtiles"
    seed(output=beside, everything=True, zooms=(14, 15), bbox=(east + 1e-4, south, east + 2e-4, north))
    assert metadata_of(beside)["bounds"] == metadata_of(output)["bounds"], "tiles that reach over to it"
    assert {z for z, _, _ in found} == {14, 15, 16, 17, 18}
    asgi = started(own_home)
    for place, data in found.items():
        served = asgi.get(url(place, ".webp"), {"X-API-Key": town.key})
        assert (served.status, served.headers["content-type"]) == (200, "image/webp")
        assert served.body == data, place
    about = metadata_of(output)
    assert about["flux:for"] == "institution:region"
    assert (about["format"], about["minzoom"], about["maxzoom"]) == ("webp", "14", "18")
    assert about["attribution"] == asgi.get(
        "/tiles/granted/WebMercatorQuad/tilejson.json", {"X-API-Key": town.key}
    ).json.get("attribution")
    west, south, east, north = (float(side) for side in about["bounds"].split(","))
    assert west < east
    assert south < north


def test_a_file_is_cut_where_rights_end(
    seed: Seed, own_home: Path, started: Callable[..., Asgi], town: Town, tmp_path: Path
) -> None:
    whole, part = tmp_path / "whole.pmtiles", tmp_path / "part.pmtiles"
    seed(output=whole, everything=True, zooms=(17, 18))
    box = metadata_of(whole)["bounds"].split(",")
    west, south, east, north = (float(side) for side in box)
    half = f"{west},{south},{(west + east) / 2},{north}"
    line = ["grant", "add", "other", "--collection", "granted", "--area", half]
    (looking,) = run_all(own_home, line)
    assert looking.status == 0, looking
    with pytest.raises(NothingToSeedError):
        seed(output=part, institution="other", zooms=(17, 18))
    (taking,) = run_all(own_home, [*line, "--actions", "catalogue,tile,export"])
    assert taking.status == 0, taking
    seed(output=part, institution="other", zooms=(17, 18))
    all_of_it, found = tiles_of(whole), tiles_of(part)
    assert found.keys() < all_of_it.keys()
    asgi = started(own_home)
    for place, data in found.items():
        assert asgi.get(url(place, ".webp"), {"X-API-Key": town.other_key}).body == data, place
    assert any(found[place] != all_of_it[place] for place in found), "some are cut"
    assert any(found[place] == all_of_it[place] for place in found), "some are whole"
    assert metadata_of(part)["flux:for"] == "institution:other"
    assert float(metadata_of(part)["bounds"].split(",")[2]) == pytest.approx((west + east) / 2, abs=1e-6)


def test_tiles_cut_by_an_area_are_hits_for_whom_they_are_cut(
    seed: Seed, own_home: Path, started: Callable[..., Asgi], town: Town
) -> None:
    west, south, east, north = (
        started(own_home)
        .get("/tiles/granted/WebMercatorQuad/tilejson.json", {"X-API-Key": town.key})
        .json["bounds"]
    )
    half = f"{west},{south},{(west + east) / 2},{north}"
    (done,) = run_all(own_home, ["grant", "add", "other", "--collection", "granted", "--area", half])
    assert done.status == 0, done
    headers = {"X-API-Key": town.other_key, **WEBP}
    place = (16, 66052 // 2, 47859 // 2)
    fresh = started(own_home, tiles={"disk_cache_megabytes": 0}).get(url(place), headers)
    whole = seed(zooms=(16, 16)).tally
    cut = seed(zooms=(16, 16), institution="other").tally
    assert cut.made > 0
    assert whole.made >= cut.made
    (own_home / "data" / GRANTED).unlink()
    asgi = started(own_home)
    assert asgi.get(url(place), headers).body == fresh.body
    assert asgi.get(url(place), {"X-API-Key": town.key, **WEBP}).body != fresh.body


def test_a_file_that_can_not_be_read_fails_alone(seed: Seed, own_home: Path, tmp_path: Path) -> None:
    output = tmp_path / "o.pmtiles"
    target = own_home / "data" / GRANTED
    good = target.read_bytes()
    target.write_bytes(damaged(good))
    done = seed(output=output, everything=True)
    assert done.tally.failed > 0
    assert done.tally.made > 0
    assert done.output is None
    assert not output.exists()
    target.write_bytes(good)
    again = seed(output=output, everything=True)
    assert (again.tally.failed, again.tally.there) == (0, done.tally.made), "only what failed is made"
    assert len(tiles_of(output)) == again.tally.made + again.tally.there


def test_a_full_disk_ends_it_with_whole_tiles_and_it_goes_on(seed: Seed, tmp_path: Path) -> None:
    straight, output = tmp_path / "straight.pmtiles", tmp_path / "o.pmtiles"
    wanted = seed(output=straight, everything=True, zooms=(14, 20)).tally.made
    room = straight.stat().st_size // 2
    with pytest.raises(StoreFullError, match=r"no space left .*: File too large\. What is"):
        seed(output=output, everything=True, zooms=(14, 20), room=room)
    assert not output.exists()
    assert (tmp_path / "o.pmtiles.part").stat().st_size <= room
    done = seed(output=output, everything=True, zooms=(14, 20)).tally
    assert done.there > 10
    assert done.there + done.made == wanted
    assert tiles_of(output) == tiles_of(straight)


def test_a_cache_without_room_says_so_and_keeps_no_part_of_a_tile(tmp_path: Path) -> None:
    tile = EncodedTile(data=bytes(9000), media_type="image/png", contributors=())
    with ThreadPoolExecutor(1) as executor:
        store = CacheStore(cache=DiskTileCache(tmp_path, 1_000_000, executor), folder=tmp_path)
        with longest_file(5000), pytest.raises(StoreFullError, match="only 5000 of"):
            store.keep(Place(0, 0, 0), "0" * 40, tile)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
        assert store.keep(Place(0, 0, 0), "0" * 40, tile) == 9000
        assert store.has(Place(0, 0, 0), "0" * 40)


def test_more_than_is_meant_or_fits_is_refused(seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NothingToSeedError, match="nothing of granted lies in the area"):
        seed(bbox=(50.0, 10.0, 51.0, 11.0))
    with pytest.raises(NothingToSeedError, match="zooms 20 to 3 are none"):
        seed(zooms=(20, 3))
    monkeypatch.setattr("server.cli.seeding.MOST_TILES", 30)
    with pytest.raises(TooManyTilesError, match="30 are allowed"):
        seed()
    monkeypatch.setattr("server.cli.seeding.MOST_TILES", 1000)
    monkeypatch.setenv("FLUX_TILES__DISK_CACHE_MEGABYTES", "1")
    with pytest.raises(ValueError, match=r"take about \d+ MB, and the cache .* holds 1 MB"):
        seed(zooms=(14, 20))
    monkeypatch.setenv("FLUX_TILES__DISK_CACHE_MEGABYTES", "0")
    with pytest.raises(ValueError, match="there is no cache on disk"):
        seed(bounded=False)
