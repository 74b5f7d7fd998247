"""WMTS capabilities: what this caller may see, with addresses that keep opening for it."""

from __future__ import annotations

import contextlib
from urllib.parse import urlencode

from cachetools import LRUCache

from auth.models import Action
from mosaics.errors import GridNotFoundError, LayerNotFoundError
from mosaics.filters import SceneFilter
from mosaics.grids import find_grid, grids_meeting
from mosaics.layers import Layer, find_layer, list_layers
from mosaics.models import Text
from server.answers import Answer, digest
from server.call import Call
from server.errors import CredentialRequiredError
from server.services import Services
from server.settings import ServiceSettings
from server.wmts.capabilities import (
    INFO_EXTENSIONS,
    TILE_EXTENSIONS,
    LayerInfo,
    ServiceInfo,
    StyleInfo,
    is_unchanged,
    render_capabilities,
    render_unchanged,
)
from server.wmts.exceptions import MEDIA_TYPE
from server.wmts.kvp import GetCapabilities

_PLACEHOLDER = "FLUX-KEY-PLACEHOLDER"


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
        key = (sequence, scene_filter.digest, request, call.root, call.way, call.public, bool(call.url_key))
        document = self._documents.get(key)
        if document is None:
            document = _render(call, request, scene_filter, sequence)
            if len(document) <= self._documents.maxsize:
                self._documents[key] = document
        return _xml(document.replace(_PLACEHOLDER.encode(), (call.url_key or "").encode()))


def _sees_anything(call: Call, scene_filter: SceneFilter) -> bool:
    return any(scene_filter.sees(scene) for scene in call.index.scenes.values())


def _xml(body: bytes) -> Answer:
    return Answer(body=body, media_type=MEDIA_TYPE, etag=digest(body))


def _render(call: Call, request: GetCapabilities, scene_filter: SceneFilter, sequence: str) -> bytes:
    """Render the document with a placeholder where the key goes (a key has no characters to escape)."""
    base, credential = call.base, call.credential_query
    if call.url_key:
        base = base.replace(call.url_key, _PLACEHOLDER)
        credential = credential.replace(call.url_key, _PLACEHOLDER) if credential else None
    grids = call.services.grids.values()
    if request.grids is not None:
        wanted = {_grid_id(call.services, name) for name in request.grids}
        grids = tuple(grid for grid in grids if grid.id in wanted)
    layers = _layers(call, request.layers, scene_filter)
    # only names that are shown anyway are written back
    shown = {"layers": [layer.id for layer in layers], "tms": [grid.id for grid in grids]}
    asked = {"layers": request.layers, "tms": request.grids}
    filters = [(n, ",".join(sorted(shown[n]))) for n in shown if asked[n] is not None and shown[n]]
    return render_capabilities(
        _service_info(call.services.settings.service),
        [_layer_info(call.services, layer) for layer in layers],
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


def _layers(call: Call, wanted: frozenset[str] | None, scene_filter: SceneFilter) -> tuple[Layer, ...]:
    """Give all collections, or the layers named (single scenes too); what is hidden is left out unsaid."""
    if wanted is None:
        return list_layers(call.index, scene_filter)
    found = []
    for layer_id in sorted(wanted):
        with contextlib.suppress(LayerNotFoundError):
            found.append(find_layer(call.index, layer_id, scene_filter))
    return tuple(found)


def _layer_info(services: Services, layer: Layer) -> LayerInfo:
    return LayerInfo(
        id=layer.id,
        title=layer.title,
        abstract=layer.collection.description,
        bounds=layer.bounds,
        styles=tuple(StyleInfo(id_, services.styles.get(id_).title) for id_ in layer.styles),
        formats=tuple(TILE_EXTENSIONS),
        info_formats=tuple(INFO_EXTENSIONS),
        times=layer.times,
        grids=tuple(grid.id for grid in grids_meeting(services.grids, layer.bounds)),
        keywords=layer.sensors,
        attribution=layer.attribution,
    )


def _service_info(settings: ServiceSettings) -> ServiceInfo:
    return ServiceInfo(
        title=Text(fr=settings.title_fr, en=settings.title_en),
        abstract=Text(fr=settings.abstract_fr, en=settings.abstract_en),
        provider_name=settings.provider_name,
        provider_site=settings.provider_site or None,
        contact_mail=settings.contact_mail or None,
    )
