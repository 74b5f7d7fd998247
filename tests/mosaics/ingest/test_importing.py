"""Import of items: our own as they are, others' completed, and what is refused."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from mosaics.catalog.memory import MemoryCatalog
from mosaics.ingest.foreign import Completing
from mosaics.ingest.importing import Importing, Report
from mosaics.ingest.placing import Places
from mosaics.ingest.preparing import Task
from mosaics.item import scene_from_item
from mosaics.models import Collection, Scene, Text
from mosaics.mosaic import Mosaic
from mosaics.sensors import find_sensor, load_sensors
from mosaics.styles import load_styles
from tests.items import item

SENSORS, STYLES = load_sensors(), load_styles()


class Desk:
    """A home, a folder of images, and a catalogue."""

    def __init__(self, folder: Path) -> None:
        self.home, self.images, self.outside = folder / "home", folder / "images", folder / "outside"
        for place in (self.home / "cogs" / "c", self.images, self.outside):
            place.mkdir(parents=True)
            (place / "a.tif").write_bytes(b"12345")
        self.catalog = MemoryCatalog()
        self.places = Places(root=self.home, roots=(self.home, self.images))

    def run(self, *items: dict[str, Any], **options: Any) -> Report:
        path = self.images / "items.ndjson"
        path.write_text("".join(json.dumps(each) + "\n" for each in items))
        named = {key: options.pop(key) for key in ("sensor", "asset_key") if key in options}
        completing = Completing(places=self.places, sensors=SENSORS, styles=STYLES, **named)
        importing = Importing(catalog=self.catalog, task=Task(completing=completing, **options))
        importing.run(path, lambda _done, _report: None)
        return importing.report

    def scene(self, scene_id: str = "a", collection_id: str = "c") -> Scene:
        found = self.catalog.item(collection_id, scene_id)
        assert found is not None
        return scene_from_item(found, root=self.home, sequence=0)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path.resolve())


def foreign(**properties: Any) -> dict[str, Any]:
    """Give an item of STAC 1.0 as another's catalogue has it."""
    ring = [[1, 43], [2, 43], [2, 44], [1, 44], [1, 43]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "PHR-1",
        "collection": "phr",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [1, 43, 2, 44],
        "properties": {
            "datetime": "2023-07-01T10:50:00Z",
            "platform": "PHR1A",
            "license": "proprietary",
            "eo:cloud_cover": 3,
            "proj:epsg": 2154,
            "proj:shape": [2000, 1000],
            "proj:transform": [0.5, 0, 570_000, 0, -0.5, 6_280_000],
            **properties,
        },
        "assets": {
            "image": {
                "href": "./a.tif",
                "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                "roles": ["data"],
                "eo:bands": [
                    {"name": "B2", "common_name": "red", "center_wavelength": 0.65},
                    {"name": "B1", "common_name": "green"},
                    {"name": "B0", "common_name": "blue"},
                    {"name": "B3", "common_name": "nir"},
                ],
                "raster:bands": [
                    {"data_type": "uint16", "statistics": {"minimum": 1, "maximum": 900}, "scale": 0.0001}
                ]
                * 4,
            },
            "thumbnail": {"href": "http://example.org/a.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
        },
        "links": [{"rel": "self", "href": "http://example.org/a.json"}],
    }


def test_our_own_items_are_taken_as_they_are(desk: Desk) -> None:
    digest = "ab" * 32
    own = item("a", license="l", **{"flux:digest": digest})
    report = desk.run(own)
    assert (report.added, report.made, report.licences) == (1, ["c"], {"l"})
    assert desk.catalog.item("c", "a") == own
    assert desk.catalog.find_by_digest(digest) == ("c", "a")
    before = desk.catalog.changes(0).sequence
    again = desk.run(own)
    assert (again.added, again.unchanged, again.made) == (0, 1, [])
    assert desk.catalog.changes(0).sequence == before
    changed = desk.run({**own, "properties": {**own["properties"], "gsd": 1}})
    assert (changed.replaced, changed.touched) == (1, {"c"})


def test_many_are_written_in_batches_that_stay(desk: Desk) -> None:
    for n in range(900):
        os.link(desk.home / "cogs/c/a.tif", desk.home / f"cogs/c/s{n}.tif")
    items = [item(f"s{n}") for n in range(900)]
    told: list[float] = []
    path = desk.images / "many.ndjson"
    path.write_text("\n".join(map(json.dumps, items)))

    def stop(done: float, report: Report) -> None:
        told.append(done)
        if report.done >= 400:
            raise KeyboardInterrupt

    completing = Completing(places=desk.places, sensors=SENSORS, styles=STYLES)
    with pytest.raises(KeyboardInterrupt):
        Importing(catalog=desk.catalog, task=Task(completing=completing)).run(path, stop)
    assert 0 < told[-1] < 1
    assert len(dict(desk.catalog.items())) == 400
    report = desk.run(*items)
    assert (report.added, report.unchanged) == (500, 400)


def test_a_foreign_item_is_completed(desk: Desk) -> None:
    report = desk.run(foreign())
    assert report.reasons == []
    found = desk.catalog.item("phr", "PHR-1")
    assert found is not None
    scene = desk.scene("PHR-1", "phr")
    assert (scene.sensor_id, scene.kind, scene.width, scene.height) == ("pleiades", "optical", 1000, 2000)
    assert scene.ground_resolution == pytest.approx(0.5, rel=1e-3)
    assert scene.styles == ("natural", "cir", "ndvi", "ndwi", "grey")
    assert [band.common_name for band in scene.bands] == ["red", "green", "blue", "nir"]
    assert (scene.bands[0].maximum, scene.bands[0].scale, scene.bands[0].wavelength_um) == (900, 0.0001, 0.65)
    assert scene.attribution == "Pléiades © CNES 2023, Distribution Airbus DS"
    image = desk.images / "a.tif"
    assert scene.href == str(image)
    assert scene.generation == f"5-{image.stat().st_mtime_ns}"
    assert set(found["assets"]) == {"data"}
    assert found["properties"]["proj:code"] == "EPSG:2154"
    assert found["properties"]["eo:cloud_cover"] == 3
    assert desk.run(foreign()).unchanged == 1
    image.write_bytes(b"other")
    os.utime(image, ns=(1, 1))
    assert desk.run(foreign()).replaced == 1
    assert desk.scene("PHR-1", "phr").generation == "5-1"


def test_the_licence_of_others_opens_nothing(desk: Desk) -> None:
    desk.run(foreign())
    assert desk.scene("PHR-1", "phr").licence_id is None
    words = Text(fr="", en="")
    desk.catalog.put_collection(Collection(id="k", title=words, description=words, licence_id="of-k"))
    desk.run(foreign(), collection_id="k")
    assert desk.scene("PHR-1", "k").licence_id == "of-k"
    desk.run(foreign(), collection_id="k", licence_id="mine")
    assert desk.scene("PHR-1", "k").licence_id == "mine"
    desk.run(item("a", license="kept"), licence_id="mine")
    assert desk.scene("a").licence_id == "mine"


def test_bands_that_say_no_colour_are_those_of_the_sensor(desk: Desk) -> None:
    plain = foreign()
    del plain["assets"]["image"]["eo:bands"]
    desk.run(plain)
    assert [band.common_name for band in desk.scene("PHR-1", "phr").bands] == ["red", "green", "blue", "nir"]
    del plain["properties"]["platform"]
    desk.run(plain, sensor=find_sensor(SENSORS, "spot-6-7"))
    assert desk.scene("PHR-1", "phr").sensor_id == "spot-6-7"


def test_bands_of_stac_1_1_and_a_resolution_that_is_only_said(desk: Desk) -> None:
    new = foreign(**{"proj:transform": None, "platform": None, "gsd": 2.5})
    image = new["assets"]["image"]
    del image["eo:bands"], image["raster:bands"]
    image |= {"data_type": "uint8", "bands": [{"eo:common_name": name} for name in ("red", "green", "blue")]}
    assert desk.run(new).reasons == []
    scene = desk.scene("PHR-1", "phr")
    assert (scene.sensor_id, scene.ground_resolution, scene.styles) == ("rgb", 2.5, ("rgb",))
    assert [band.name for band in scene.bands] == ["B1", "B2", "B3"]


def without(document: dict[str, Any], *path: str) -> dict[str, Any]:
    made = deepcopy(document)
    holder = made
    for name in path[:-1]:
        holder = holder[name]
    del holder[path[-1]]
    return made


def changed(document: dict[str, Any], value: Any, *path: str) -> dict[str, Any]:
    made = deepcopy(document)
    holder = made
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return made


BOW = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
FAR = {"type": "Polygon", "coordinates": [[[179, 0], [181, 0], [181, 1], [179, 0]]]}
POINT = {"type": "Point", "coordinates": [0, 0]}
HREF = ("assets", "image", "href")
REFUSED: list[tuple[Callable[[], dict[str, Any]], str]] = [
    (lambda: without(foreign(), "assets", "image", "raster:bands"), "does not say the data type"),
    (
        lambda: without(without(foreign(), "assets", "image", "raster:bands"), "assets", "image", "eo:bands"),
        "does not say what its bands are",
    ),
    (lambda: without(foreign(), "properties", "proj:shape"), r"its size in pixels \(proj:shape\)"),
    (lambda: without(foreign(), "properties", "proj:transform"), "how fine its pixels are"),
    (lambda: without(foreign(), "collection"), "names no collection"),
    (lambda: without(foreign(), "assets", "image"), "no asset that is a GeoTIFF"),
    (
        lambda: changed(foreign(), deepcopy(foreign()["assets"]["image"]), "assets", "other"),
        r"several images \(image, other\): name one with --asset",
    ),
    (lambda: changed(foreign(), "a b", "id"), "its id can't name a scene"),
    (lambda: changed(foreign(), "Bad Name", "collection"), "can't name a collection"),
    (lambda: changed(foreign(), 3, "collection"), "its collection is no word"),
    (lambda: changed(item(), 3, "collection"), "its collection is no word"),
    (lambda: changed(foreign(), "m", "collection"), "'m' is the id of a mosaic"),
    (lambda: changed(foreign(), BOW, "geometry"), "its geometry is not valid: Self-intersection"),
    (lambda: changed(foreign(), FAR, "geometry"), "its geometry lies beyond"),
    (lambda: changed(foreign(), POINT, "geometry"), "its geometry is no area"),
    (lambda: changed(foreign(), None, "geometry"), "lacks what a scene needs"),
    (lambda: changed(foreign(), "soon", "properties", "datetime"), "it can't be understood"),
    (
        lambda: changed(foreign(), "0001-01-01T00:00:00+14:00", "properties", "datetime"),
        "it can't be understood: OverflowError",
    ),
    (lambda: item(datetime="0001-01-01T00:00:00+14:00"), "lacks what a scene needs: OverflowError"),
    (lambda: changed(foreign(), "missing.tif", *HREF), "its file 'missing.tif' is not there"),
    (lambda: changed(foreign(), "../outside/a.tif", *HREF), "lies below no data root"),
    (lambda: changed(foreign(), "/etc/passwd", *HREF), "lies below no data root"),
    (lambda: changed(foreign(), "file:///etc/passwd", *HREF), "lies below no data root"),
    (lambda: changed(foreign(), "https://example.org/a.tif", *HREF), "lies below no data root"),
    (lambda: changed(foreign(), "s3://bucket/a.tif", *HREF), "lies below no data root"),
    (lambda: changed(foreign(), "/vsizip//a.zip/a.tif", *HREF), "lies below no data root"),
    (lambda: changed(foreign(), "link.tif", *HREF), "lies below no data root"),
    (lambda: changed(foreign(), "folder/a.tif", *HREF), "lies below no data root"),
    (lambda: changed(foreign(), "", *HREF), "lies below no data root|is not there"),
    (lambda: changed(item(), "cogs/c/none.tif", "assets", "data", "href"), "is not there"),
    (lambda: changed(item(), "../outside/a.tif", "assets", "data", "href"), "lies below no data root"),
    (lambda: changed(item(), {"href": "/etc/passwd"}, "assets", "visual"), "lies below no data root"),
    (lambda: changed(item(), "sharp", "properties", "flux:kind"), "its flux:kind is none of"),
    (lambda: changed(item(), [3], "properties", "flux:styles"), "can't be understood"),
]


@pytest.mark.parametrize(("make", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_cannot_be_served_is_refused_alone(
    desk: Desk, make: Callable[[], dict[str, Any]], reason: str
) -> None:
    nothing = Text(fr="", en="")
    desk.catalog.put_mosaic(Mosaic(id="m", title=nothing, description=nothing))
    (desk.images / "link.tif").symlink_to(desk.outside / "a.tif")
    (desk.images / "folder").symlink_to(desk.outside)
    report = desk.run(make(), item("a"))
    assert (report.refused, report.added) == (1, 1)
    (refusal,) = report.reasons
    assert refusal.place == "items.ndjson, line 1"
    assert re.search(reason, refusal.reason), refusal.reason
    assert [key for key, _ in desk.catalog.items()] == [("c", "a")]


def test_a_link_within_the_roots_is_followed(desk: Desk) -> None:
    (desk.images / "link.tif").symlink_to(desk.images / "a.tif")
    assert desk.run(changed(foreign(), "link.tif", *HREF)).added == 1
    assert desk.run(changed(foreign(), f"file://{desk.images}/a.tif", *HREF)).replaced == 1


def test_the_same_content_under_another_name_is_told(desk: Desk) -> None:
    one, two = (item(name, **{"flux:digest": "cd" * 32}) for name in "ab")
    (desk.home / "cogs/c/b.tif").write_bytes(b"1")
    (refusal,) = desk.run(one, two).reasons
    assert refusal.reason == "the same content is c:a already"
    assert refusal.scene_id == "b"


def test_collections_in_the_file_are_made_once(desk: Desk) -> None:
    document = {"type": "Collection", "id": "c", "title": "Coast", "description": "All", "license": "MIT"}
    assert desk.run(document, item("a")).made == ["c"]
    found = desk.catalog.collection("c")
    assert found is not None
    assert (found.title, found.licence_id) == (Text(fr="Coast", en="Coast"), None)
    desk.run({**document, "title": "Other"})
    assert desk.catalog.collection("c") == found
