"""Every change of rights holds on all workers within 5 s, and what was made before it opens nothing."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auth.credentials import Peppers, new_key
from auth.edits import Edit, add, put, remove, revoke_key, set_status, together
from auth.models import Caveat, Group, Institution, InstitutionStatus, Key, Licence, Tier
from auth.reach import EVERYWHERE, Selector
from auth.rules import new_forbid, new_grant
from tests.conftest import SCALE, Server, Town, serving, wait_until
from tests.promises.conftest import Show, rights_of
from tests.server.conftest import copy_home

WORKERS = 4
RUNS = max(1, round(20 * SCALE))
"""Of each kind of change."""
PROMISED = 5.0
TILE = "/tiles/granted/WebMercatorQuad/17/66052/47859.png"
ONLY = Selector(licences=frozenset({"region-only"}))


@pytest.fixture(scope="module")
def server(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(copy_home(town, tmp_path_factory.mktemp("changes") / "home"), workers=WORKERS) as running:
        yield running


def connections(server: Server) -> dict[int, int]:
    """Count the connections that each worker holds, by its sockets."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = {row[9] for row in rows if row[1].endswith(f":{server.port:04X}") and row[3] == "01"}
    found = {}
    for pid in server.workers():
        links = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
        found[pid] = sum(f"socket:[{inode}]" in links for inode in ours)
    return found


@pytest.fixture(scope="module")
def lines(server: Server) -> Iterator[list[http.client.HTTPConnection]]:
    """Keep connections open until every worker has two at least: so that all of them are asked."""
    held: list[http.client.HTTPConnection] = []
    while len(held) < 8 or min(connections(server).values()) < 2:
        assert len(held) < 400
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        line.request("GET", "/health/live")
        line.getresponse().read()
        held.append(line)
    assert len(connections(server)) == WORKERS
    yield held
    for line in held:
        line.close()


def statuses(lines: list[http.client.HTTPConnection], key: str) -> set[int]:
    found = set()
    for line in lines:
        line.request("GET", TILE, headers={"X-API-Key": key})
        reply = line.getresponse()
        reply.read()
        found.add(reply.status)
    return found


@dataclass(frozen=True)
class Customer:
    """Who sees the layer now, and will not after the change."""

    institution: str
    key: Key
    text: str


Case = Callable[[Customer, datetime], tuple[Edit, Edit, Edit]]
"""What opens the layer, what closes it, and what makes all as it was."""


def _granted(who: Customer, now: datetime, grantee: str | None = None) -> Edit:
    return add(new_grant(grantee or who.institution, ONLY, area=EVERYWHERE, now=now))


def _grant_id(who: Customer, now: datetime, grantee: str | None = None) -> str:
    return new_grant(grantee or who.institution, ONLY, area=EVERYWHERE, now=now).id


def nothing(_snapshot: object) -> tuple[()]:
    return ()


def revoked(who: Customer, now: datetime) -> tuple[Edit, Edit, Edit]:
    return _granted(who, now), revoke_key(who.key.id, now), nothing


def narrowed_key(who: Customer, now: datetime) -> tuple[Edit, Edit, Edit]:
    caveat = Caveat(area=EVERYWHERE, finest_ground_resolution=100.0)
    return _granted(who, now), put(replace(who.key, caveat=caveat)), nothing


def forbidden(who: Customer, now: datetime) -> tuple[Edit, Edit, Edit]:
    forbid = new_forbid(ONLY, area=EVERYWHERE, reason=f"embargo {who.institution}", now=now)
    return _granted(who, now), add(forbid), remove("forbid", forbid.id)


def withdrawn(who: Customer, now: datetime) -> tuple[Edit, Edit, Edit]:
    return _granted(who, now), remove("grant", _grant_id(who, now)), nothing


def narrowed(who: Customer, now: datetime) -> tuple[Edit, Edit, Edit]:
    coarse = new_grant(who.institution, ONLY, area=EVERYWHERE, now=now, finest_ground_resolution=100.0)
    return _granted(who, now), together(remove("grant", _grant_id(who, now)), add(coarse)), nothing


def suspended(who: Customer, now: datetime) -> tuple[Edit, Edit, Edit]:
    return _granted(who, now), set_status(who.institution, InstitutionStatus.SUSPENDED), nothing


def left_the_group(who: Customer, now: datetime) -> tuple[Edit, Edit, Edit]:
    group = Group(id=f"g-{who.institution}", name="A group", members=frozenset({who.institution}))
    granted = _granted(who, now, f"group:{group.id}")
    return together(add(group), granted), put(replace(group, members=frozenset())), nothing


def tier_off(_who: Customer, _now: datetime) -> tuple[Edit, Edit, Edit]:
    licence = Licence(id="region-only", title="Region only")
    shown = replace(licence, partner=Tier(ground_resolution=0.1))
    return put(shown), put(licence), nothing


CASES: dict[Case, int] = {
    revoked: 401,
    suspended: 401,
    narrowed_key: 403,
    narrowed: 403,
    forbidden: 404,
    withdrawn: 404,
    left_the_group: 404,
    tier_off: 404,
}
"""With what is answered afterwards."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_change_holds_on_all_workers_within_5_seconds(
    server: Server, lines: list[http.client.HTTPConnection], case: Case, show: Show
) -> None:
    peppers = Peppers(by_version={1: (server.home / "pepper").read_text().strip().encode()})
    times = []
    with rights_of(server.home) as change:
        for run in range(RUNS):
            now, name = datetime.now(UTC), f"{case.__name__.replace('_', '-')}-{run}"
            key, text = new_key("live", name, peppers, url_allowed=True, now=now)
            who = Customer(name, key, text)
            opens, closes, undoes = case(who, now)
            change(together(add(Institution(id=name, name=name)), add(key), opens))
            wait_until(lambda: statuses(lines, text) == {200}, seconds=PROMISED)  # noqa: B023 - asked within this turn
            assert statuses(lines, text) == {200}, "every worker's caches are warm"
            change(closes)
            changed = time.monotonic()
            while 200 in statuses(lines, text):
                assert time.monotonic() - changed < 30, "it never holds"
            times.append(time.monotonic() - changed)
            assert statuses(lines, text) == {CASES[case]}
            if undoes is not nothing:
                change(undoes)
    show(f"{case.__name__} on {WORKERS} workers after at most {max(times):.2f} s in {RUNS} runs")
    assert max(times) < PROMISED
