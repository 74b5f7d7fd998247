"""An item that is plain at a glance is one that a scene can be made of, whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from mosaics.errors import SceneUnreadableError
from mosaics.item import scene_from_item, with_visual
from mosaics.models import Visual
from mosaics.plain_item import is_plain
from tests.items import item

ROOT = Path("/home/of/data")
JUNK: list[Any] = [None, 3, 1e300, "", "x", "../x", [], [1], [[]], ["data"], {}, {"name": 1}, True]
GONE = object()
VISUAL = Visual(
    href="/home/of/data/visuals/c/a.tif",
    file_size=5,
    source_generation="0",
    source_state=(1, 2),
    style_id="natural",
    style_digest="d",
    renderer_version=1,
    image_format="webp",
    quality=80,
    grid_id="WebMercatorQuad",
    zooms=(10, 12),
    crs="EPSG:3857",
    origin=(0.0, 0.0),
    span=1024.0,
    columns=1,
    rows=1,
)


def rich() -> dict[str, Any]:
    """Give an item with two files, a quicklook and a companion."""
    made = item("a", license="l", **{"flux:attribution": "© A"})
    data = made["assets"]["data"]
    data["bands"] = [
        {
            **data["bands"][0],
            "statistics": {"minimum": 1, "maximum": 7},
            "flux:percentiles": {"2": 1, "98": 6},
            "raster:scale": 0.1,
        }
    ]
    made["assets"]["pan"] = {**deepcopy(data), "href": "cogs/c/a-pan.tif", "proj:shape": [400, 400]}
    made["assets"]["thumbnail"] = {"href": "quicklooks/c/a.webp", "roles": ["thumbnail"]}
    return with_visual(made, VISUAL, sha256="00", root=ROOT)


def places(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Give the way to each part of a document."""
    yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from places(part, *path, name)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from places(part, *path, number)


def changed(path: tuple[str | int, ...], value: Any) -> Any:
    made: Any = rich()
    if not path:
        return value
    holder = made
    for step in path[:-1]:
        holder = holder[step]
    if value is GONE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return made


def is_readable(given: Any) -> bool:
    try:
        scene_from_item(given, root=ROOT, sequence=0)
    except SceneUnreadableError:
        return False
    return True


@pytest.mark.parametrize("given", [item(), rich()])
def test_what_banking_writes_is_plain(given: dict[str, Any]) -> None:
    assert is_plain(given)
    assert is_readable(given)


def test_no_item_is_plain_that_is_no_scene() -> None:
    outside = ("geometry", "datetime")
    ways = [path for path in places(rich()) if path and not set(outside) & set(path)]
    told = {True: 0, False: 0}
    for path in ways:
        for value in (GONE, *JUNK):
            made = changed(path, value)
            readable = is_readable(made)
            told[readable] += 1
            assert readable or not is_plain(made), (path, value)
    assert min(told.values()) > 100
    assert not is_plain(None)
    assert not is_plain([])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mask", {"href": 3, "classification:classes": [{"value": 1, "name": "cloud"}]}),
        ("mask", 3),
        ("pan", {"roles": ["data"]}),
        ("pan", {"roles": None}),
        ("pan", 3),
    ],
)
def test_a_file_more_that_can_not_be_read_is_not_plain(name: str, value: Any) -> None:
    given = rich()
    given["assets"][name] = value
    assert not is_plain(given)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flux:colormap", 3),
        ("flux:colormap", [[1, [2]]]),
        ("bands", [{"name": "a", "data_type": "uint8"}, 3]),
        ("bands", [{"name": "a", "data_type": "uint8", "flux:relative_reflectance": 3}]),
    ],
)
def test_fields_that_are_seldom_are_left_to_reading(field: str, value: Any) -> None:
    given = item()
    given["assets"]["data"][field] = value
    assert not is_plain(given)
    assert not is_readable(given)


@pytest.mark.parametrize("zooms", [[0, 5000], [0, 10**400], [12, 10], [0, 1e300]])
def test_a_companion_of_impossible_levels_is_none(zooms: list[float]) -> None:
    given = rich()
    given["assets"]["visual"]["flux:zooms"] = zooms
    assert scene_from_item(given, root=ROOT, sequence=0).visual is None
