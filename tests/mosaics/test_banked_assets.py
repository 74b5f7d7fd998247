"""Assets of other people's documents, recognised among banked scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from item_columns import ItemColumns

from mosaics.banked_assets import BankedAssets, these
from mosaics.cql2 import selected


def item(collection: str, id_: str, href: str | None) -> dict[str, Any]:
    assets = {} if href is None else {"data": {"href": href}}
    point = {"type": "Point", "coordinates": [0, 0]}
    return {"id": id_, "collection": collection, "assets": assets, "geometry": point, "properties": {}}


@pytest.fixture
def assets(tmp_path: Path) -> BankedAssets:
    (tmp_path / "copy.tif").write_bytes(b"content of b")
    items = [
        item("c", "a", "cogs/c/a.tif"),
        item("c", "b", "cogs/c/b.tif"),
        item("d", "a", str(tmp_path / "in place.tif")),
        item("d", "o", "s3://bucket/deep/o.tif"),
        item("d", "lost", "../outside.tif"),
        item("e", "bare", None),
        item("e", "twice", "s3://bucket/deep/o.tif"),
    ]

    def by_content(path: Path) -> tuple[str, str] | None:
        return ("c", "b") if path.read_bytes() == b"content of b" else None

    return BankedAssets.of(
        {(each["collection"], each["id"]): each for each in items}, tmp_path / "data", by_content
    )


@pytest.mark.parametrize(
    ("asset", "way", "scenes"),
    [
        ("{tmp}/data/cogs/c/a.tif", "address", [("c", "a")]),
        ("file://{tmp}/data/cogs/c/a.tif", "address", [("c", "a")]),
        ("data/cogs/c/a.tif", "address", [("c", "a")]),
        ("elsewhere/../in place.tif", "address", [("d", "a")]),
        ("s3://bucket/deep/o.tif", "address", [("d", "o"), ("e", "twice")]),
        ("/vsis3/bucket/deep/o.tif", "address", [("d", "o"), ("e", "twice")]),
        ("d:a", "id", [("d", "a")]),
        ("b", "id", [("c", "b")]),
        ("copy.tif", "content", [("c", "b")]),
        ("https://example.org/x/b.tif?token=1", "name", [("c", "b")]),
        ("/other/disk/bare.tif", "name", [("e", "bare")]),
    ],
)
def test_an_asset_is_recognised(
    assets: BankedAssets, tmp_path: Path, asset: str, way: str, scenes: list[tuple[str, str]]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    found = assets.find(asset.format(tmp=tmp_path), tmp_path)
    assert found is not None
    assert (found.way, list(found.scenes)) == (way, scenes)


@pytest.mark.parametrize("asset", ["a", "x/a.tif", "c:o", "nothing.tif", "s3://other/deep/z.tif", ""])
def test_what_is_not_sure_is_not_recognised(assets: BankedAssets, tmp_path: Path, asset: str) -> None:
    assert assets.find(asset, tmp_path) is None


def test_the_filter_of_scenes_selects_them_and_no_others_of_the_same_id() -> None:
    keys = [("c", "a"), ("c", "b"), ("d", "a"), ("d", "o"), ("e", "x")]
    columns = ItemColumns(item(collection, id_, None) for collection, id_ in keys)
    for wanted in ([("c", "a")], [("c", "b"), ("d", "a")], [("d", "o"), ("d", "a"), ("d", "o")], keys):
        chosen = selected(these(wanted), columns)
        assert [key for key, held in zip(keys, chosen, strict=True) if held] == [
            key for key in keys if key in wanted
        ]
