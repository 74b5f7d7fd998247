"""Descriptions of our own: the one in the guide, and those that are refused by key and reason."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mosaics.products import sidecar
from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.sidecar import find_sidecar, read_sidecar
from tests.conftest import ROOT, write_raster

GUIDE = (ROOT / "docs" / "guides" / "sidecar.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```json\n(.*?)```", GUIDE, re.DOTALL)[1]


def product(folder: Path, **changes: Any) -> Path:
    """Make the product of the guide; a change of a key in an image has a dot, None takes it away."""
    document = json.loads(EXAMPLE)
    for key, value in changes.items():
        target, name = (document["files"]["ms"], key[3:]) if key.startswith("ms_") else (document, key)
        if value is None:
            del target[name]
        else:
            target[name] = value
    write_raster(folder / "ms.tif", np.ones((4, 5, 6), "uint16"))
    write_raster(folder / "pan.tif", np.ones((1, 10, 12), "uint16"))
    path = folder / "co3d.flux.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_the_example_of_the_guide(tmp_path: Path) -> None:
    path = product(tmp_path)
    assert find_sidecar(tmp_path) == find_sidecar(path) == path
    assert find_sidecar(tmp_path / "ms.tif") is None, "it is not named after it"
    delivery = read_sidecar(path)
    assert (delivery.name, delivery.sensor_id, delivery.platform) == (
        *("CO3D_20260314_TOULOUSE", "co3d", "CO3D"),
    )
    assert delivery.acquired == datetime(2026, 3, 14, 10, 52, 7, tzinfo=UTC)
    assert (delivery.copyright, delivery.cloud_cover) == ("© CNES/Airbus DS, 2026", 3.5)
    assert (delivery.level, delivery.kind) == ("ORTHO", "optical")
    assert (delivery.view.incidence, delivery.view.off_nadir) == (12.4, None)
    colours, pan = delivery.groups
    assert (colours.name, colours.height, colours.width, colours.nodata) == ("ms", 5, 6, 0)
    assert [band.common_name for band in colours.bands] == ["red", "green", "blue", "nir"]
    assert colours.bands[3].range_nm == (750, 880)
    assert (colours.geometry, colours.radiometry, colours.files[0].driver) == ("ground", "unknown", "GTiff")
    assert (pan.name, pan.height, pan.bands[0].common_name) == ("pan", 10, "pan")
    check_complete(delivery)


def test_the_guide_names_every_key_and_no_other() -> None:
    first_cells = "".join(re.findall(r"^\| (.*?) \|", GUIDE, re.MULTILINE))
    tables = set(re.findall(r"`([a-z_]+)`", first_cells))
    bands = set(re.findall(r"`([a-z_]+)`", GUIDE.partition("A band may tell")[2].partition(":")[0]))
    assert tables == (sidecar._DOCUMENT | sidecar._DOCUMENT_OPTIONAL | sidecar._FILE | sidecar._FILE_OPTIONAL)
    assert bands == sidecar._BAND | sidecar._BAND_OPTIONAL


def test_little_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif.flux.json"
    write_raster(tmp_path / "a.tif", np.ones((2, 5, 6), "uint16"))
    document = {"product": "own", "sensor": "grey", "files": {"x": {"path": "a.tif", "bands": ["first"]}}}
    path.write_text(json.dumps(document))
    assert find_sidecar(tmp_path / "a.tif") == path
    delivery = read_sidecar(path)
    assert (delivery.name, delivery.platform, delivery.kind, delivery.acquired) == (
        "a.tif",
        "OWN",
        None,
        None,
    )
    assert [(band.id, band.common_name) for band in delivery.groups[0].bands] == [("first", None)]
    (tmp_path / "b.flux.json").touch()
    with pytest.raises(DeliveryUnreadableError, match="2 products"):
        find_sidecar(tmp_path)


def test_sensor_geometry_and_numbers_of_a_band(tmp_path: Path) -> None:
    bands = [{"id": f"B{place}", "common_name": "red", "gain": 10 + place, "bias": -1} for place in range(4)]
    path = product(
        tmp_path, ms_geometry="sensor", ms_rpc="ms_RPC.TXT", ms_radiometry="radiance", ms_bands=bands
    )
    (tmp_path / "ms_RPC.TXT").write_text("x")
    group = read_sidecar(path).groups[0]
    assert (group.geometry, group.rpc, group.radiometry) == ("sensor", tmp_path / "ms_RPC.TXT", "radiance")
    assert [(band.gain, band.bias) for band in group.bands] == [(10, -1), (11, -1), (12, -1), (13, -1)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"product": None}, "product: it is missing"),
        ({"sensor": None}, "sensor: it is missing"),
        ({"sensor": 3}, "sensor: it must be a text"),
        ({"files": None}, "files: it is missing"),
        ({"files": {}}, "files: it must name at least one image"),
        ({"files": []}, "files: it must be an object"),
        ({"colour": "blue"}, "colour: no such key; known here are cloud_cover, "),
        ({"datetime": "yesterday"}, "datetime: it must be a time such as"),
        ({"datetime": "2026-03-14T10:52:07"}, "datetime: it must tell its zone"),
        ({"cloud_cover": 101}, "cloud_cover: it must be a number from 0 to 100"),
        ({"cloud_cover": "low"}, "cloud_cover: it must be a number from 0 to 100"),
        ({"cloud_cover": True}, "cloud_cover: it must be a number from 0 to 100"),
        ({"kind": "picture"}, "kind: it must be one of optical, sar,"),
        ({"view": {"zenith": 1}}, "view.zenith: no such key"),
        ({"view": {"sun_elevation": 91}}, "view.sun_elevation: it must be a number from -90 to 90"),
        ({"ms_path": None}, "files.ms.path: it is missing"),
        ({"ms_path": "../ms.tif"}, "outside the delivery"),
        ({"ms_path": "/etc/passwd"}, "outside the delivery"),
        ({"ms_bands": []}, "files.ms.bands: it must be a list of bands in file order"),
        ({"ms_bands": ["red", "red", "blue", "nir"]}, "files.ms.bands: two of them have the same name"),
        ({"ms_bands": ["red", "green"]}, "files.ms.bands: they are 2, and ms.tif has 4"),
        ({"ms_bands": ["red", 2, "blue", "nir"]}, "files.ms.bands.1: it must be a name or an object"),
        (
            {"ms_bands": ["red", {"id": "b", "gain": 0}]},
            "files.ms.bands.1.gain: counts can't be divided by 0",
        ),
        ({"ms_bands": ["red", {"id": "b", "x": 0}]}, "files.ms.bands.1.x: no such key"),
        ({"ms_bands": [{"id": "b", "range_nm": [2, 1]}]}, "bands.0.range_nm: it must be two numbers"),
        ({"ms_nodata": "none"}, "files.ms.nodata: it must be a number"),
        ({"ms_radiometry": "counts"}, "files.ms.radiometry: it must be one of radiance, reflectance,"),
        ({"ms_geometry": "map"}, "files.ms.geometry: it must be one of ground, sensor"),
        ({"ms_rpc": "a.txt"}, "files.ms.rpc: only an image whose geometry is"),
        ({"files": {"m/s": {"path": "ms.tif", "bands": ["a"]}}}, "files.m/s: a name has letters"),
    ],
)
def test_errors_name_key_and_reason(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DeliveryUnreadableError, match=re.escape(words)) as found:
        read_sidecar(product(tmp_path, **changes))
    assert str(found.value).startswith("co3d.flux.json: ")


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = product(tmp_path)
    (tmp_path / "pan.tif").unlink()
    delivery = read_sidecar(path)
    assert (delivery.groups[1].height, delivery.groups[1].width) == (0, 0)
    with pytest.raises(DeliveryIncompleteError, match=r"pan\.tif"):
        check_complete(delivery)


@pytest.mark.parametrize("content", ["", "{", "[]", "NaN", '{"product": 1, "product": 2}', "[" * 100_000])
def test_what_is_no_description_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.flux.json"
    path.write_text(content)
    with pytest.raises(DeliveryUnreadableError, match=r"a\.flux\.json: it is no JSON"):
        read_sidecar(path)
