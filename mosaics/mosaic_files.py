"""Files that define a mosaic: a document of ours, a STAC Collection, a MosaicJSON, or a filter in CQL2."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from mosaics.cql2 import Expression, expression_from_text, parse_filter
from mosaics.errors import MosaicInvalidError
from mosaics.mosaic import LONGEST_TEXT, Mosaic, mosaic_from
from mosaics.mosaicjson import read_mosaicjson
from mosaics.stac_collection import filter_of_collection

FileKind = Literal["mosaic", "STAC Collection", "MosaicJSON", "CQL2"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileDefinition:
    """What a file says of a mosaic."""

    kind: FileKind
    """What it is."""
    mosaic: Mosaic
    """As far as the file says it, under the id that was asked for."""
    assets: tuple[str, ...] = ()
    """Of a MosaicJSON: what it is made of, which says which scenes."""
    left_out: tuple[str, ...] = ()
    """What was not taken although it says something of scenes, in words."""


def read_definition(text: str, mosaic_id: str, banked: Collection[str]) -> FileDefinition:
    """Read a file, whichever of the four it is.

    Args:
        text: Its text.
        mosaic_id: Id of the mosaic that is made of it.
        banked: Ids of the collections that are banked.

    Raises:
        MosaicInvalidError, FilterInvalidError: If it is none of them, or one with a fault.
    """
    try:
        document = json.loads(text)
    except RecursionError:
        raise MosaicInvalidError("the file is too deep") from None
    except ValueError:
        if text.lstrip().startswith("{"):
            raise MosaicInvalidError("the file begins as JSON, and is none") from None
        return _of_filter(expression_from_text(text), mosaic_id)
    if isinstance(document, bool) or (isinstance(document, dict) and "op" in document):
        parse_filter(document)
        return _of_filter(document, mosaic_id)
    if not isinstance(document, dict):
        raise MosaicInvalidError("the file is no STAC Collection, no MosaicJSON, no filter, and no mosaic")
    if document.get("type") == "Collection":
        return _of_collection(document, mosaic_id, banked)
    if "mosaicjson" in document:
        named = read_mosaicjson(document)
        mosaic = _titled(mosaic_id, named.name, named.description, attribution=named.attribution)
        return FileDefinition(kind="MosaicJSON", mosaic=mosaic, assets=named.assets)
    return FileDefinition(kind="mosaic", mosaic=mosaic_from({**document, "id": mosaic_id}))


def _of_filter(where: Expression, mosaic_id: str) -> FileDefinition:
    mosaic = mosaic_from({"id": mosaic_id, "where": where})
    return FileDefinition(kind="CQL2", mosaic=mosaic)


def _of_collection(document: dict[str, Any], mosaic_id: str, banked: Collection[str]) -> FileDefinition:
    found = filter_of_collection(document, banked)
    title, description = (document.get(name) for name in ("title", "description"))
    mosaic = _titled(mosaic_id, title, description, where=found.where)
    return FileDefinition(kind="STAC Collection", mosaic=mosaic, left_out=found.left_out)


def _titled(mosaic_id: str, title: Any, description: Any, **more: Any) -> Mosaic:
    """Make a mosaic whose texts are in one language, which isn't told: they stand in both."""
    said = {"title": _line(title) or mosaic_id, "description": _line(description)}
    texts = {name: {"fr": line, "en": line} for name, line in said.items()}
    return mosaic_from({"id": mosaic_id, **texts, **more})


def _line(text: Any) -> str:
    """Give a text in one line, no longer than a mosaic's may be."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 3]}..."
