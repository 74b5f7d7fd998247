"""Which style scenes of one look are shown in, where that can be told without making any of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from mosaics.catalog.summary import look_from
from mosaics.levels import Recipe, uses_statistics
from mosaics.models import Band, Kind
from mosaics.registry import Registry
from mosaics.styles import Style


class StyleOfLook(NamedTuple):
    """How scenes of one look are shown."""

    style: Style
    by_statistics: bool
    """Whether what their values become may depend on what those are like."""


def style_of_look(
    look: str, wanted: Callable[[tuple[str, ...]], tuple[str, ...]], styles: Registry[Style]
) -> StyleOfLook | None:
    """Give the style of all scenes of a look.

    Args:
        look: As `look_of` wrote it.
        wanted: Gives those of their styles that they may be shown in, the preferred first.
        styles: All styles.

    Returns:
        None: it hangs on what a look does not tell, units of bands or other files.
    """
    known = _known(look)
    for name in wanted(known.styles):
        if name in styles:
            style = styles.get(name)
            indexes = None if style.asks_for_units else style.bind(known.bands, known.kind)
            if indexes is None:
                return None
            bands = tuple(known.bands[index - 1] for index in indexes)
            return StyleOfLook(
                style, style.stretches_by_unit or uses_statistics(Recipe(style=style, bands=bands))
            )
    return None


def styles_of_look(look: str) -> tuple[str, ...]:
    """Give the styles of all scenes of a look, the default first."""
    return _known(look).styles


class _Known(NamedTuple):
    kind: Kind
    styles: tuple[str, ...]
    bands: tuple[Band, ...]
    """Their names, common names and types."""


@lru_cache(maxsize=1024)
def _known(look: str) -> _Known:
    kind, styles, bands = look_from(look)
    return _Known(kind, styles, tuple(Band(name, common, data_type) for name, common, data_type in bands))
