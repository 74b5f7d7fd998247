"""Named mosaics by HTTP."""

from __future__ import annotations

import structlog

from mosaics.mosaic import mosaic_document, mosaic_from
from server.answers import digest
from tests.server.routes.offices import Office

WHERE = {"op": "and", "args": [{"op": "<", "args": [{"property": "gsd"}, 1]}, True]}
COAST = {
    "title": {"fr": "Côte", "en": "Coast"},
    "where": WHERE,
    "order": {"rule": "nearest", "date": "2024-05-17"},
    "styles": ["natural"],
}
EVERYTHING = {"title": {"fr": "Tout", "en": "All"}, "where": None}
PATH = "/admin/mosaics/coast"


def test_put_get_list_and_delete(office: Office) -> None:
    assert office.good("operator", "GET", "/admin/mosaics") == {"mosaics": []}
    put = office.ask("operator", "PUT", PATH, COAST)
    assert (put.status, put.headers["location"]) == (201, "http://flux.example/admin/mosaics/coast")
    got = office.ask("operator", "GET", PATH)
    assert got.json == put.json == mosaic_document(mosaic_from({**COAST, "id": "coast"}))
    assert got.headers["etag"] == put.headers["etag"]
    assert got.headers["cache-control"] == "no-store"
    assert office.knowledge.index.mosaics["coast"] == mosaic_from(got.json)
    again = office.ask("operator", "PUT", PATH, got.json)
    assert (again.status, again.json) == (200, got.json)
    assert office.good("operator", "GET", "/admin/mosaics") == {"mosaics": [got.json]}
    assert office.ask("operator", "DELETE", PATH).status == 204
    assert office.knowledge.index.mosaics == {}
    assert office.ask("operator", "GET", PATH).status == 404
    assert office.ask("operator", "DELETE", PATH).status == 404


def test_nothing_is_written_over_what_was_not_read(office: Office) -> None:
    first = office.ask("operator", "PUT", PATH, COAST, if_none_match="*")
    assert first.status == 201
    assert office.ask("operator", "PUT", PATH, EVERYTHING, if_none_match="*").status == 412
    tag = first.headers["etag"]
    second = office.ask("operator", "PUT", PATH, EVERYTHING, if_match=tag)
    assert second.status == 200
    assert office.ask("operator", "PUT", PATH, COAST, if_match=tag).status == 412
    assert office.ask("operator", "DELETE", PATH, None, if_match=tag).status == 412
    assert office.good("operator", "GET", PATH)["where"] is None
    assert office.ask("operator", "DELETE", PATH, None, if_match=second.headers["etag"]).status == 204
    assert office.ask("operator", "PUT", PATH, COAST, if_match="*").status == 412
    assert digest(b"") != tag


def test_it_is_for_operators(office: Office) -> None:
    office.good("operator", "PUT", PATH, COAST)
    for caller in ("manager", "reader", "anonymous"):
        for method, path in (
            ("GET", "/admin/mosaics"),
            ("GET", PATH),
            ("PUT", PATH),
            ("PUT", "/admin/mosaics/new"),
            ("DELETE", PATH),
        ):
            reply = office.ask(caller, method, path, COAST if method == "PUT" else None)
            assert reply.status == (401 if caller == "anonymous" else 403), (caller, method, path)
            assert b"coast" not in reply.body
    assert office.good("operator", "GET", "/admin/mosaics")["mosaics"][0]["id"] == "coast"


def test_what_cannot_be_is_told_without_an_echo(office: Office) -> None:
    for body, status, said in (
        (
            {"where": {"op": "<", "args": [{"property": "SECRET"}, 1]}},
            422,
            "unknown property; known are: gsd,",
        ),
        ({"where": {"op": "SECRET", "args": []}}, 422, "unknown operator; known are: and,"),
        ({"where": {"op": "<", "args": [{"property": "gsd"}, "SECRET"]}}, 422, "compared with a number"),
        ({"where": {"op": "t_after", "args": [{"property": "datetime"}, "SECRET"]}}, 422, "no date or time"),
        ({"SECRET": 1}, 422, "unknown field; known are: attribution,"),
        ({"order": {"rule": "SECRET"}}, 422, "order: it is none of most-recent,"),
        ({"styles": ["SECRET"]}, 422, "styles: one of them is not there"),
        ({"ranges": {"SECRET": 1}}, 422, "ranges: each has two numbers"),
        ({"id": "SECRET"}, 400, "id is not that of the address"),
        (["SECRET"], 400, "a JSON object"),
    ):
        whole = EVERYTHING | body if isinstance(body, dict) else body
        reply = office.ask("operator", "PUT", PATH, whole)
        assert reply.status == status, (body, reply.body)
        assert said in reply.json["detail"], (body, reply.json["detail"])
        assert "SECRET" not in reply.body.decode()
    assert office.ask("operator", "PUT", "/admin/mosaics/Coast", COAST).status == 422
    for missing in ("title", "where"):
        less = {name: value for name, value in COAST.items() if name != missing}
        assert office.ask("operator", "PUT", PATH, less).status == 422
    taken = office.ask("operator", "PUT", "/admin/mosaics/granted", COAST)
    assert (taken.status, taken.json["code"]) == (409, "name_taken")
    assert office.ask("operator", "PUT", f"{PATH}?dry_run=true", COAST).status == 400
    assert office.good("operator", "GET", "/admin/mosaics") == {"mosaics": []}


def test_who_changed_what_is_logged(office: Office) -> None:
    with structlog.testing.capture_logs() as logged:
        office.good("operator", "PUT", PATH, COAST)
        office.good("operator", "PUT", PATH, COAST)
        office.ask("operator", "DELETE", PATH)
    told = [each for each in logged if each["event"].startswith("mosaic_")]
    assert [each["event"] for each in told] == ["mosaic_put", "mosaic_removed"]
    assert all(each["mosaic"] == "coast" and each["actor"].startswith("key:") for each in told)
