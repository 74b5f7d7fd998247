"""Changes: values of one meaning are subtracted, first valid pixel first, and nothing is made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from scenes import collection, scene

from mosaics.change import Pair, compose_change
from mosaics.change_look import Look, load_changes, look_of, value_of_style
from mosaics.errors import ChangeUnsuitableError, NobodyWaitsError
from mosaics.filters import EVERYTHING
from mosaics.layers import ANY_TIME, Layer
from mosaics.models import Band, Bounds, Frame, Picture, Scene
from mosaics.read import RioTilerReader
from mosaics.resolve import ResolvedTile, resolve
from mosaics.styles import load_styles
from tests.conftest import write_raster

CHANGES, STYLES = load_changes(), load_styles()
FRAME = Frame(crs="EPSG:2154", bounds=Bounds(572_000, 6_279_936, 572_064, 6_280_000), width=64, height=64)
METRES = Band(name="elevation", common_name="elevation", data_type="float32", unit="m")


def heights(path: Path, data: np.ndarray, band: Band = METRES, **more: Any) -> Scene:
    """Write heights of 1 m pixels over the frame; -9999 is nothing."""
    write_raster(path, data.astype("float32")[np.newaxis], resolution=1.0, nodata=-9999)
    values = {
        "id": path.stem,
        "href": str(path),
        "kind": "elevation",
        "bands": (band,),
        "styles": ("hillshade", "grey"),
        "width": 64,
        "height": 64,
        "ground_resolution": 1.0,
        "footprint": shapely.box(1, 43, 2, 44),
    }
    return scene(**(values | more))


def tile(*scenes: Scene) -> ResolvedTile:
    layer = Layer.of("c", scenes, collection=collection())
    return resolve(
        layer, EVERYTHING, FRAME, ground_resolution=1.0, span=ANY_TIME, style_id=None, styles=STYLES
    )


def look(one: Scene, **more: Any) -> Look:
    wanted = {"name": "hillshade", "rescale": None, "colormap_name": None} | more
    return look_of(CHANGES, STYLES.get("hillshade"), one, **wanted)


def changed(later: ResolvedTile, earlier: ResolvedTile, shown: Look) -> tuple[Picture, list[str]]:
    pair = Pair(later=later, earlier=earlier, look=shown)
    picture, used = compose_change(pair, RioTilerReader(), lambda _error: None)
    return picture, [contribution.scene.id for contribution in used]


def test_holes_are_filled_by_the_next_scene_of_the_same_date(tmp_path: Path) -> None:
    top = np.full((64, 64), 105.0)
    top[:, :32] = -9999
    newer = heights(tmp_path / "newer.tif", top, sequence=2)
    older = heights(tmp_path / "older.tif", np.full((64, 64), 103.0), sequence=1)
    before = heights(tmp_path / "before.tif", np.full((64, 64), 100.0))
    picture, used = changed(tile(newer, older), tile(before), look(newer))
    assert picture.alpha.all()
    assert used == ["newer", "older", "before"]
    left, right = picture.rgb[30, 10].astype(int), picture.rgb[30, 50].astype(int)
    assert (left != right).any()
    assert right[2] > right[0], "blue is higher than before"
    above = replace(older, sequence=3)
    _, unused = changed(tile(above, newer), tile(before), look(newer))
    assert unused == ["older", "before"], "what gives no pixel is not credited"


def test_nothing_is_shown_where_one_date_has_nothing(tmp_path: Path) -> None:
    holed = np.full((64, 64), 105.0)
    holed[:20] = -9999
    one, other = heights(tmp_path / "a.tif", np.full((64, 64), 100.0)), heights(tmp_path / "b.tif", holed)
    for pair in ((one, other), (other, one)):
        picture, _ = changed(tile(pair[0]), tile(pair[1]), look(one))
        assert not picture.alpha[:18].any()
        assert not picture.rgb[:18].any()
        assert picture.alpha[22:].all()


def test_values_of_another_meaning_are_not_subtracted(tmp_path: Path) -> None:
    metres = heights(tmp_path / "m.tif", np.full((64, 64), 100.0))
    feet = heights(tmp_path / "ft.tif", np.full((64, 64), 320.0), METRES._replace(unit="ft"))
    picture, used = changed(tile(metres), tile(feet), look(metres))
    assert not picture.alpha.any()
    assert used == []
    assert value_of_style(STYLES.get("hillshade"), feet) != value_of_style(STYLES.get("hillshade"), metres)


def test_the_look_is_the_files_or_the_callers_or_the_styles(tmp_path: Path) -> None:
    one = heights(tmp_path / "a.tif", np.zeros((64, 64)))
    assert (look(one).rescale, look(one).colormap_name) == ((-10, 10), "rdbu")
    own = look(one, rescale=(-1.0, 2.0), colormap_name="viridis")
    assert (own.rescale, own.colormap_name) == ((-1, 2), "viridis")
    slope = scene(
        kind="measure", bands=(Band(name="v", common_name="coherence", data_type="float32"),), styles=()
    )
    fixed = look_of(
        CHANGES, STYLES.get("coherence"), slope, name="coherence", rescale=None, colormap_name=None
    )
    assert fixed.rescale == (-0.5, 0.5), "half the width of the style's own range"
    with pytest.raises(ChangeUnsuitableError):
        look_of(CHANGES, STYLES.get("natural"), scene(), name="natural", rescale=None, colormap_name=None)


def test_it_stops_when_nobody_waits(tmp_path: Path) -> None:
    one = heights(tmp_path / "a.tif", np.zeros((64, 64)))
    pair = Pair(later=tile(one), earlier=tile(one), look=look(one))
    with pytest.raises(NobodyWaitsError):
        compose_change(pair, RioTilerReader(), lambda _error: None, lambda: True)


def test_the_key_names_both_dates_their_order_and_the_look(tmp_path: Path) -> None:
    one = heights(tmp_path / "a.tif", np.zeros((64, 64)))
    other = heights(tmp_path / "b.tif", np.ones((64, 64)))
    a, b, shown = tile(one), tile(other), look(one)
    keys = {
        Pair(later=a, earlier=b, look=shown).key("png"),
        Pair(later=b, earlier=a, look=shown).key("png"),
        Pair(later=a, earlier=a, look=shown).key("png"),
        Pair(later=a, earlier=b, look=look(one, rescale=(-1.0, 1.0))).key("png"),
        Pair(later=a, earlier=b, look=look(one, colormap_name="viridis")).key("png"),
        Pair(later=a, earlier=b, look=shown).key("webp:webp80"),
    }
    assert len(keys) == 6
