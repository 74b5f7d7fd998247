"""Scenes as STAC items and back."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pystac
import pytest
import shapely

from mosaics.errors import SceneUnreadableError
from mosaics.ingest.acquisition import acquired_from_tags
from mosaics.item import ItemFacts, bounding_box, scene_from_item, scene_to_item, with_visual
from mosaics.item_assets import AssetFacts
from mosaics.models import Asset, Band, Scene, Visual

ROOT = Path("/home/of/bank")
BANKED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
DIGEST = "ab" * 32
SCENE = Scene(
    id="PHR_1",
    collection_id="pleiades",
    licence_id="dinamis-cnes",
    sensor_id="pleiades",
    kind="optical",
    acquired=datetime(2020, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
    footprint=shapely.box(1, 43, 2, 44),
    href="/home/of/bank/cogs/pleiades/PHR_1.tif",
    generation=DIGEST,
    width=1000,
    height=800,
    ground_resolution=0.5,
    bands=(
        Band(
            name="B2",
            common_name="red",
            data_type="uint16",
            minimum=1.0,
            maximum=4095.0,
            p2=10.0,
            p50=300.0,
            p98=900.0,
            p999=2000.5,
            wavelength_um=0.65,
            fwhm_um=0.12,
        ),
        Band(name="HH", common_name="hh", data_type="float32", unit="dB", scale=0.1, offset=5.0),
    ),
    styles=("natural", "grey"),
    attribution="© CNES 2020",
    colormap=((1, (0, 10, 20, 255)),),
    sequence=4,
)
FILE = AssetFacts(
    crs="PROJCRS[...]",
    epsg=2154,
    transform=(0.5, 0.0, 650000.0, 0.0, -0.5, 6860000.0),
    nodata=0.0,
    scales=(1.0, 0.1),
    offsets=(0.0, 5.0),
    sample_steps=(1, 9),
    file_size=1234,
    sha256=DIGEST,
    profile="1",
)
FACTS = ItemFacts(
    files={"data": FILE},
    source_digest="cd" * 32,
    thumbnail=ROOT / "quicklooks/pleiades/PHR_1.webp",
)


def item_of(scene: Scene = SCENE, facts: ItemFacts = FACTS) -> dict[str, Any]:
    document = scene_to_item(scene, facts, root=ROOT, banked=BANKED)
    text = json.dumps(document, allow_nan=False)
    return json.loads(text)


def test_what_formulas_compare_may_be_more_than_the_scale_of_the_file() -> None:
    reflectance = SCENE.bands[1]._replace(scale=0.1 / 1900, offset=5 / 1900)
    scene = dataclasses.replace(SCENE, bands=(SCENE.bands[0], reflectance))
    item = item_of(scene)
    first, second = item["assets"]["data"]["bands"]
    assert (second["raster:scale"], second["raster:offset"]) == (0.1, 5.0)
    assert "flux:relative_reflectance" not in first
    assert scene_from_item(item, root=ROOT, sequence=4).bands == scene.bands


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"licence_id": None, "attribution": "", "colormap": (), "styles": ()},
        {"acquired": None},
        {"href": "/elsewhere/image.tif", "id": "A.b_c-d"},
        {"footprint": shapely.union_all([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179, 1)])},
    ],
)
def test_a_scene_comes_back_as_it_was(changes: dict[str, Any]) -> None:
    scene = dataclasses.replace(SCENE, **changes)
    back = scene_from_item(item_of(scene), root=ROOT, sequence=4)
    assert dataclasses.replace(back, footprint=scene.footprint) == scene
    assert back.footprint.equals(scene.footprint)


def test_a_bundle_comes_back_as_it_was() -> None:
    pan = Asset(
        key="pan",
        href="/home/of/bank/cogs/pleiades/PHR_1.pan.tif",
        generation="ef" * 32,
        width=4000,
        height=3200,
        ground_resolution=0.125,
        bands=(Band(name="P", common_name="pan", data_type="uint16", p2=5.0, p98=800.0),),
    )
    scene = dataclasses.replace(SCENE, others=(pan,))
    files = {
        "data": FILE,
        "pan": dataclasses.replace(FILE, sha256="ef" * 32, scales=(1.0,), offsets=(0.0,), sample_steps=(1,)),
    }
    document = item_of(scene, dataclasses.replace(FACTS, files=files))
    assert document["properties"]["gsd"] == 0.125
    assert document["assets"]["pan"]["proj:shape"] == [3200, 4000]
    back = scene_from_item(document, root=ROOT, sequence=4)
    assert dataclasses.replace(back, footprint=scene.footprint) == scene


def test_an_item_is_stac() -> None:
    document = item_of()
    assert document["stac_version"] == "1.1.0"
    assert pystac.Item.from_dict(document).to_dict(transform_hrefs=False) == document
    assert document["type"] == "Feature"
    assert document["bbox"] == [1, 43, 2, 44]
    assert {"id", "geometry", "properties", "links", "assets", "collection"} <= document.keys()


def test_fields_of_the_extensions() -> None:
    document = item_of()
    properties, data = document["properties"], document["assets"]["data"]
    assert properties["datetime"].startswith("2020-01-02T03:04:05.678")
    assert properties["proj:code"] == "EPSG:2154"
    assert properties["proj:shape"] == [800, 1000]
    assert properties["license"] == "dinamis-cnes"
    assert (properties["flux:sensor"], properties["flux:digest"]) == ("pleiades", "cd" * 32)
    assert data["href"] == "cogs/pleiades/PHR_1.tif"
    assert data["file:checksum"] == "1220" + DIGEST
    assert data["flux:bank_profile"] == "1"
    red, hh = data["bands"]
    assert red["eo:common_name"] == "red"
    assert red["flux:percentiles"] == {"2": 10.0, "50": 300.0, "98": 900.0, "99.9": 2000.5}
    assert "flux:sample_step" not in red
    assert hh["flux:common_name"] == "hh"
    assert (hh["raster:scale"], hh["raster:offset"], hh["unit"]) == (0.1, 5.0, "dB")
    assert document["assets"]["thumbnail"]["href"] == "quicklooks/pleiades/PHR_1.webp"


def test_an_unknown_time_is_an_interval_up_to_banking() -> None:
    properties = item_of(dataclasses.replace(SCENE, acquired=None))["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] == "1970-01-01T00:00:00Z"
    assert properties["end_datetime"] == "2024-05-06T07:08:09Z"


def test_nan_is_written_as_json() -> None:
    document = item_of(
        facts=dataclasses.replace(
            FACTS, files={"data": dataclasses.replace(FILE, nodata=float("nan"), epsg=None)}
        )
    )
    assert document["assets"]["data"]["nodata"] == "nan"
    assert document["properties"]["proj:code"] is None


@pytest.mark.parametrize("href", ["../secret.tif", "a/../../b.tif", "https://host/a.tif"])
def test_hrefs_do_not_leave_the_root(href: str) -> None:
    document = item_of()
    document["assets"]["data"]["href"] = href
    with pytest.raises(SceneUnreadableError):
        scene_from_item(document, root=ROOT, sequence=1)


@pytest.mark.parametrize(
    "path", [("assets", "data"), ("properties", "flux:kind"), ("properties", "proj:shape")]
)
def test_an_incomplete_item_is_an_error_of_the_scene(path: tuple[str, str]) -> None:
    document = item_of()
    del document[path[0]][path[1]]
    with pytest.raises(SceneUnreadableError) as caught:
        scene_from_item(document, root=ROOT, sequence=1)
    assert caught.value.scene_id == "PHR_1"


def test_bounding_box_over_the_antimeridian() -> None:
    both = shapely.union_all([shapely.box(170, -5, 180, 5), shapely.box(-180, -5, -160, 5)])
    assert bounding_box(both) == [170, -5, -160, 5]
    assert bounding_box(shapely.box(-180, -90, 180, 90)) == [-180, -90, 180, 90]
    three = shapely.union_all([both, shapely.box(-20, 0, 10, 1)])
    assert bounding_box(three) == [170, -5, 10, 5]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (
            {"IMAGERY:ACQUISITIONDATETIME": "2013-08-05T10:42:19.4Z"},
            datetime(2013, 8, 5, 10, 42, 19, 400000, UTC),
        ),
        ({"ACQUISITIONDATETIME": "2013-08-05 12:42:19+02:00"}, datetime(2013, 8, 5, 10, 42, 19, tzinfo=UTC)),
        ({"acquisition_date": "2013-08-05"}, datetime(2013, 8, 5, tzinfo=UTC)),
        ({"system-time_start": "1442275200000"}, datetime(2015, 9, 15, tzinfo=UTC)),
        ({"TIFFTAG_DATETIME": "2013:08:05 10:42:19"}, None),
        ({"ACQUISITIONDATETIME": "last summer"}, None),
        ({}, None),
    ],
)
def test_acquisition_of_tags(tags: dict[str, str], expected: datetime | None) -> None:
    found = acquired_from_tags(tags)
    assert found == expected
    assert found is None or found.utcoffset() == timedelta(0)


VISUAL = Visual(
    href="/home/of/bank/visuals/pleiades/PHR_1.0123.tif",
    file_size=77,
    source_generation=DIGEST,
    source_state=(1234, 1_700_000_000_123_456_789),
    style_id="natural",
    style_digest="0" * 16,
    renderer_version=2,
    image_format="jpg",
    quality=85,
    grid_id="WebMercatorQuad",
    zooms=(12, 15),
    crs="EPSG:3857",
    origin=(111_319.5, 5_311_971.75),
    span=9783.939620502561,
    columns=2,
    rows=1,
)


def with_companion(visual: Visual = VISUAL) -> dict[str, Any]:
    item = with_visual(item_of(), visual, sha256="ef" * 32, root=ROOT)
    return json.loads(json.dumps(item, allow_nan=False))


@pytest.mark.parametrize(
    "changes", [{}, {"source_state": None}, {"href": "/elsewhere/a.tif"}, {"image_format": "webp"}]
)
def test_a_companion_comes_back_as_it_was(changes: dict[str, Any]) -> None:
    visual = dataclasses.replace(VISUAL, **changes)
    assert scene_from_item(with_companion(visual), root=ROOT, sequence=4).visual == visual
    assert pystac.Item.from_dict(with_companion(visual)).assets["visual"].roles == ["visual"]


@pytest.mark.parametrize(
    "broken",
    [
        {"href": None},
        {"href": "../outside.tif"},
        {"proj:transform": [1, 2]},
        {"proj:shape": None},
        {"flux:zooms": [3]},
        {"flux:source_state": [1]},
        {"flux:source_bands": "0" * 16},
        {"flux:style_digest": ...},
        {"flux:format": "png"},
    ],
)
def test_a_companion_that_can_not_be_read_is_none(broken: dict[str, Any]) -> None:
    item = with_companion()
    for name, value in broken.items():
        if value is ...:
            del item["assets"]["visual"][name]
        else:
            item["assets"]["visual"][name] = value
    assert scene_from_item(item, root=ROOT, sequence=4).visual is None


def test_a_companion_is_of_the_bands_that_were_drawn() -> None:
    for change in (
        lambda item: item["assets"]["data"]["bands"][0]["flux:percentiles"].update({"2": 11.0}),
        lambda item: item["assets"]["data"].update({"flux:colormap": []}),
        lambda item: item["properties"].update({"flux:kind": "sar"}),
    ):
        item = with_companion()
        assert scene_from_item(item, root=ROOT, sequence=4).visual is not None
        change(item)
        assert scene_from_item(item, root=ROOT, sequence=4).visual is None
