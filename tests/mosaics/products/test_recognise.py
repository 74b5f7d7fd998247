"""Folders as operators have them: deliveries of all kinds, plain images between them, and what is broken."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mosaics.errors import IngestError
from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.recognise import ENDINGS, READERS, find_deliveries, recognise
from tests.conftest import IMAGERY, write_raster

SKELETONS = IMAGERY / "skeletons"
PLANET = IMAGERY / "optical" / "planet"
BUNDLE = SKELETONS / "pleiades_dimap2" / "bundle"
SINGLE = SKELETONS / "pleiades_dimap2" / "single_component"
PNEO = SKELETONS / "pneo_dimap2" / "vhr2020_ms_fs"
SPOT = SKELETONS / "spot_dimap1"
FORMER_S2 = SKELETONS / "sentinel2_fake_l2a" / "S2A_USER_PRD_MSIL2A.SAFE"
SCENE = "20170831_172754_101c_3B_AnalyticMS"

needs_imagery = pytest.mark.imagery


def image(path: Path) -> Path:
    return write_raster(path, np.ones((1, 4, 4), "uint8"))


def found(*paths: Path) -> list[str]:
    """Give what is found, below the first path."""
    base = paths[0].resolve()
    return [str(each.relative_to(base)) for each in find_deliveries(paths)]


def copied(source: Path, target: Path) -> Path:
    """Copy a folder of read-only files so that it can be changed."""
    shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
    for each in (target, *target.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return target


@needs_imagery
@pytest.mark.parametrize(
    ("path", "sensor", "groups"),
    [
        (BUNDLE, "pleiades", ["pms", "pan"]),
        (BUNDLE / "DIM_foo2.XML", "pleiades", ["pan"]),
        (PNEO / "MS-FS", "pleiades-neo", ["ms"]),
        (SPOT, "spot-1-5", ["pan"]),
        (FORMER_S2, "sentinel-2", ["r60m"]),
        (PLANET, "planetscope", ["ms"]),
        (PLANET / f"{SCENE}.tif", "planetscope", ["ms"]),
    ],
)
def test_every_kind_is_recognised(path: Path, sensor: str, groups: list[str]) -> None:
    delivery = recognise(path)
    assert delivery is not None
    assert (delivery.sensor_id, [group.name for group in delivery.groups]) == (sensor, groups)
    check_complete(delivery)


@needs_imagery
@pytest.mark.parametrize(
    "path",
    [
        PLANET / "Houston-East-20170831-3-band.tif",
        PLANET / f"{SCENE}_DN_udm.tif",
        IMAGERY / "optical" / "spot",
        IMAGERY / "missing",
    ],
)
def test_what_is_none_is_none(path: Path) -> None:
    assert recognise(path) is None


@needs_imagery
def test_skeletons_without_pixels_are_recognised_and_refused_with_words(tmp_path: Path) -> None:
    folder = copied(SINGLE, tmp_path / "single")
    (folder / "IMG_foo_R1C1.TIF").write_bytes(b"")
    delivery = recognise(folder)
    assert delivery is not None
    with pytest.raises(DeliveryIncompleteError, match=r"1 of 4 files .*IMG_foo_R1C1\.TIF"):
        check_complete(delivery)
    with pytest.raises(DeliveryIncompleteError, match=r"DIM_PAN\.XML"):
        recognise(PNEO)
    with pytest.raises(DeliveryUnreadableError, match="does not say how large its image is"):
        recognise(SKELETONS / "pneo_pleiades_jp2" / "DIM_md_pneo.XML")


@needs_imagery
def test_the_real_planet_folder() -> None:
    """The delivery with its mask is one, the other images are what they are."""
    assert found(PLANET) == [
        f"{SCENE}_metadata.xml",
        "20170831_172754_101c_3b_Visual.tif",
        "Houston-East-20170831-3-band.tif",
        "SkySat_Freeport_s03_20170831T162740Z.tif",
        "rapideye_20170308_Visual_clip.tif",
    ]
    delivery = recognise(PLANET / f"{SCENE}_metadata.xml")
    assert delivery is not None
    assert [mask.kind for mask in delivery.masks] == ["udm"]


@needs_imagery
def test_an_archive_of_many(tmp_path: Path) -> None:
    copied(BUNDLE, tmp_path / "a" / "bundle")
    image(tmp_path / "a" / "bundle" / "PREVIEW_foo.tif")
    image(tmp_path / "a" / "bundle" / "LIBRARY" / "logo.tif")
    image(tmp_path / "a" / "bundle" / "mine.tif")
    copied(SINGLE, tmp_path / "a" / "single")
    copied(SPOT, tmp_path / "b" / "spot")
    copied(FORMER_S2, tmp_path / "b" / "S2.SAFE")
    image(tmp_path / "b" / "S2.SAFE" / "GRANULE" / "extra.tif")
    image(tmp_path / "c.tif")
    image(tmp_path / "PREVIEW_of_nothing.tif")
    image(tmp_path / ".hidden" / "d.tif")
    (tmp_path / "notes.txt").touch()
    assert found(tmp_path) == [
        "PREVIEW_of_nothing.tif",
        "a/bundle/VOL_PHR.XML",
        "a/bundle/mine.tif",
        "a/single/VOL_PHR.XML",
        "b/S2.SAFE/S2A_USER_MTD_SAFL2A.xml",
        "b/spot/METADATA.DIM",
        "c.tif",
    ]
    for name in found(tmp_path):
        assert (recognise(tmp_path / name) is None) == name.endswith(".tif")


@needs_imagery
def test_a_volume_of_folders_is_one_delivery(tmp_path: Path) -> None:
    volume = copied(PNEO, tmp_path / "order")
    text = (volume / "VOL_PNEO.XML").read_text()
    assert "PAN/DIM_PAN.XML" in text
    assert found(volume) == ["VOL_PNEO.XML"], "not whole: its dataset is not given alone"
    part = re.sub(r"<Component>(?:(?!</Component>).)*DIM_PAN.*?</Component>", "", text, flags=re.DOTALL)
    assert part != text
    (volume / "VOL_PNEO.XML").unlink()
    assert found(volume) == ["MS-FS/DIM_MS-FS.XML"]
    (volume / "VOL_PNEO.XML").write_text(part)
    assert found(volume) == ["VOL_PNEO.XML"]


@needs_imagery
def test_documents_are_known_whatever_they_are_called_and_given_once(tmp_path: Path) -> None:
    bundle = copied(BUNDLE, tmp_path / "bundle")
    shutil.copyfile(bundle / "DIM_foo.XML", bundle / "a copy.xml")
    (bundle / "VOL_PHR.XML").rename(bundle / "order.xml")
    (bundle / "STRIP_foo_DIM.XML").rename(bundle / "DIM_STRIP.XML")
    (bundle / "LINEAGE").mkdir()
    shutil.copyfile(bundle / "DIM_foo2.XML", bundle / "LINEAGE" / "DIM_source.XML")
    shutil.copyfile(bundle / "RPC_foo.XML", bundle / "LINEAGE" / "METADATA.DIM")
    single = copied(SINGLE, tmp_path / "single")
    (single / "VOL_PHR.XML").unlink()
    (single / "DIM_foo.XML").rename(single / "product.xml")
    spot = copied(SPOT, tmp_path / "spot")
    (spot / "METADATA.DIM").rename(spot / "scene_4_METADATA.dim")
    assert found(tmp_path) == ["bundle/order.xml", "single/product.xml", "spot/scene_4_METADATA.dim"]
    whole = recognise(bundle / "order.xml")
    assert whole is not None
    assert [group.name for group in whole.groups] == ["pms", "pan"]
    assert recognise(single) == recognise(single / "product.xml")
    assert recognise(spot) == recognise(spot / "scene_4_METADATA.dim")
    assert recognise(bundle / "DIM_STRIP.XML") is None


@needs_imagery
def test_a_satellite_that_is_not_known_needs_a_sensor(tmp_path: Path) -> None:
    folder = copied(SINGLE, tmp_path / "other")
    text = (folder / "DIM_foo.XML").read_text()
    (folder / "DIM_foo.XML").write_text(text.replace("<MISSION>PHR", "<MISSION>KAZEOSAT"))
    with pytest.raises(DeliveryUnreadableError, match=r"'KAZEOSAT 1A' no sensor is known .* --sensor$"):
        recognise(folder)
    assert found(folder) == ["VOL_PHR.XML"], "its images are its own all the same"
    delivery = recognise(folder, "multispectral")
    assert delivery is not None
    assert (delivery.sensor_id, delivery.platform) == ("multispectral", "KAZEOSAT 1A")


@needs_imagery
def test_several_scenes_in_one_folder_are_given_each(tmp_path: Path) -> None:
    for name in (f"{SCENE}.tif", f"{SCENE}_metadata.xml", f"{SCENE}_DN_udm.tif"):
        for scene in ("101c", "101d"):
            content = (PLANET / name).read_bytes()
            if name.endswith("xml"):
                content = content.replace(b"101c_3B", scene.encode() + b"_3B")
            (tmp_path / name.replace("101c", scene)).write_bytes(content)
    shutil.copyfile(PLANET / f"{SCENE}.tif", tmp_path / f"{SCENE}_SR.tif")
    with pytest.raises(DeliveryUnreadableError, match="2 products"):
        recognise(tmp_path)
    other = SCENE.replace("101c", "101d")
    assert found(tmp_path) == [f"{SCENE}_SR.tif", f"{SCENE}_metadata.xml", f"{other}_metadata.xml"]
    surface = recognise(tmp_path / f"{SCENE}_SR.tif")
    assert surface is not None
    assert surface.groups[0].radiometry == "reflectance"
    assert find_deliveries([tmp_path / f"{SCENE}.tif"]) == (tmp_path / f"{SCENE}_metadata.xml",)
    assert find_deliveries([tmp_path / f"{SCENE}_SR.tif"]) == (tmp_path / f"{SCENE}_SR.tif",)


@needs_imagery
def test_one_that_can_not_be_read_is_given_and_its_images_are_not(tmp_path: Path) -> None:
    folder = copied(SINGLE, tmp_path / "broken")
    for name in ("VOL_PHR.XML", "DIM_foo.XML"):
        (folder / name).write_text("<Dimap_Document>")
    image(folder / "mine.tif")
    (tmp_path / f"{SCENE}_metadata.xml").write_text("<a/>")
    image(tmp_path / f"{SCENE}.tif")
    assert found(tmp_path) == [
        f"{SCENE}_metadata.xml",
        "broken/DIM_foo.XML",
        "broken/VOL_PHR.XML",
        "broken/mine.tif",
    ]
    with pytest.raises(DeliveryUnreadableError, match="no metadata of PlanetScope"):
        recognise(tmp_path / f"{SCENE}.tif")


def test_a_description_takes_the_images_that_it_names(tmp_path: Path) -> None:
    for name in ("one.tif", "two.tif", "other.tif"):
        image(tmp_path / name)
    files = {name: {"path": f"{name}.tif", "bands": ["a"]} for name in ("one", "two")}
    (tmp_path / "own.flux.json").write_text(json.dumps({"product": "x", "sensor": "grey", "files": files}))
    assert found(tmp_path) == ["other.tif", "own.flux.json"]
    (tmp_path / "other.tif.flux.json").write_text("{}")
    assert found(tmp_path) == ["other.tif.flux.json", "own.flux.json"]


def test_named_files_come_in_the_order_of_naming(tmp_path: Path) -> None:
    second, first = image(tmp_path / "a.tif"), image(tmp_path / "b.odd")
    assert find_deliveries([first, second, first]) == (first, second)
    with pytest.raises(IngestError, match="no such file or folder"):
        find_deliveries([tmp_path / "missing"])


def test_links_are_followed_and_loops_are_no_trap(tmp_path: Path) -> None:
    outside = image(tmp_path / "outside" / "secret.tif")
    folder = tmp_path / "folder"
    image(folder / "sub" / "a.tif")
    (folder / "in.tif").symlink_to(folder / "sub" / "a.tif")
    (folder / "out.tif").symlink_to(outside)
    (folder / "there").symlink_to(outside.parent)
    (folder / "up").symlink_to(folder)
    (folder / "nowhere.tif").symlink_to(folder / "none.tif")
    assert list(find_deliveries([folder])) == [folder / "sub/a.tif", outside]


def test_folders_that_are_too_deep_are_told(tmp_path: Path) -> None:
    image(tmp_path.joinpath(*["d"] * 16) / "a.tif")
    assert len(find_deliveries([tmp_path])) == 1
    image(tmp_path.joinpath(*["d"] * 17) / "b.tif")
    with pytest.raises(IngestError, match="more than 16 folders deep"):
        find_deliveries([tmp_path])


def test_the_table_has_every_reader_once() -> None:
    assert (
        len({reader.find for reader in READERS}) == len({reader.read for reader in READERS}) == len(READERS)
    )
    assert ".tif" in ENDINGS
