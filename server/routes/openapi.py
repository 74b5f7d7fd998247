"""The OpenAPI document, made of the ROUTES table by FastAPI's own models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi.openapi.models import OpenAPI

from server.answers import Answer, json_answer
from server.call import Call
from server.routing import Route

SECURITY = {
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "key"},
    "basic": {"type": "http", "scheme": "basic", "description": "Any user name, the key as password."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key, or a token of an issuer."},
    "signature": {"type": "apiKey", "in": "query", "name": "sig"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "__Host-flux"},
}

COMPONENTS = "#/components/schemas/"
"""Where the document keeps its schemas."""


class OpenApi:
    """Describes the routes it is given."""

    def __init__(self, routes: Sequence[Route], schemas: Mapping[str, Any]) -> None:
        """Describe routes.

        Args:
            routes: Which.
            schemas: JSON schemas by the names that bodies and answers of the routes have for them.
        """
        self._routes = tuple(routes)
        self._schemas = dict(schemas)

    async def document(self, call: Call) -> Answer:
        """Serve `/openapi.json`."""
        return json_answer({**self._document, "servers": [{"url": call.base}]})

    @cached_property
    def _document(self) -> dict[str, Any]:
        document = {
            "openapi": "3.1.0",
            "info": {"title": "dinamis-flux", "version": _version()},
            "paths": _paths(self._routes),
            "components": {"securitySchemes": SECURITY, "schemas": self._schemas},
            "security": [{}, *({name: []} for name in SECURITY)],
        }
        return OpenAPI.model_validate(document).model_dump(by_alias=True, exclude_none=True, mode="json")


def _paths(routes: Sequence[Route]) -> dict[str, dict[str, Any]]:
    """Give the operations of each path by method; HEAD goes without saying."""
    found: dict[str, dict[str, Any]] = {}
    for route in routes:
        for method in sorted(route.methods - {"HEAD"}):
            found.setdefault(route.path, {})[method.lower()] = _operation(route)
    return found


def _operation(route: Route) -> dict[str, Any]:
    answers = route.answers or ((200, "Answered."),)
    described = {
        "operationId": route.id,
        "summary": route.summary,
        "parameters": [
            {
                "name": parameter.name,
                "in": parameter.where,
                "description": parameter.description,
                "required": parameter.required,
                "schema": {"type": "string"},
            }
            for parameter in route.parameters
        ],
        "responses": {str(status): _response(route, status, meaning) for status, meaning in answers},
        "x-actions": sorted(route.actions),
    }
    if route.body is not None:
        described["requestBody"] = {
            "required": route.body.required,
            "content": {kind: _reference(route.body.schema) for kind in route.body.media_types},
        }
    return described


def _response(route: Route, status: int, meaning: str) -> dict[str, Any]:
    found: dict[str, Any] = {"description": meaning}
    if route.gives is not None and status in {200, 201}:
        found["content"] = {"application/json": _reference(route.gives)}
    return found


def _reference(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"{COMPONENTS}{name}"}}


def _version() -> str:
    try:
        return version("dinamis-flux")
    except PackageNotFoundError:
        return "0"
