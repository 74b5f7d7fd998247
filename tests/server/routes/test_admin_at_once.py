"""Two who administer at once: nothing is lost, nobody waits, and each sees what the other wrote."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from auth import edits
from tests.conftest import Town
from tests.server.conftest import Asgi
from tests.server.routes.offices import GRANTED, NOW, Office


def test_a_validator_keeps_two_writers_apart(office: Office) -> None:
    path = f"/admin/grants/{office.rights['grant']}"
    read = office.ask("operator", "GET", path)
    tag = read.headers["etag"]
    first = office.ask("operator", "PUT", path, read.json | {"reason": "first"}, if_match=tag)
    assert first.status == 200
    assert first.headers["etag"] != tag
    for method, body in (("PUT", read.json | {"reason": "second"}), ("DELETE", None)):
        late = office.ask("second", method, path, body, if_match=tag)
        assert (late.status, late.json["code"]) == (412, "changed")
    for wrong in (f"W/{first.headers['etag']}", '""', "x", ""):
        assert office.ask("second", "DELETE", path, if_match=wrong).status == 412
    assert office.ask("operator", "GET", path).json["reason"] == "first"
    fresh = {"name": "x"}
    assert office.ask("operator", "PUT", "/admin/institutions/x", fresh, if_match="*").status == 412
    assert office.ask("operator", "PUT", "/admin/institutions/x", fresh, if_none_match="*").status == 201
    assert office.ask("operator", "PUT", "/admin/institutions/x", fresh, if_none_match="*").status == 412
    both = f'"nothing", {first.headers["etag"]}'
    assert office.ask("operator", "DELETE", path, if_match=both).status == 204


def test_use_of_a_key_does_not_spoil_its_validator(office: Office) -> None:
    path = f"/admin/keys/{office.ids['manager']}"
    before = office.ask("manager", "GET", path)
    assert before.json["secrets"] == [{"number": 1, "last_used": None}]
    store = office.asgi.application.services.meter.store
    store.use_keys({(office.ids["manager"], 1): NOW.date()})
    after = office.ask("manager", "GET", path)
    assert after.json["secrets"][0]["last_used"] == NOW.date().isoformat()
    assert after.headers["etag"] != before.headers["etag"]
    put = office.ask("manager", "PUT", path, before.json | {"label": "x"}, if_match=before.headers["etag"])
    assert put.status == 200


def test_two_writers_at_once_lose_nothing(
    own_home: Path, started: Callable[..., Asgi], town: Town, record_property: Callable[[str, object], None]
) -> None:
    """Two workers over one home, each counting up the same name with a validator."""
    turns, workers = 12, [started(own_home), started(own_home)]
    headers = {"x-api-key": town.operator_key}
    assert workers[0].send("PUT", "/admin/groups/count", {"name": "0"}, headers).status == 201
    refused = []

    def count(asgi: Asgi) -> None:
        with asyncio.Runner() as runner:
            mine = Asgi(asgi.application, runner)
            done = 0
            for _ in range(turns * 200):
                read = mine.get("/admin/groups/count", headers)
                if read.status == 404:
                    continue
                body = {"name": str(int(read.json["name"]) + 1)}
                sent = headers | {"if-match": read.headers["etag"]}
                reply = mine.send("PUT", "/admin/groups/count", body, sent)
                assert reply.status in {200, 412}, reply.body
                done += reply.status == 200
                if reply.status == 412:
                    refused.append(1)
                if done == turns:
                    return
            raise AssertionError("never done")

    before = workers[0].application.services.knowledge.policy_store.audit_head()[0]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count, workers))
    store = workers[0].application.services.knowledge.policy_store
    assert store.snapshot().groups["count"].name == str(2 * turns)
    assert store.audit_head()[0] == before + 2 * turns
    record_property("refused_and_tried_again", len(refused))


def test_tiles_do_not_wait_for_administration(office: Office) -> None:
    """Every thread of administration waits for its database; a tile that has to be read is served."""
    services, asked = office.asgi.application.services, threading.Event()
    held = [services.desk.submit(asked.wait, 60) for _ in range(8)]
    try:
        assert office.ask("reader", "GET", GRANTED).status == 200
        assert sum(each.done() for each in held) == 0
    finally:
        asked.set()
    assert office.ask("operator", "GET", "/admin/").status == 200


def test_what_one_worker_writes_the_other_shows_at_once(
    own_home: Path, started: Callable[..., Asgi], town: Town
) -> None:
    one, other = started(own_home), started(own_home)
    headers = {"x-api-key": town.operator_key}
    for number in range(5):
        target = f"/admin/groups/g{number}"
        assert one.send("PUT", target, {"name": "x"}, headers).status == 201
        assert other.get(target, headers).status == 200
        assert other.get(target, headers, "DELETE").status == 204
        assert one.get(target, headers).status == 404


def test_the_precondition_is_checked_under_the_lock_not_before(office: Office) -> None:
    """The document is compared with what the edit sees, not with what the worker knew."""
    read = office.ask("operator", "GET", "/admin/groups/south")
    store = office.knowledge.policy_store
    store.change(edits.put(replace(store.snapshot().groups["south"], name="elsewhere")), actor="test", at=NOW)
    put = office.ask("operator", "PUT", "/admin/groups/south", read.json, if_match=read.headers["etag"])
    assert put.status == 412
    assert store.snapshot().groups["south"].name == "elsewhere"
