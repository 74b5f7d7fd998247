"""JSON schemas of what administration takes and gives, and of legends; rights' are made of the rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from auth.documents import FIELDS, KINDS, schema_of
from auth.models import Kind
from mosaics.legend import LegendKind
from mosaics.mosaic import MOSAIC_ID, PixelSelection, Rule, Stretch
from server.routes.openapi import COMPONENTS

_LOCAL: Final = "#/$defs/"
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_YES_OR_NO: Final = {"type": "boolean"}
_WORD_OR_NULL: Final = {"type": ["string", "null"]}

NAMES: Final[dict[Kind, str]] = {kind: kind.capitalize() for kind in KINDS}
"""Names of the schemas of whole documents."""

_MADE_HERE: Final[dict[Kind, frozenset[str]]] = {
    "grant": frozenset({"id", "created", "created_by"}),
    "forbid": frozenset({"id", "created", "created_by"}),
    "membership": frozenset({"id"}),
    "key": frozenset({"id", "created", "revoked", "secrets"}),
}
"""What `New...` leaves out: the server makes it."""

_SECRETS: Final = {
    "type": "array",
    "readOnly": True,
    "description": "Its secrets: which, until when, and the day each was last used.",
    "items": {
        "type": "object",
        "required": ["number", "last_used"],
        "properties": {
            "number": _NUMBER,
            "until": _TEXT,
            "last_used": _WORD_OR_NULL,
        },
    },
}


def schemas() -> dict[str, Any]:
    """Give all schemas; what they refer to is among them."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        schema = _hoisted(schema_of(kind))
        found |= schema.pop("$defs", {})
        if kind == "key":
            schema["properties"] = {**schema["properties"], "secrets": _SECRETS}
            schema["required"] = [name for name in schema["required"] if name != "secrets"]
            schema["description"] = "A key; its secret is told once, when it is made."
        name = NAMES[kind]
        found[name] = schema
        found[f"{name}List"] = _object({FIELDS[kind]: _list(_reference(name))})
        if kind in _MADE_HERE:
            found[f"New{name}"] = _without(schema, _MADE_HERE[kind])
    found.pop("KeySecret", None)
    new_key = found["NewKey"]
    new_key["required"] = []  # each has a usual value, the institution that of a manager
    return found | _others()


def _others() -> dict[str, Any]:
    difference = _object(
        {
            "sign": {"enum": ["+", "~", "-", "="]},
            "kind": {"enum": list(KINDS)},
            "id": _TEXT,
            "before": {"type": ["object", "null"]},
            "after": {"type": ["object", "null"]},
            "line": _TEXT,
        }
    )
    record = _object(
        {
            "sequence": _NUMBER,
            "at": _TEXT,
            "actor": _TEXT,
            "what": {"enum": ["put", "removed"]},
            "kind": {"enum": list(KINDS)},
            "id": _TEXT,
            "document": {"type": ["object", "null"]},
            "hash": _TEXT,
        }
    )
    fault = {"sequence": _NUMBER, "reason": _TEXT}
    collection = {
        "id": _TEXT,
        "licence": _WORD_OR_NULL,
        "visibility": {"enum": ["public", "listed", "hidden"]},
    }
    address = {"methods": _list(_TEXT), "path": _TEXT, "summary": _TEXT}
    words = _object({"fr": _TEXT, "en": _TEXT})
    span = {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    entry = {
        "label": words,
        "colour": _WORD_OR_NULL,
        "value": {"type": ["number", "null"]},
        "range": span,
    }
    return {
        "Legend": _object(
            {
                "kind": {"enum": list(get_args(LegendKind))},
                "title": words,
                "unit": _WORD_OR_NULL,
                "range": span,
                "colours": _list(_TEXT),
                "entries": _list(_object(entry)),
                "note": {"anyOf": [words, {"type": "null"}]},
            }
        ),
        "MadeKey": _object({"key": {**_TEXT, "description": "Told once."}, "document": _reference("Key")}),
        "Rotation": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"grace": {**_TEXT, "pattern": "^[0-9]{1,4}[hd]$", "default": "7d"}},
        },
        "Difference": difference,
        "Application": _object(
            {
                "dry_run": _YES_OR_NO,
                "changed": _NUMBER,
                "kept": _NUMBER,
                "still_revoked": _list(_TEXT),
                "unapproved": _list(_TEXT),
                "differences": _list(_reference("Difference")),
            }
        ),
        "Rights": {
            "type": "object",
            "additionalProperties": False,
            "required": ["rights"],
            "properties": {
                "rights": {"const": 1},
                **{FIELDS[kind]: _list(_reference(NAMES[kind])) for kind in KINDS},
            },
        },
        "AuditRecord": record,
        "AuditRecords": _object(
            {
                "records": _list(_reference("AuditRecord")),
                "next": {"type": ["integer", "null"]},
                "head": _TEXT,
            }
        ),
        "AuditVerified": _object(
            {
                "verified": _YES_OR_NO,
                "records": _NUMBER,
                "head": _TEXT,
                "fault": {"anyOf": [_object(fault), {"type": "null"}]},
            }
        ),
        "Collections": _object({"collections": _list(_object(collection))}),
        "Visibility": _object({"visibility": {"enum": ["listed", "hidden"]}}),
        "CollectionVisibility": _object({name: collection[name] for name in ("id", "visibility")}),
        **_mosaics(words),
        "Administration": _object(
            {"institution": _TEXT, "operator": _YES_OR_NO, "addresses": _list(_object(address))}
        ),
    }


def _mosaics(words: Mapping[str, Any]) -> dict[str, Any]:
    """Give the schemas of named mosaics; what need not be said has a usual value."""
    order = _object({"rule": {"enum": list(get_args(Rule))}, "date": _TEXT}) | {"required": ["rule"]}
    ends = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    fields = {
        "id": {**_TEXT, "pattern": f"^{MOSAIC_ID.pattern}$"},
        "title": words,
        "description": words,
        "attribution": _TEXT,
        "where": {
            "type": ["object", "boolean", "null"],
            "description": "Which scenes, CQL2 JSON; null: every one.",
        },
        "order": order,
        "pixel_selection": {"enum": list(get_args(PixelSelection))},
        "stretch": {"enum": list(get_args(Stretch))},
        "ranges": {
            "type": "object",
            "description": "Values that become dark and bright, by the band's common name.",
            "additionalProperties": ends,
        },
        "cloud_mask": _YES_OR_NO,
        "styles": _list(_TEXT),
    }
    mosaic = _object(fields) | {"required": ["title", "where"], "additionalProperties": False}
    return {"Mosaic": mosaic, "MosaicList": _object({"mosaics": _list(_reference("Mosaic"))})}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": dict(properties)}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"{COMPONENTS}{name}"}


def _without(schema: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {
        **schema,
        "title": f"New{schema['title']}",
        "properties": {name: value for name, value in schema["properties"].items() if name not in names},
        "required": [name for name in schema["required"] if name not in names],
    }


def _hoisted(node: Any) -> Any:
    """Point references at the components of the document."""
    if isinstance(node, dict):
        return {
            name: value.replace(_LOCAL, COMPONENTS)
            if name == "$ref" and isinstance(value, str)
            else _hoisted(value)
            for name, value in node.items()
        }
    return [_hoisted(each) for each in node] if isinstance(node, list) else node
