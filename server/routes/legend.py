"""Legends: what the colours of a layer's style mean, as a picture or as JSON."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import shapely

from auth.models import Action
from mosaics.band_words import meaning
from mosaics.filters import SceneFilter
from mosaics.layers import Layer
from mosaics.legend import Legend, Shown, document_of, legend_of, legend_of_change
from mosaics.legend_picture import Language, Size, as_png, as_svg, draw
from mosaics.models import Scene, Text
from mosaics.own_style import UNFIT, OwnStyle
from mosaics.readings import bands_bound
from mosaics.styles import Style
from server.answers import JSON, Answer, digest
from server.call import Call
from server.changes import layer_look
from server.errors import RouteNotFoundError
from server.making import in_turn
from server.requests import language, single
from server.services import Services
from server.style_query import legend_size, own_style_of

_PICTURE = re.compile(r"(?P<style>[^@.]+)(?:(?P<twice>@2x)?\.(?P<png>png)|\.(?P<other>svg|json))")
_MEDIA_TYPES: Final = {"png": "image/png", "svg": "image/svg+xml", "json": JSON}


_MOST_LOOKED_AT: Final = 256
"""Scenes, the newest, that are asked whether their ranges differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LegendRequest:
    """A legend as any protocol may ask for it, parsed and checked for form."""

    layer_id: str
    style: str | None
    """A style of the layer; None, or `default`: its default."""
    own: OwnStyle | None
    """What is wanted otherwise."""
    compare: str | None
    """The legend is that of the difference to this date; which it is makes none to its colours."""
    form: str
    """png, svg or json."""
    size: Size
    scale: int = 1
    """2: twice the pixels of the same picture."""


async def legend(call: Call) -> Answer:
    """Serve `/legend/{layer}/{style}[@2x].png|svg|json`."""
    last = _PICTURE.fullmatch(call.path["picture"])
    if last is None:
        raise RouteNotFoundError
    request = LegendRequest(
        layer_id=call.path["layer"],
        style=last["style"],
        own=own_style_of(call.query, call.services.indices),
        compare=single(call.query, "compare"),
        form=last["png"] or last["other"],
        size=legend_size(call.query),
        scale=2 if last["twice"] else 1,
    )
    return await legend_answer(call, request)


async def legend_answer(call: Call, request: LegendRequest) -> Answer:
    """Answer with a legend: of what the caller sees, with numbers of what the caller may read.

    Raises:
        LayerNotFoundError, AccessDeniedError, StyleNotFoundError, TimeNotFoundError: See their names.
        BandsNotFoundError, StyleUnsuitableError: If no scene can be shown as it is wanted.
        ChangeUnsuitableError: If there is no one value whose dates can be compared.
    """
    layer, _ = call.layer(request.layer_id, Action.TILE)
    style_id = layer.style_id(request.style)
    spoken: Language = "en" if call.language == "en" else "fr"
    if request.compare is not None:
        layer.span(request.compare)
        look = layer_look(call.services, layer, style_id, request.own)
        found = functools.partial(legend_of_change, look)
    else:
        if request.own is None:
            style_id = style_id or layer.styles[0]
        else:
            call.services.own_styles.check(request.own, layer, style_id)
        readable = call.filter(Action.INFO)
        found = functools.partial(_legend, call.services, layer, style_id, readable, request.own)
    work = functools.partial(_made, found, request, spoken)
    body = await in_turn(call.services, work, call.client)
    # whatever language the client asks for by header, the address says another, or JSON holds both
    told = request.form == "json" or language(call.query, "fr") == language(call.query, "en")
    return Answer(
        body=body,
        media_type=_MEDIA_TYPES[request.form],
        etag=digest(body),
        by_address=told,
        headers=() if told else (("Vary", "Accept-Language"),),
    )


def legend_link(call: Call, layer: Layer, style: str, query: str = "") -> dict[str, str]:
    """Give the link to a legend.

    Args:
        call: Whose link it is.
        layer: The layer.
        style: A style of it, `default`, or a template variable.
        query: An own style, encoded.
    """
    return {
        "rel": "legend",
        "href": call.href(f"legend/{layer.id}/{style}.png", query),
        "type": "image/png",
    }


def _made(find: Callable[[], Legend], request: LegendRequest, language: Language) -> bytes:
    """Make the bytes of a legend, in a thread."""
    found = find()
    if request.form == "json":
        return json.dumps(document_of(found), ensure_ascii=False, separators=(",", ":")).encode()
    drawing = draw(found, language, request.size)
    return as_svg(drawing) if request.form == "svg" else as_png(drawing, request.scale)


def _legend(
    services: Services, layer: Layer, style_id: str | None, readable: SceneFilter, own: OwnStyle | None
) -> Legend:
    styled = _styled(services, layer, style_id, own)
    shown = (Shown(style=style, scene=scene, told=_is_whole(readable, scene)) for style, scene in styled)
    first = next(shown)
    return legend_of(first, shown, _title(services, first, own))


def _styled(
    services: Services, layer: Layer, style_id: str | None, own: OwnStyle | None
) -> Iterator[tuple[Style, Scene]]:
    """Give the scenes that are shown in a style, newest first, each with what it is shown in."""
    for place in layer.places()[:_MOST_LOOKED_AT]:
        scene = None if place.scene is None else layer.stretched(place.scene)
        if scene is None or (style_id is not None and style_id not in scene.styles):
            continue
        style = services.styles.get(scene.styles[0] if style_id is None else style_id)
        if own is None:
            yield style, scene
            continue
        try:
            yield services.own_styles.fit(own, style, scene), scene
        except UNFIT:
            continue


def _title(services: Services, shown: Shown, own: OwnStyle | None) -> Text:
    """Give the title of what is shown: the index, the band, else the style."""
    if own is not None and own.index:
        return services.indices.get(own.index).title
    bands = bands_bound(shown.style, shown.scene)
    if own is not None and len(own.bands) == 1 and bands is not None:
        words = meaning(bands[0])
        return Text(fr=words.fr[:1].upper() + words.fr[1:], en=words.en[:1].upper() + words.en[1:])
    return shown.style.title


def _is_whole(readable: SceneFilter, scene: Scene) -> bool:
    """Tell whether all values of a scene may be read, so that numbers of the whole tell nothing more."""
    opening = readable.opening(scene, scene.ground_resolution)
    if opening is None:
        return False
    return opening.area is None or bool(shapely.covers(opening.area, scene.footprint))
