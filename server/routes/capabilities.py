"""WMTS capabilities: what this caller may see, with addresses that keep opening for it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from urllib.parse import urlencode

from cachetools import LRUCache

from auth.models import Action
from mosaics.errors import GridNotFoundError, LayerNotFoundError
from mosaics.filters import SceneFilter
from mosaics.finding import visible_layers
from mosaics.grids import Grid, find_grid, grids_meeting_each
from mosaics.layers import Layer
from mosaics.models import Text
from mosaics.told import Told
from mosaics.zooms import zoom_range
from server.access import AccessDeniedError
from server.answers import Answer, digest
from server.call import Call
from server.errors import CredentialRequiredError
from server.services import Services
from server.settings import ServiceSettings
from server.usage.meter import QuotaExceededError
from server.wmts.capabilities import (
    INFO_EXTENSIONS,
    TILE_EXTENSIONS,
    LayerInfo,
    MatrixLimit,
    ServiceInfo,
    StyleInfo,
    is_unchanged,
    render_capabilities,
    render_unchanged,
)
from server.wmts.exceptions import MEDIA_TYPE
from server.wmts.kvp import GetCapabilities

_PLACEHOLDER = "FLUX-KEY-PLACEHOLDER"
_FORMATS = tuple(TILE_EXTENSIONS)
_INFO_FORMATS = tuple(INFO_EXTENSIONS)


class CapabilitiesCache:
    """Documents without the key in them, by everything else that makes them; used on the event loop only."""

    def __init__(self, max_bytes: int = 64_000_000) -> None:
        self._documents: LRUCache[tuple[object, ...], bytes] = LRUCache(max_bytes, getsizeof=len)

    def answer(self, call: Call, request: GetCapabilities) -> Answer:
        """Answer GetCapabilities for the caller.

        Raises:
            CredentialRequiredError: If nobody asked and nothing is public, so that a GIS asks for the key.
        """
        scene_filter = call.filter(Action.TILE)
        sequence = str(call.index.sequence + call.policy.epoch)
        if call.principal.anonymous and not call.public and not _sees_anything(call, scene_filter):
            raise CredentialRequiredError
        if is_unchanged(request.update_sequence, sequence):
            return _xml(render_unchanged(sequence))
        events = _crises(call)
        seen = (scene_filter.digest, call.filter(Action.INFO).digest, events)
        key = (sequence, seen, request, call.root, call.way, call.public, bool(call.url_key))
        document = self._documents.get(key)
        if document is None:
            document = _render(call, request, events, sequence)
            if len(document) <= self._documents.maxsize:
                self._documents[key] = document
        return _xml(document.replace(_PLACEHOLDER.encode(), (call.url_key or "").encode()))


def _sees_anything(call: Call, scene_filter: SceneFilter) -> bool:
    return bool(visible_layers(call.index, scene_filter))


def _xml(body: bytes) -> Answer:
    return Answer(body=body, media_type=MEDIA_TYPE, etag=digest(body))


def _crises(call: Call) -> tuple[str, ...]:
    """Give the crises by which something is open to the caller now."""
    allowances = call.decision(Action.TILE).allowances
    return tuple(sorted({allowance.crisis for allowance in allowances if allowance.crisis}))


def _render(call: Call, request: GetCapabilities, events: tuple[str, ...], sequence: str) -> bytes:
    """Render the document with a placeholder where the key goes (a key has no characters to escape)."""
    base, credential = call.base, call.credential_query
    if call.url_key:
        base = base.replace(call.url_key, _PLACEHOLDER)
        credential = credential.replace(call.url_key, _PLACEHOLDER) if credential else None
    grids = call.services.grids.values()
    if request.grids is not None:
        wanted = {_grid_id(call.services, name) for name in request.grids}
        grids = tuple(grid for grid in grids if grid.id in wanted)
    layers = _layers(call, request.layers)
    # only names that are shown anyway are written back
    shown = {"layers": [layer.id for layer in layers], "tms": [grid.id for grid in grids]}
    asked = {"layers": request.layers, "tms": request.grids}
    filters = [(n, ",".join(sorted(shown[n]))) for n in shown if asked[n] is not None and shown[n]]
    return render_capabilities(
        _service_info(call.services.settings.service, events),
        _layer_infos(call, layers),
        grids,
        language=request.language,
        base_url=base,
        credential_query=credential,
        update_sequence=sequence,
        sections=request.sections,
        filter_query=urlencode(filters, safe=",:") or None,
    )


def _grid_id(services: Services, name: str) -> str | None:
    try:
        return find_grid(services.grids, name).id
    except GridNotFoundError:
        return None


def _layers(call: Call, wanted: frozenset[str] | None) -> tuple[Layer, ...]:
    """Give all collections, or the layers named (single scenes too); what is hidden is left out unsaid."""
    if wanted is None:
        return call.layers(Action.TILE)
    found = []
    for layer_id in sorted(wanted):
        with contextlib.suppress(LayerNotFoundError, AccessDeniedError, QuotaExceededError):
            found.append(call.layer(layer_id, Action.TILE)[0])
    return tuple(found)


def _layer_infos(call: Call, layers: Sequence[Layer]) -> list[LayerInfo]:
    """Tell of layers; what they have in common is looked up once."""
    services = call.services
    values = Told([layer.parts for layer in layers]).seeing(call.filter(Action.INFO)) if layers else []
    titles = {id_: style.title for id_, style in services.styles.items.items()}
    grids = grids_meeting_each(services.grids, [layer.bounds for layer in layers])
    return [
        LayerInfo(
            id=layer.id,
            title=layer.title,
            abstract=layer.collection.description,
            bounds=layer.bounds,
            styles=tuple(
                [StyleInfo(id_, titles[id_], f"legend/{layer.id}/{id_}.png") for id_ in layer.styles]
            ),
            formats=_FORMATS,
            info_formats=_INFO_FORMATS if gives_values else (),
            times=layer.times,
            grids=tuple([grid.id for grid in meeting]),
            keywords=layer.sensors,
            attribution=layer.attribution,
            limits={grid.id: _limits(grid, layer) for grid in meeting} if layer.limit else {},
        )
        for layer, gives_values, meeting in zip(layers, values, grids, strict=True)
    ]


def _limits(grid: Grid, layer: Layer) -> tuple[MatrixLimit, ...]:
    """Give the levels of a grid that rights open, so that a GIS asks for no finer one."""
    coarsest, finest = zoom_range(grid, layer)
    limits = []
    for zoom in range(coarsest, finest + 1):
        tiles = grid.tiles(layer.bounds, zoom)
        if tiles is not None:
            limits.append(
                MatrixLimit(
                    matrix=grid.matrix(zoom).id,
                    min_row=tiles.min_row,
                    max_row=tiles.max_row,
                    min_col=tiles.min_col,
                    max_col=tiles.max_col,
                )
            )
    return tuple(limits)


def _service_info(settings: ServiceSettings, events: tuple[str, ...]) -> ServiceInfo:
    return ServiceInfo(
        title=Text(fr=settings.title_fr, en=settings.title_en),
        abstract=Text(
            fr=f"{settings.abstract_fr}{_notice('Droits exceptionnels en cours, crise', ' :', events)}",
            en=f"{settings.abstract_en}{_notice('Exceptional rights hold, crisis', ':', events)}",
        ),
        provider_name=settings.provider_name,
        provider_site=settings.provider_site or None,
        contact_mail=settings.contact_mail or None,
    )


def _notice(words: str, colon: str, events: tuple[str, ...]) -> str:
    return f" {words}{colon} {', '.join(events)}." if events else ""
