"""Which files of a scene a style reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scenes import scene

from mosaics.compose import compose
from mosaics.contribution import Contribution
from mosaics.layers import ANY_TIME
from mosaics.models import Asset, Band, Bounds, Frame, Raster, Scene, Text
from mosaics.readings import bands_read, readings
from mosaics.resolve import ResolvedTile
from mosaics.styles import Style, load_styles

STYLES = load_styles()
FRAME = Frame(crs="OGC:CRS84", bounds=Bounds(1, 43, 2, 44), width=8, height=8)


def band(name: str) -> Band:
    return Band(name=name, common_name=name, data_type="uint16", p2=0.0, p98=1000.0)


def bundle() -> Scene:
    pan = Asset(
        key="pan",
        href="/nowhere/pan.tif",
        generation="p",
        width=400,
        height=400,
        ground_resolution=0.125,
        bands=(band("pan"),),
    )
    return scene(bands=tuple(band(n) for n in ("red", "green", "blue", "nir")), others=(pan,))


def style(variables: dict[str, tuple[str, ...]], *formulas: str) -> Style:
    return Style(
        id="mixed",
        title=Text(fr="", en=""),
        variables=variables,
        rescale=((0.0, 255.0),) * (len(formulas) or len(variables)),
        resampling="nearest",
        kinds=("optical",),
        source=("here",),
        expression=formulas,
    )


def test_the_leading_file_is_enough_where_it_has_all() -> None:
    (found,) = readings(STYLES.get("natural"), bundle()) or ()
    assert found.scene.href == "/nowhere/a.tif"
    assert found.indexes == (1, 2, 3)


def test_another_file_alone_is_read_where_it_has_all() -> None:
    (found,) = readings(STYLES.get("pan"), bundle()) or ()
    assert (found.scene.href, found.scene.generation) == ("/nowhere/pan.tif", "p")
    assert (found.scene.ground_resolution, found.scene.width) == (0.125, 400)
    assert found.indexes == (1,)


def test_a_style_may_read_several_files() -> None:
    wanted = style({"sharp": ("pan",), "r": ("red",), "b": ("blue",)})
    found = readings(wanted, bundle())
    assert found is not None
    assert [(part.scene.href, part.indexes, part.places) for part in found] == [
        ("/nowhere/a.tif", (1, 3), (1, 2)),
        ("/nowhere/pan.tif", (1,), (0,)),
    ]
    assert [one.name for one in bands_read(found)] == ["pan", "red", "blue"]


@pytest.mark.parametrize("variables", [{"x": ("swir16",)}, {"x": ("pan",), "y": ("swir16",)}])
def test_what_no_file_has_is_not_read(variables: dict[str, tuple[str, ...]]) -> None:
    assert readings(style(variables), bundle()) is None


class Numbered:
    """Gives for each band its number in the file, and 100 more for the panchromatic file."""

    def read(self, one: Scene, indexes: Any, frame: Frame, *_: Any) -> Raster:
        more = 100 if one.href.endswith("pan.tif") else 0
        data = np.stack([np.full((frame.height, frame.width), n + more, "uint16") for n in indexes])
        valid = np.ones((frame.height, frame.width), bool)
        if more:
            valid[0] = False
        return Raster(data=data, valid=valid)

    sample: Any = None


def test_bands_of_several_files_come_in_the_order_of_the_variables() -> None:
    wanted = style({"sharp": ("pan",), "r": ("red",), "b": ("blue",)})
    contribution = Contribution.of(bundle(), wanted)
    tile = ResolvedTile(frame=FRAME, contributions=(contribution,), default_time=ANY_TIME is not None)
    picture, _ = compose(tile, Numbered(), lambda _: None)
    assert picture.rgb[4, 4].tolist() == [101, 1, 3]
    assert not picture.alpha[0].any(), "nothing is shown where one of the files has nothing"
    assert picture.alpha[1:].all()
