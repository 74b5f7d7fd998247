"""Names of collections and scenes that are banked."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from mosaics.catalog.base import CatalogWriter
from mosaics.errors import IngestError, NameTakenError
from mosaics.ingest.options import BankOptions
from mosaics.models import Collection, Text
from mosaics.sensors import Sensor

COLLECTION_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LONGEST_STEM: Final = 119  # leaves room for a hyphen and 8 digits within 128


def collection_of(catalog: CatalogWriter, options: BankOptions, sensor: Sensor) -> Collection:
    """Give the collection of what is banked, as it is or as it will be.

    Raises:
        IngestError: If its id is that of a mosaic.
    """
    collection_id = options.collection_id or check_collection_id(sensor.id)
    known = catalog.collection(collection_id)
    if known is not None:
        return known
    if catalog.mosaic(collection_id) is not None:
        raise IngestError(f"{collection_id!r} is the id of a mosaic: choose another collection")
    title = sensor.title if options.collection_id is None else Text(fr=collection_id, en=collection_id)
    return Collection(
        id=collection_id, title=title, description=Text(fr="", en=""), licence_id=options.licence_id
    )


def register_collection(catalog: CatalogWriter, collection: Collection) -> None:
    """Put the collection of what is banked.

    Raises:
        IngestError: If a mosaic took its id meanwhile.
    """
    try:
        catalog.put_collection(collection)
    except NameTakenError as error:
        raise IngestError(str(error)) from error


def scene_id_of(catalog: CatalogWriter, collection_id: str, name: str, digest: str) -> str:
    """Name a scene, with a part of its digest where other content has that name."""
    found = scene_id_from(name)
    return f"{found}-{digest[:8]}" if catalog.scene_exists(collection_id, found) else found


def check_collection_id(collection_id: str) -> str:
    """Give the id back if it may name a collection.

    Raises:
        IngestError: If it may not.
    """
    if COLLECTION_ID.fullmatch(collection_id) is None:
        raise IngestError(
            f"{collection_id!r} can't name a collection: use up to 64 lower-case letters, digits, dots, "
            "hyphens and underscores, a letter or digit first"
        )
    return collection_id


def scene_id_from(name: str) -> str:
    """Make a scene id of a name: `[A-Za-z0-9][A-Za-z0-9._-]{0,118}`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    found = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).lstrip("._-")
    return found[:_LONGEST_STEM].rstrip("-") or "scene"
