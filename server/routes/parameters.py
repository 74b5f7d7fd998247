"""Parameters and answers that several lines of the ROUTES table have in common."""

from __future__ import annotations

from typing import Final

from server.routing import Parameter

LAYER: Final = Parameter(
    name="layer", where="path", description="Collection id, or `collection:scene`.", required=True
)
TMS: Final = Parameter(
    name="tms",
    where="path",
    description="Tile matrix set, such as WebMercatorQuad (aliases PM, EPSG:3857) or 2154_50cm.",
    required=True,
)
STYLE: Final = Parameter(
    name="style", where="query", description="A style of the layer; its default without."
)
TIME: Final = Parameter(
    name="time",
    where="query",
    description="`latest` (the default), a date YYYY-MM-DD of the layer, an interval A/B, or nearest:DATE: at"
    " each place the scene nearest to it.",
)
COMPARE: Final = Parameter(
    name="compare",
    where="query",
    description="A time that is subtracted: what is shown is the value at `time` less that at `compare`, of a"
    " style or index of one value or of heights; `rescale` and `colormap` are those of the difference.",
)
PIXELS: Final = Parameter(
    name="pixel_selection",
    where="query",
    description="first (the usual), mean or max of the valid values at a place.",
)
OWN: Final = (
    Parameter(
        name="bands",
        where="query",
        description="Bands to show as they are: one, or three with commas between, by common name, by their"
        " own name, or by number from 1.",
    ),
    Parameter(
        name="index",
        where="query",
        description="An index to show instead, such as ndvi: those of a layer stand in `/layers/{layer}`.",
    ),
    Parameter(
        name="rescale",
        where="query",
        description="LOW,HIGH: the values that become dark and bright; once, or once a channel.",
    ),
    Parameter(
        name="colormap",
        where="query",
        description="A colour map of rio-tiler, such as viridis; for one channel.",
    ),
    Parameter(
        name="gamma",
        where="query",
        description="0.1 to 10; above 1 brightens what is between dark and bright.",
    ),
)
"""A style of one's own, over `style`."""
GENERATION: Final = Parameter(
    name="g", where="query", description="The layer's generation; makes the answer immutable."
)


def in_path(name: str, description: str) -> Parameter:
    """Give a variable of a path."""
    return Parameter(name=name, where="path", description=description, required=True)


LAYER_ANSWERS: Final = (
    (401, "A key is needed, or the key is not valid."),
    (403, "Your rights do not open this."),
    (404, "No such layer, or hidden from you."),
)
TILE_ANSWERS: Final = ((200, "An image."), (400, "A malformed parameter."), *LAYER_ANSWERS)
