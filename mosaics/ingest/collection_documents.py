"""Collections as STAC Collections, written before their items; our own fields begin with `flux:`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mosaics.ingest.naming import check_collection_id
from mosaics.models import Collection, Text


def collection_to_document(collection: Collection) -> dict[str, Any]:
    """Write a collection; its extent is left open, since items come and go."""
    licence = {} if collection.licence_id is None else {"flux:licence": collection.licence_id}
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": collection.id,
        "title": collection.title.en,
        "description": collection.description.en or collection.title.en or collection.id,
        "license": "other",
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
        "links": [],
        "flux:title": {"fr": collection.title.fr, "en": collection.title.en},
        "flux:description": {"fr": collection.description.fr, "en": collection.description.en},
        "flux:attribution": collection.attribution,
        **licence,
    }


def collection_from_document(document: Mapping[str, Any]) -> Collection:
    """Read a collection that we wrote, or another's: its `license` is none of ours, and not taken.

    Raises:
        IngestError: If its id can't be one.
    """
    collection_id = check_collection_id(str(document.get("id")))
    licence = document.get("flux:licence")
    return Collection(
        id=collection_id,
        title=_text(document.get("flux:title"), document.get("title") or collection_id),
        description=_text(document.get("flux:description"), document.get("description")),
        attribution=str(document.get("flux:attribution") or ""),
        licence_id=None if licence is None else str(licence),
    )


def _text(ours: Any, theirs: Any) -> Text:
    if isinstance(ours, Mapping):
        return Text(fr=str(ours.get("fr") or ""), en=str(ours.get("en") or ""))
    return Text(fr=str(theirs or ""), en=str(theirs or ""))
