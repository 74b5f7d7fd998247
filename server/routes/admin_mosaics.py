"""Named mosaics by HTTP, for operators: the same documents as on the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import structlog

from auth.documents import canonical
from mosaics.catalog.base import CatalogWriter
from mosaics.errors import MosaicInvalidError, MosaicNotFoundError
from mosaics.mosaic import Mosaic, mosaic_document, mosaic_from
from mosaics.stretching import keep_stretch
from server.administration import Caller
from server.answers import Answer, digest, json_answer
from server.call import Call
from server.requests import BadRequestError, json_body
from server.routes.admin import precondition

log = structlog.get_logger(__name__)


def list_mosaics(call: Call, _caller: Caller) -> Answer:
    """Serve `GET /admin/mosaics`: all of them, by id."""
    held = call.services.knowledge.catalogue_anew().mosaics
    answer = json_answer({"mosaics": [mosaic_document(held[id_]) for id_ in sorted(held)]})
    return replace(answer, cacheable=False)


def read_mosaic(call: Call, _caller: Caller) -> Answer:
    """Serve `GET /admin/mosaics/{id}`."""
    id_ = call.path["id"]
    found = call.services.knowledge.catalogue_anew().mosaics.get(id_)
    if found is None:
        raise MosaicNotFoundError(id_)
    return _answer(found)


def put_mosaic(call: Call, caller: Caller) -> Answer:
    """Serve `PUT /admin/mosaics/{id}`: the whole document."""
    wanted = _read(call)
    before: list[Mosaic | None] = []
    check = _checked(call, before)

    def put(catalog: CatalogWriter) -> None:
        catalog.put_mosaic(wanted, check)

    knowledge = call.services.knowledge
    knowledge.change_catalogue(put)
    if wanted.stretch == "mosaic" and before != [wanted]:
        index = knowledge.index
        knowledge.change_catalogue(lambda catalog: keep_stretch(catalog, index, wanted.id))
    if before != [wanted]:
        log.info("mosaic_put", mosaic=wanted.id, actor=caller.actor)
    answer = _answer(wanted)
    if before == [None]:
        address = (("Location", f"{call.root}/admin/mosaics/{wanted.id}"),)
        return replace(answer, status=201, headers=address)
    return answer


def remove_mosaic(call: Call, caller: Caller) -> Answer:
    """Serve `DELETE /admin/mosaics/{id}`: its scenes stay."""
    id_ = call.path["id"]
    before: list[Mosaic | None] = []
    check = _checked(call, before)

    def remove(catalog: CatalogWriter) -> None:
        if not catalog.remove_mosaic(id_, check):
            raise MosaicNotFoundError(id_)

    call.services.knowledge.change_catalogue(remove)
    log.info("mosaic_removed", mosaic=id_, actor=caller.actor)
    return Answer(status=204, cacheable=False)


def _read(call: Call) -> Mosaic:
    """Read the mosaic of the body; its scenes must be said, as all of them are more likely an oversight."""
    body, id_ = json_body(call.request), call.path["id"]
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object")
    if body.get("id", id_) != id_:
        raise BadRequestError("id is not that of the address")
    if not body.keys() >= {"title", "where"}:
        raise MosaicInvalidError("title and where have to be said; where is null for every scene")
    found = mosaic_from({**body, "id": id_})
    if any(name not in call.services.styles for name in found.styles):
        raise MosaicInvalidError("styles: one of them is not there")
    return found


def _checked(call: Call, before: list[Mosaic | None]) -> Callable[[Mosaic | None], None]:
    """Give what notes the mosaic that is there, and compares it with what the caller takes for given."""
    asked = precondition(call)

    def check(held: Mosaic | None) -> None:
        asked.check(None if held is None else _tag(held))
        before.append(held)

    return check


def _answer(mosaic: Mosaic) -> Answer:
    document: dict[str, Any] = mosaic_document(mosaic)
    return replace(json_answer(document), etag=_tag(mosaic), cacheable=False)


def _tag(mosaic: Mosaic) -> str:
    return digest(canonical(mosaic_document(mosaic)).encode())
