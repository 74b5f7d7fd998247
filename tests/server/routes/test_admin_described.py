"""What OpenAPI says of administration is what it takes and gives."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
from fastapi.openapi.models import OpenAPI

from tests.server.routes.offices import (
    ROUTES,
    Office,
    addressed,
)


def test_openapi_describes_it_and_every_reference_leads_somewhere(quiet: Office) -> None:
    document = quiet.asgi.get("/openapi.json").json
    OpenAPI.model_validate(document)
    text = json.dumps(document)
    assert "$defs" not in text
    assert "hmac" not in text
    found = set(re.findall(r'"\$ref": "([^"]+)"', text))
    assert len(found) > 30
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in found, name
    for route in ROUTES.values():
        (method,) = route.methods - {"HEAD"}
        operation = document["paths"][route.path][method.lower()]
        assert operation["operationId"] == route.id
        assert ("requestBody" in operation) == (route.body is not None), route.id
        assert {"401", "403"} <= operation["responses"].keys()
        names = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert names == set(re.findall(r"{(\w+)}", route.path))


def test_what_is_answered_is_as_described(office: Office) -> None:
    document = office.asgi.get("/openapi.json").json
    for number, route in enumerate(ROUTES.values()):
        (method,) = route.methods - {"HEAD"}
        caller = "manager" if route.path.startswith("/keys") else "operator"
        target, body = addressed(office, route, method, number)
        if route.id == "admin_remove_institution":
            continue
        reply = office.ask(caller, method, target, body)
        said = document["paths"][route.path][method.lower()]["responses"]
        assert str(reply.status) in said, (target, reply.status)
        if route.body is not None and body is not None:
            conforms(document, route.body.schema, body)
        if route.gives is not None and reply.headers["content-type"] == "application/json":
            conforms(document, route.gives, reply.json)
    assert office.good("operator", "GET", "/admin/audit/verify")["verified"]


def conforms(document: dict[str, Any], name: str, value: object) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)
