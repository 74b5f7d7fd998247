"""Named indices of bands: a formula, its range and its colours, as data; no formula comes from a request."""

from __future__ import annotations

from pathlib import Path

from mosaics.registry import Document, Registry, check_keys, load_registry
from mosaics.styles import Style, parse_style

REQUIRED = frozenset(
    {"id", "title", "kinds", "variables", "expression", "rescale", "colormap_name", "source"}
)


def load_indices(extra: Path | None = None) -> Registry[Style]:
    """Read the package's indices and those of an optional folder, each as the style that shows it.

    Raises:
        DataFileInvalidError: If a file breaks a rule of mosaics/data/indices/README.md.
    """
    return load_registry("indices", parse_index, extra)


def parse_index(document: Document) -> Style:
    """Make the style of an index of its document.

    Raises:
        ValueError: If it breaks a rule of mosaics/data/indices/README.md.
    """
    check_keys(document, REQUIRED, frozenset())
    style = parse_style({**document, "resampling": "bilinear"})
    if len(style.expression) != 1:
        raise ValueError("an index has one formula")
    if isinstance(style.rescale, str):
        raise ValueError("the rescale of an index must be [[low, high]]")  # noqa: TRY004 - the file's rule
    return style
