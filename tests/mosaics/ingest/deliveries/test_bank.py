"""Whole deliveries as scenes: files, bands, masks, styles, items; and nothing by half."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from rasterio.transform import Affine

from mosaics.errors import IngestError
from mosaics.ingest.bank import Bank
from mosaics.ingest.deliveries import groups
from mosaics.ingest.options import BankOptions
from mosaics.item import scene_from_item
from mosaics.products.delivery import (
    BandGroup,
    Delivery,
    DeliveryIncompleteError,
    ImageFile,
    ProductBand,
    VectorMask,
    View,
)
from mosaics.products.recognise import recognise
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles
from tests.conftest import IMAGERY
from tests.mosaics.ingest.conftest import silent
from tests.mosaics.ingest.deliveries.sensor_images import SIZE, linear_rpc, ramp, write

SENSORS, STYLES = load_sensors(), load_styles()
COLOURS = (("B2", "red"), ("B1", "green"), ("B0", "blue"), ("B3", "nir"))
PLACE = Affine(2.0, 0, 500_000, 0, -2.0, 5_150_000)


def group(folder: Path, name: str, bands: tuple[tuple[str, str], ...], **more: Any) -> BandGroup:
    """Write an image on the ground, 400 x 400, and describe it."""
    metadata = folder / f"DIM_{name}.XML"
    metadata.write_text(f"<{name}/>")
    values = np.stack([ramp() + 100 * place for place in range(len(bands))])
    values[:, :20] = 0
    finer = more.pop("finer", 1)
    if finer > 1:
        values = values.repeat(finer, axis=1).repeat(finer, axis=2)
    transform = PLACE @ Affine.scale(1 / finer)
    path = write(folder / f"IMG_{name}.TIF", values, crs="EPSG:32631", transform=transform)
    described: dict[str, Any] = {
        "files": (ImageFile(path=path, row=1, column=1, bands=tuple(band for band, _ in bands)),),
        "bands": tuple(ProductBand(id=band, common_name=name, gain=9.5, bias=0.5) for band, name in bands),
        "height": SIZE * finer,
        "width": SIZE * finer,
        "geometry": "ground",
        "nodata": 0,
        "radiometry": "radiance",
        "metadata": metadata,
    }
    return BandGroup(name=name, **{**described, **more})


def bundle(folder: Path, **more: Any) -> Delivery:
    folder.mkdir(parents=True, exist_ok=True)
    given = more.pop("groups", None) or (
        group(folder, "pan", (("P", "pan"),), finer=4),
        group(folder, "ms", COLOURS),
    )
    described: dict[str, Any] = {
        "groups": given,
        "acquired": datetime(2020, 5, 6, 10, 30, tzinfo=UTC),
        "view": View(incidence=-12.5, azimuth=190.0, sun_elevation=55.0, sun_azimuth=-10.0),
        "copyright": "© CNES 2020",
        "cloud_cover": 3.5,
        "level": "ORTHO",
    }
    return Delivery(name="PHR_1", sensor_id="pleiades", platform="Pléiades 1A", **{**described, **more})


def put(bank: Bank, delivery: Delivery, **options: Any) -> Any:
    return bank.bank_delivery(delivery, BankOptions(**options), silent)


def leftovers(bank: Bank) -> list[Path]:
    return [path for path in bank.home_data.rglob("*") if not path.is_dir() or path.name.startswith(".")]


def test_a_bundle_is_one_scene_of_two_files(bank: Bank, tmp_path: Path) -> None:
    result = put(bank, bundle(tmp_path / "in"))
    scene = result.scene
    assert (scene.id, scene.collection_id, scene.attribution) == ("PHR_1", "pleiades", "© CNES 2020")
    assert [band.common_name for band in scene.bands] == ["red", "green", "blue", "nir"]
    (pan,) = scene.others
    assert (pan.key, pan.ground_resolution) == ("pan", pytest.approx(0.5, rel=0.01))
    assert scene.styles[0] == "natural"
    assert {"pan", "pansharp"} <= set(scene.styles)
    item = bank.catalog.item("pleiades", "PHR_1")
    assert item is not None
    back = scene_from_item(item, root=bank.home_data, sequence=scene.sequence)
    assert dataclasses.replace(back, footprint=scene.footprint) == scene
    with rasterio.open(pan.href) as sharp, rasterio.open(scene.href) as colours:
        assert (sharp.width, colours.width) == (1600, 400)
        assert colours.nodata == 0
        assert colours.scales[0] == pytest.approx(1 / 9.5)
        assert colours.offsets == (0.5,) * 4
    assert sorted(path.name for path in leftovers(bank)) == ["PHR_1.tif", "PHR_1.tif"]


def test_the_item_says_what_the_product_says(bank: Bank, tmp_path: Path) -> None:
    put(bank, bundle(tmp_path / "in"))
    item = bank.catalog.item("pleiades", "PHR_1")
    assert item is not None
    properties = item["properties"]
    assert properties["datetime"] == "2020-05-06T10:30:00Z"
    assert properties["platform"] == "pléiades-1a"
    assert properties["eo:cloud_cover"] == 3.5
    assert (properties["view:incidence_angle"], properties["view:sun_azimuth"]) == (12.5, 350.0)
    assert properties["processing:level"] == "ORTHO"
    assert properties["flux:radiometry"] == {"pan": "radiance", "ms": "radiance"}
    assert item["assets"]["data"]["bands"][0]["raster:scale"] == pytest.approx(1 / 9.5)
    assert any("/view/" in each for each in item["stac_extensions"])
    assert pystac.Item.from_dict(item).to_dict(transform_hrefs=False) == item


def test_bands_unlike_the_table_are_asked_about(bank: Bank, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    odd = group(folder, "ms", (("B3", "nir"), ("B2", "red"), ("B1", "green")))
    delivery = bundle(folder, groups=(odd,))
    with pytest.raises(IngestError, match=r"nir, red, green.*Which are they.*--bands ms=nir,red,green"):
        put(bank, delivery)
    assert leftovers(bank) == []
    scene = put(bank, delivery, bands={"ms": ("nir", "red", "green")}).scene
    assert [band.common_name for band in scene.bands] == ["nir", "red", "green"]
    assert "ndvi" in scene.styles
    assert "natural" not in scene.styles


def test_another_number_of_names_is_refused(bank: Bank, tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="2 names were given for the 4 bands of ms"):
        put(bank, bundle(tmp_path / "in"), bands={"": ("red", "green")})


def gml(path: Path, *rings: str) -> Path:
    """Write polygons as DIMAP does."""
    polygons = "".join(
        "<gml:featureMember><MaskFeature><gml:extentOf><gml:Polygon><gml:exterior><gml:LinearRing>"
        f"<gml:posList srsDimension='2'>{ring}</gml:posList>"
        "</gml:LinearRing></gml:exterior></gml:Polygon></gml:extentOf></MaskFeature></gml:featureMember>"
        for ring in rings
    )
    path.write_text(f"<Mask xmlns:gml='http://www.opengis.net/gml/3.2'>{polygons}</Mask>")
    return path


def test_masks_are_burnt_in_and_kept(bank: Bank, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    roi = gml(folder / "ROI.GML", "1 1 301 1 301 400 1 400 1 1")
    cloud = gml(folder / "CLD.GML", "101 101 151 101 151 201 101 201 101 101")
    masks = tuple(
        VectorMask(kind=kind, path=path, group="ms", in_pixels=True)
        for kind, path in (("roi", roi), ("cloud", cloud))
    )
    delivery = bundle(folder, groups=(group(folder, "ms", COLOURS),), vector_masks=masks)
    scene = put(bank, delivery).scene
    with rasterio.open(scene.href) as source:
        shown = source.read(1) > 0
    assert shown[20:, :301].all(), "the first rows have no data"
    assert not shown[:, 301:].any(), "corners of polygons are middles of pixels"
    item = bank.catalog.item("pleiades", "PHR_1")
    assert item is not None
    mask = item["assets"]["mask"]
    assert {each["name"] for each in mask["classification:classes"]} >= {"clear", "cloud", "snow"}
    with rasterio.open(bank.home_data / mask["href"]) as source:
        values = source.read(1)
    assert values[150, 120] == 6
    assert values[50, 50] == 1
    assert values[150, 350] == 0
    assert (values == 6).sum() == 51 * 101
    assert "mask" not in [other.key for other in scene.others]


def test_sensor_geometry_is_put_on_the_ground_and_the_item_says_how(bank: Bank, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = write(folder / "IMG.TIF", ramp()[np.newaxis], rpcs=linear_rpc())
    raw = group(folder, "pan", (("P", "pan"),))
    raw = dataclasses.replace(raw, geometry="sensor", files=(dataclasses.replace(raw.files[0], path=path),))
    result = put(bank, bundle(folder, groups=(raw,)))
    assert any("without an elevation model" in message for message in result.messages)
    item = bank.catalog.item("pleiades", "PHR_1")
    assert item is not None
    assert "orthorectified to EPSG:32631" in item["properties"]["processing:lineage"]


def test_the_same_again_changes_nothing(bank: Bank, tmp_path: Path) -> None:
    delivery = bundle(tmp_path / "in")
    put(bank, delivery)
    again = put(bank, dataclasses.replace(delivery, name="renamed"))
    assert (again.status, again.scene_id) == ("unchanged", "PHR_1")


def test_other_content_of_the_same_name_is_another_scene(bank: Bank, tmp_path: Path) -> None:
    put(bank, bundle(tmp_path / "in"))
    other = bundle(tmp_path / "other", groups=(group(tmp_path, "pms", COLOURS),))
    assert put(bank, other).scene_id.startswith("PHR_1-")


def test_half_a_delivery_is_refused_and_nothing_is_left(bank: Bank, tmp_path: Path) -> None:
    delivery = bundle(tmp_path / "in")
    delivery.groups[0].files[0].path.unlink()
    with pytest.raises(DeliveryIncompleteError, match=r"IMG_pan\.TIF"):
        put(bank, delivery)
    assert not bank.home_data.exists() or leftovers(bank) == []


def test_what_was_interrupted_goes_on(bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = bundle(tmp_path / "in")
    described = groups.describe_group

    def interrupted(*arguments: Any) -> Any:
        if arguments[1].name == "pan":
            raise KeyboardInterrupt
        return described(*arguments)

    monkeypatch.setattr(groups, "describe_group", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put(bank, delivery)
    assert bank.catalog.item("pleiades", "PHR_1") is None
    (finished,) = bank.home_data.rglob("data/finished-*.tif")
    before = finished.stat().st_ino
    monkeypatch.setattr(groups, "describe_group", described)
    scene = put(bank, delivery).scene
    assert Path(scene.href).stat().st_ino == before, "what was finished is not made again"
    assert sorted(path.name for path in leftovers(bank)) == ["PHR_1.tif", "PHR_1.tif"]


@pytest.mark.imagery
def test_a_real_planetscope_delivery_keeps_its_mask(bank: Bank) -> None:
    path = IMAGERY / "optical/planet/20170831_172754_101c_3B_AnalyticMS_metadata.xml"
    delivery = recognise(path)
    assert delivery is not None
    result = put(bank, delivery)
    scene = result.scene
    assert scene.acquired == datetime(2017, 8, 31, 17, 27, 54, tzinfo=UTC)
    assert scene.styles[0] == "natural"
    assert any("256 x 256 pixels" in message for message in result.messages)
    item = bank.catalog.item(scene.collection_id, scene.id)
    assert item is not None
    with rasterio.open(bank.home_data / item["assets"]["mask"]["href"]) as source:
        assert set(np.unique(source.read(1))) <= {0, 1, 6, 7}
