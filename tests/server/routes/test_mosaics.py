"""Named mosaics as layers: whoever may see them, in their order, of one range, without clouds."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mosaics.catalog.sql import SqlCatalog
from mosaics.grids import find_grid, load_grids
from server.database import connect
from tests.conftest import Reply, write_raster
from tests.server.conftest import Asgi, run_all

ZOOM, COLUMN, ROW = 14, 8270, 5950
TILE = f"{ZOOM}/{COLUMN}/{ROW}.png"
"""On which all scenes lie; the east one is over its east half only."""
LEVELS = {"old": 60, "middle": 120, "new": 200}


@dataclass(frozen=True)
class World:
    """Three scenes over one another, each under a licence of its own, and a mosaic of them in each order."""

    home: Path
    keys: dict[str, str]
    """Of `all`, who may see all; of `less`, who may not see the newest; of `half`, the newest elsewhere."""


def grey(level: int, mark: int) -> np.ndarray:
    pixels = np.full((3, 256, 256), level, np.uint8)
    pixels[:, 0, mark] += 1
    return pixels


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("mosaics")
    home, lines = folder / "home", list[list[str]]()
    bounds = find_grid(load_grids(), "WebMercatorQuad").frame(ZOOM, COLUMN, ROW).bounds
    width = bounds.right - bounds.left
    for number, (name, level) in enumerate(LEVELS.items()):
        place = {"crs": "EPSG:3857", "origin": (bounds.left, bounds.top), "resolution": width / 256}
        path = write_raster(folder / f"{name}.tif", grey(level, number), photometric="RGB", **place)
        date = f"2024-0{number + 1}-01"
        lines.append(["bank", str(path), "--collection", "parts", "--licence", name, "--datetime", date])
    low, high = (
        np.linspace(*ends, 256 * 256).reshape(1, 256, 256).astype("uint16")
        for ends in ((100, 400), (1100, 1400))
    )
    for name, pixels, date in (("dark", low, "2024-01-01"), ("bright", high, "2024-02-01")):
        place = {"crs": "EPSG:3857", "origin": (bounds.left, bounds.top), "resolution": width / 256}
        path = write_raster(folder / f"{name}.tif", pixels, **place)
        lines.append(["bank", str(path), "--collection", "counts", "--licence", "old", "--datetime", date])
    lines += [
        ["mosaic", "create", "newest", "--collection", "parts"],
        ["mosaic", "create", "oldest", "--collection", "parts", "--order", "oldest"],
        ["mosaic", "create", "near", "--collection", "parts", "--order", "nearest", "--date", "2024-02-03"],
        ["mosaic", "create", "greatest", "--collection", "parts", "--pixels", "max"],
        ["mosaic", "create", "clear", "--collection", "parts", "--cloud-mask"],
        ["mosaic", "create", "each", "--collection", "counts", "--stretch", "scene"],
        ["mosaic", "create", "even", "--collection", "counts"],
    ]
    for name, licences in {
        "all": ("old", "middle", "new"),
        "less": ("old", "middle"),
        "half": ("old", "middle"),
    }.items():
        lines.append(["institution", "add", name])
        lines += [["grant", "add", name, "--licence", licence] for licence in licences]
    lines.append(["grant", "add", "half", "--licence", "new", "--area", "100,0,101,1"])
    lines += [["key", "create", name] for name in ("all", "less", "half")]
    done = run_all(home, *lines)
    assert not [each for each in done if each.status], [each.stderr for each in done if each.status]
    keys = [each.stdout.strip() for each in done[-3:]]
    return World(home, dict(zip(("all", "less", "half"), keys, strict=True)))


@pytest.fixture
def ask(world: World, started: Callable[..., Asgi]) -> Callable[..., Reply]:
    asgi = started(world.home)

    def get(layer: str, who: str = "all", query: str = "") -> Reply:
        reply = asgi.get(f"/tiles/{layer}/WebMercatorQuad/{TILE}{query}", {"X-API-Key": world.keys[who]})
        assert reply.status == 200, reply.body
        return reply

    return get


def pixels(reply: Reply) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA")).astype(int)


def level(reply: Reply) -> int:
    return int(np.median(pixels(reply)[..., 0]))


@pytest.mark.parametrize(
    ("layer", "who", "shown"),
    [
        ("newest", "all", "new"),
        ("newest", "less", "middle"),
        ("oldest", "all", "old"),
        ("near", "all", "middle"),
        ("greatest", "all", "new"),
        ("greatest", "less", "middle"),
        ("parts", "all", "new"),
    ],
)
def test_the_first_that_the_caller_may_see_in_the_order_of_the_mosaic(
    ask: Callable[..., Reply], layer: str, who: str, shown: str
) -> None:
    assert level(ask(layer, who)) == LEVELS[shown]


def test_of_all_valid_pixels_the_mean_or_the_greatest(ask: Callable[..., Reply]) -> None:
    assert level(ask("newest", query="?pixel_selection=mean")) == round(sum(LEVELS.values()) / 3)
    assert level(ask("oldest", query="?pixel_selection=max")) == LEVELS["new"]
    assert level(ask("greatest", query="?pixel_selection=first")) == LEVELS["new"]
    assert level(ask("newest", "less", "?pixel_selection=mean")) == round(
        (LEVELS["old"] + LEVELS["middle"]) / 2
    )


def test_a_time_is_asked_of_a_mosaic_too(ask: Callable[..., Reply]) -> None:
    assert level(ask("newest", query="?time=2024-01-01")) == LEVELS["old"]
    assert level(ask("newest", query="?time=../2024-02-15")) == LEVELS["middle"]
    assert level(ask("newest", query="?time=nearest:2024-01-05")) == LEVELS["old"]


def test_who_may_see_the_same_of_a_tile_shares_its_bytes(ask: Callable[..., Reply]) -> None:
    """`half` may see the newest scene too, but only where it is not."""
    first, second, third = (ask("newest", who) for who in ("less", "half", "all"))
    assert first.headers["etag"] == second.headers["etag"] != third.headers["etag"]
    assert first.body == second.body


def test_one_range_for_all_scenes_unless_it_is_not_wanted(world: World, ask: Callable[..., Reply]) -> None:
    each, even = ask("each", query="?time=2024-01-01"), ask("even", query="?time=2024-01-01")
    assert abs(level(each) - 127) <= 3, "its own percentiles"
    assert level(even) < 60, "dark beside the bright one"
    assert level(ask("even", query="?time=2024-02-01")) > 190
    assert level(ask("counts", query="?time=2024-01-01")) == level(even), "so is a collection"
    dark = ask("counts:dark")
    assert abs(level(dark) - 127) <= 3, "one scene alone is shown by itself"


def test_what_the_mask_calls_cloud_lets_the_next_scene_show(
    world: World, started: Callable[..., Asgi], ask: Callable[..., Reply]
) -> None:
    engine = connect(None, world.home)
    catalog = SqlCatalog(engine)
    newest = next(item for key, item in catalog.items() if key == ("parts", "new"))
    classes = np.ones((1, 256, 256), np.uint8)
    classes[0, :, 128:] = 6
    data = newest["assets"]["data"]
    transform = newest["properties"]["proj:transform"]
    path = write_raster(
        world.home / "data" / "cogs" / "parts" / "new-mask.tif",
        classes,
        crs="EPSG:3857",
        origin=(transform[2], transform[5]),
        resolution=transform[0],
        nodata=0,
    )
    newest["assets"]["mask"] = {
        "href": "cogs/parts/new-mask.tif",
        "roles": ["metadata", "cloud"],
        "proj:shape": [256, 256],
        "raster:spatial_resolution": data["raster:spatial_resolution"],
        "file:checksum": "1220" + hashlib.sha256(path.read_bytes()).hexdigest(),
        "classification:classes": [{"value": 1, "name": "clear"}, {"value": 6, "name": "cloud"}],
    }
    catalog.put_scene("parts", newest, json.dumps(newest["properties"]["flux:digest"])[1:-1])
    engine.dispose()
    asgi = started(world.home)
    clear = pixels(asgi.get(f"/tiles/clear/WebMercatorQuad/{TILE}", {"X-API-Key": world.keys["all"]}))
    assert np.median(clear[:, :120, 0]) == LEVELS["new"]
    assert np.median(clear[:, 136:, 0]) == LEVELS["middle"]
    assert (clear[..., 3] == 255).all()
    assert level(ask("newest")) == LEVELS["new"], "who does not ask for it sees the clouds"


def test_mosaics_are_listed_like_collections(world: World, started: Callable[..., Asgi]) -> None:
    asgi = started(world.home)
    for who in ("all", "less"):
        headers = {"X-API-Key": world.keys[who]}
        listed = {each["id"]: each for each in asgi.get("/layers", headers).json["layers"]}
        assert {"newest", "oldest", "near", "greatest", "parts", "counts"} <= set(listed)
        times = ["2024-01-01", "2024-02-01", "2024-03-01"]
        assert listed["newest"]["times"] == (times if who == "all" else times[:2])
        one = asgi.get("/layers/oldest?limit=2", headers).json
        assert [each["id"] for each in one["scenes"]] == ["old", "middle"]
        assert one["scene_count"] == (3 if who == "all" else 2)
        assert ("next" in {link["rel"] for link in one["links"]}) is (who == "all")
        document = asgi.get("/wmts", headers).body.decode()
        assert "<ows:Identifier>newest</ows:Identifier>" in document
        assert asgi.get("/tiles/newest/WebMercatorQuad/tilejson.json", headers).json["attribution"] == ""
    assert asgi.get("/layers/newest").status == 401
    for query in ("limit=0", "limit=1001", "limit=x", "offset=-1"):
        assert asgi.get(f"/layers/newest?{query}", {"X-API-Key": world.keys["all"]}).status == 400
