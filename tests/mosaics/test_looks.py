"""What a look tells of how scenes are shown, against what the scenes tell."""

from __future__ import annotations

import random
from typing import get_args

import pytest
from scenes import scene

from mosaics.catalog.summary import look_of
from mosaics.contribution import is_by_statistics
from mosaics.looks import style_of_look, styles_of_look
from mosaics.models import Band, Kind, Scene
from mosaics.readings import fits
from mosaics.styles import load_styles

STYLES = load_styles()
IDS = tuple(style.id for style in STYLES.values())
NAMES = ("red", "green", "blue", "nir", "pan", "rededge", "elevation", None)
UNITS = (None, None, None, "1e-4", "m", "dB", "1")
KINDS = get_args(Kind)


def some_scene(chance: random.Random) -> Scene:
    bands = tuple(
        Band(
            name=f"B{number}",
            common_name=chance.choice(NAMES),
            data_type=chance.choice(("uint8", "uint16", "float32")),
            unit=chance.choice(UNITS),
        )
        for number in range(chance.randint(1, 5))
    )
    kind = chance.choice(KINDS)
    usual = [each.id for each in STYLES.values() if each.bind(bands, kind) is not None]
    styles = tuple(dict.fromkeys(chance.choices([*usual * 4, *IDS, "unknown"], k=chance.randint(1, 4))))
    return scene(kind=kind, bands=bands, styles=styles)


def look(of: Scene) -> str:
    return look_of(of.kind, of.styles, [(b.name, b.common_name, b.data_type) for b in of.bands])


@pytest.mark.parametrize("seed", range(4))
def test_a_look_tells_what_its_scenes_would_or_nothing(seed: int) -> None:
    chance, told = random.Random(seed), 0
    for _ in range(500):
        each = some_scene(chance)
        assert styles_of_look(look(each)) == each.styles
        found = style_of_look(look(each), lambda styles: styles, STYLES)
        if found is None:
            continue
        told += 1
        fitting = [STYLES.get(name) for name in each.styles if name in STYLES]
        assert found.style is next(style for style in fitting if fits(style, each))
        assert found.by_statistics or not is_by_statistics(found.style, each)
    assert told > 10


def test_what_is_for_units_is_told_by_scenes() -> None:
    asking = next(style for style in STYLES.values() if style.asks_for_units)
    assert style_of_look(look(scene(styles=(asking.id,))), lambda styles: styles, STYLES) is None
