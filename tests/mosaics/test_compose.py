from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import shapely
from scenes import collection, scene

from mosaics.compose import compose, inside
from mosaics.errors import SceneUnreadableError
from mosaics.filters import EVERYTHING, Exclusion, Fineness, SceneFilter, SceneRule, SceneSet
from mosaics.geodesy import lonlat_transformer
from mosaics.layers import ANY_TIME, Layer
from mosaics.models import Band, Bounds, Frame, Raster, Scene
from mosaics.resolve import ResolvedTile, frame_outline, resolve
from mosaics.styles import load_styles

STYLES = load_styles()
FRAME = Frame(crs="OGC:CRS84", bounds=Bounds(1, 43, 2, 44), width=64, height=64)
WEST = shapely.box(0, 40, 1.5, 50)


@dataclass
class Constant:
    """A reader that knows each scene by one number, valid in its footprint only."""

    values: dict[str, int]
    broken: frozenset[str] = frozenset()
    read_scenes: list[str] = field(default_factory=list)

    def read(self, one: Scene, indexes: Sequence[int], frame: Frame, *_: Any) -> Raster:
        self.read_scenes.append(one.id)
        if one.id in self.broken:
            raise SceneUnreadableError(one.id)
        valid = inside(one.footprint, frame)
        data = np.full((len(indexes), frame.height, frame.width), self.values[one.id], "uint8")
        return Raster(data=data, valid=valid)

    def sample(self, *_arguments: Any) -> None:
        return None


NEW = scene("new", sequence=2, footprint=shapely.box(1, 43, 1.25, 44))
OLD = scene("old", sequence=1, footprint=shapely.box(1, 43, 2, 44))
READER = {"new": 200, "old": 100}


def tile(scene_filter: SceneFilter = EVERYTHING, *scenes: Scene, resolution: float = 1.0) -> ResolvedTile:
    layer = Layer.of("c", scenes or (NEW, OLD), collection=collection(), opened=scene_filter)
    return resolve(
        layer,
        scene_filter,
        FRAME,
        ground_resolution=resolution,
        span=ANY_TIME,
        style_id=None,
        styles=STYLES,
    )


def shown(resolved: ResolvedTile, reader: Constant) -> np.ndarray:
    picture, _ = compose(resolved, reader, lambda _error: None)
    return np.where(picture.alpha > 0, picture.rgb[..., 0].astype(int), -1)


def test_the_first_valid_pixel_has_the_say() -> None:
    pixels = shown(tile(), Constant(READER))
    assert (pixels[:, :16] == 200).all()
    assert (pixels[:, 16:] == 100).all()


def test_a_full_tile_reads_no_further() -> None:
    above = replace(OLD, id="above", sequence=3)
    reader = Constant({**READER, "above": 50})
    shown(tile(EVERYTHING, NEW, OLD, above), reader)
    assert reader.read_scenes == ["above"]


def test_a_cut_scene_lets_the_next_allowed_one_show() -> None:
    cut = SceneFilter(
        (
            SceneRule(scenes=SceneSet(scenes=frozenset({"old"}))),
            SceneRule(scenes=SceneSet(scenes=frozenset({"new"})), area=shapely.box(0, 43.5, 3, 45)),
        )
    )
    pixels = shown(tile(cut), Constant(READER))
    assert (pixels[:32, :16] == 200).all()
    assert (pixels[32:, :16] == 100).all()


def test_nothing_is_left_under_a_cut_not_even_colour() -> None:
    resolved = tile(SceneFilter((SceneRule(scenes=SceneSet(), area=WEST),)), OLD)
    picture, used = compose(resolved, Constant(READER), lambda _error: None)
    assert (picture.alpha[:, :32] == 255).all()
    assert (picture.alpha[:, 32:] == 0).all()
    assert (picture.rgb[:, 32:] == 0).all()
    assert [c.scene.id for c in used] == ["old"]


def test_an_exclusion_cuts_too() -> None:
    embargo = SceneFilter(
        (SceneRule(scenes=SceneSet(), exclusions=(Exclusion(scenes=SceneSet(), area=WEST),)),)
    )
    pixels = shown(tile(embargo, OLD), Constant(READER))
    assert (pixels[:, :32] == -1).all()
    assert (pixels[:, 32:] == 100).all()


def test_pixel_centres_decide() -> None:
    half_pixel = 1 / 64 / 2
    edge = shapely.box(1, 43, 1 + 10 / 64 + half_pixel * 0.9, 44)
    assert inside(edge, FRAME).sum(axis=1).tolist() == [10] * 64
    edge = shapely.box(1, 43, 1 + 10 / 64 + half_pixel * 1.1, 44)
    assert inside(edge, FRAME).sum(axis=1).tolist() == [11] * 64


def test_equal_content_has_one_key_whoever_asks() -> None:
    everywhere = SceneFilter((SceneRule(scenes=SceneSet(collections=frozenset({"c"}))),))
    around = SceneFilter((SceneRule(scenes=SceneSet(), area=shapely.box(0, 40, 5, 50)),))
    keys = {tile(f).key("png") for f in (EVERYTHING, everywhere, around)}
    assert len(keys) == 1
    assert tile().key("jpg") not in keys


@pytest.mark.parametrize(
    "other",
    [
        lambda: tile(SceneFilter((SceneRule(scenes=SceneSet(), area=WEST),))),
        lambda: tile(EVERYTHING, OLD),
        lambda: tile(EVERYTHING, replace(OLD, sequence=2), replace(NEW, sequence=1)),
        lambda: tile(EVERYTHING, scene("new", generation="other", footprint=NEW.footprint), OLD),
        lambda: tile(EVERYTHING, scene("new", styles=("ndvi",), sequence=2, footprint=NEW.footprint), OLD),
    ],
)
def test_other_content_has_another_key(other: Any) -> None:
    assert other().key("png") != tile().key("png")


def test_scenes_elsewhere_are_not_in_the_tile() -> None:
    far = scene("far", footprint=shapely.box(10, 43, 11, 44))
    assert tile(EVERYTHING, far).contributions == ()
    assert not tile(EVERYTHING, far).resolution_refused


def test_a_resolution_that_opens_nothing_is_told() -> None:
    limited = SceneFilter((SceneRule(scenes=SceneSet(), fineness=Fineness(ground_resolution=5.0)),))
    assert tile(limited, resolution=1.0).resolution_refused
    assert not tile(limited, resolution=5.0).resolution_refused


def test_a_broken_scene_fails_alone() -> None:
    told: list[SceneUnreadableError] = []
    picture, _ = compose(tile(), Constant(READER, broken=frozenset({"new"})), told.append)
    assert (picture.rgb[..., 0] == 100).all()
    assert [error.scene_id for error in told] == ["new"]
    with pytest.raises(SceneUnreadableError):
        compose(tile(), Constant(READER, broken=frozenset({"new", "old"})), told.append)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        Frame(crs="EPSG:3857", bounds=Bounds(155000, 5390000, 160000, 5395000), width=256, height=256),
        Frame(crs="EPSG:2154", bounds=Bounds(570000, 6270000, 580000, 6280000), width=256, height=256),
    ],
)
def test_the_outline_holds_every_pixel_centre(frame: Frame) -> None:
    outline = frame_outline(frame).buffer(1e-9)
    left, bottom, right, top = frame.bounds
    xs, ys = np.meshgrid(np.linspace(left, right, 41), np.linspace(bottom, top, 41))
    lon, lat = lonlat_transformer(frame.crs).transform(xs, ys)
    grown = shapely.buffer(outline, (frame.bounds.right - frame.bounds.left) * 1e-8)
    assert shapely.contains_xy(grown, lon, lat).mean() > 0.99


def test_a_frame_off_the_earth_meets_everything() -> None:
    off = Frame(crs="EPSG:2154", bounds=Bounds(-3e7, -3e7, 3e7, 3e7), width=16, height=16)
    assert frame_outline(off).area > 60000


def test_a_style_that_is_gone_or_no_longer_fits_is_skipped() -> None:
    """Catalogues outlive styles: those that a scene lists may bind no more."""
    one = scene("new", styles=("no-more", "hillshade", "natural"), footprint=OLD.footprint)
    assert [c.style.id for c in tile(EVERYTHING, one).contributions] == ["natural"]
    none = scene("new", styles=("no-more", "hillshade"), footprint=OLD.footprint)
    reader = Constant(READER)
    assert (shown(tile(EVERYTHING, none, OLD), reader) == 100).all()
    assert reader.read_scenes == ["old"]
    assert not tile(EVERYTHING, scene("new", styles=("no-more",))).contributions
    layer = Layer.of("c", (one, OLD), collection=collection())
    for style_id, count in (("hillshade", 0), ("natural", 2), ("no-more", 0)):
        found = resolve(
            layer, EVERYTHING, FRAME, ground_resolution=1.0, span=ANY_TIME, style_id=style_id, styles=STYLES
        )
        assert len(found.contributions) == count


def test_nothing_is_another_content_where_it_has_a_colour() -> None:
    bands = (Band(name="z", common_name="elevation", data_type="float32", unit="m"),)
    heights = scene("new", kind="elevation", bands=bands, styles=("relief", "terrain-rgb", "terrarium"))
    layer = Layer.of("c", (heights,), collection=collection(), single=True)
    elsewhere = Frame(crs="OGC:CRS84", bounds=Bounds(11, 43, 12, 44), width=64, height=64)
    found = [
        resolve(
            layer, EVERYTHING, elsewhere, ground_resolution=1.0, span=ANY_TIME, style_id=name, styles=STYLES
        )
        for name in (None, "terrain-rgb", "terrarium")
    ]
    assert not any(each.contributions for each in found)
    assert [each.formats for each in found] == [(), ("png",), ("png",)]
    assert [each.backdrop for each in found] == [None, (1, 134, 160), (128, 0, 0)]
    assert len({each.key("png") for each in found}) == 3
