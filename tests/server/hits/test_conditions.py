"""Each condition of remembering, switched off, is noticed by a scenario."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

import server.authentication
import server.hits
from auth.snapshot import PolicySnapshot
from server.answers import Answer
from server.hits import Hits
from server.usage.meter import Meter
from tests.server.hits.pair import Pair
from tests.server.hits.scenarios import (
    catalogue_changes,
    changed_meanwhile,
    clock_goes_back,
    credential_of_a_site,
    day_turns,
    forbidden,
    grant_ends,
    key_ends,
    negotiation,
    old_secret_ends,
    other_callers,
    portal,
    portal_not_believed,
    quota,
    rate_of_grant,
    rate_of_key,
    revoked,
    right_of_a_network,
    right_of_a_site,
    rights_too_old,
    signature_ends,
    suspended,
    validators,
)
from tests.server.hits.switches import (
    a_header_forgotten,
    conditions_of_credentials_forgotten,
    no_end_of_credentials,
    peers_forgotten,
    portals_forgotten,
    sites_forgotten,
    the_query_forgotten,
)

Patch = pytest.MonkeyPatch


def never_forgets(patch: Patch, _pair: Pair) -> None:
    def begin(self: Hits, policy: PolicySnapshot, sequence: int) -> None:
        self._policy, self._sequence = policy, sequence

    patch.setattr(Hits, "_begin", begin)


def no_look_at_the_clock(patch: Patch, _pair: Pair) -> None:
    patch.setattr(Hits, "_holds", lambda *_: True)


def no_look_at_the_age(patch: Patch, _pair: Pair) -> None:
    patch.setattr(Hits, "_holds", lambda self, hit: hit.since <= self.clock() < hit.until)


def no_beginning(patch: Patch, _pair: Pair) -> None:
    patch.setattr(Hits, "_holds", lambda self, hit: self.clock() < hit.until)


def no_end_of_decisions(patch: Patch, _pair: Pair) -> None:
    first = server.hits.earliest
    patch.setattr(server.hits, "earliest", lambda *instants: first(*instants[:2]))


def no_midnight(patch: Patch, _pair: Pair) -> None:
    patch.setattr(server.hits, "_midnight_after", lambda now: now + timedelta(days=300))


def rates_forgotten(patch: Patch, _pair: Pair) -> None:
    patch.setattr(Meter, "limits", lambda *_: False)


def free(answer: Answer) -> Answer:
    return replace(answer, goods=answer.goods and replace(answer.goods, charged=()))


def metering_forgotten(patch: Patch, _pair: Pair) -> None:
    may_keep = Hits._may_keep
    patch.setattr(server.hits, "_metered", lambda _: False)
    patch.setattr(
        Hits,
        "_may_keep",
        lambda self, asked, call, who, answer, status: may_keep(self, asked, call, who, free(answer), status),
    )


def no_look_at_what_it_was_asked_by(patch: Patch, _pair: Pair) -> None:
    keep = Hits.keep
    patch.setattr(
        Hits, "keep", lambda self, asked, call, *more: keep(
            self, asked._replace(policy=call.policy, sequence=call.index.sequence), call, *more
        )
    )  # fmt: skip


DEFENCES: tuple[tuple[Callable[[Patch, Pair], None], Callable[[Pair], None]], ...] = (
    (never_forgets, revoked),
    (never_forgets, suspended),
    (never_forgets, forbidden),
    (never_forgets, catalogue_changes),
    (never_forgets, quota),
    (no_look_at_the_clock, key_ends),
    (no_look_at_the_clock, rights_too_old),
    (no_look_at_the_age, rights_too_old),
    (no_beginning, clock_goes_back),
    (no_end_of_credentials, key_ends),
    (no_end_of_credentials, old_secret_ends),
    (no_end_of_credentials, signature_ends),
    (no_end_of_decisions, grant_ends),
    (no_midnight, day_turns),
    (rates_forgotten, rate_of_key),
    (metering_forgotten, quota),
    (metering_forgotten, rate_of_grant),
    (conditions_of_credentials_forgotten, credential_of_a_site),
    (sites_forgotten, right_of_a_site),
    (peers_forgotten, right_of_a_network),
    (peers_forgotten, portal),
    (a_header_forgotten(b"x-api-key"), other_callers),
    (a_header_forgotten(b"authorization"), other_callers),
    (a_header_forgotten(b"cookie"), other_callers),
    (a_header_forgotten(b"x-flux-gateway"), portal),
    (a_header_forgotten(b"sec_org"), portal),
    (a_header_forgotten(b"if-none-match"), validators),
    (a_header_forgotten(b"accept"), negotiation),
    (the_query_forgotten, other_callers),
    (portals_forgotten, portal_not_believed),
    (no_look_at_what_it_was_asked_by, changed_meanwhile),
)


@pytest.mark.parametrize(("switch_off", "scenario"), DEFENCES)
def test_each_condition_switched_off_is_noticed(
    pair: Pair, monkeypatch: Patch, switch_off: Callable[..., None], scenario: Callable[[Pair], None]
) -> None:
    switch_off(monkeypatch, pair)
    with pytest.raises(AssertionError):
        scenario(pair)
