"""Conditions of remembering, switched off: common to whole answers and to what requests mean."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import auth.credentials
import server.authentication
import server.hits
from auth.snapshot import PolicySnapshot
from server.hits import FROM, MEANINGLESS, Hits
from tests.server.hits.pair import Pair

Patch = pytest.MonkeyPatch


def no_end_of_credentials(patch: Patch, _pair: Pair) -> None:
    patch.setattr(auth.credentials, "earliest", lambda *_: None)
    patch.setattr(server.authentication, "earliest", lambda *_: None)


def conditions_of_credentials_forgotten(patch: Patch, _pair: Pair) -> None:
    patch.setattr(server.hits, "_conditional", lambda _: False)


def sites_forgotten(patch: Patch, _pair: Pair) -> None:
    begin = Hits._begin

    def begins(self: Hits, policy: PolicySnapshot, sequence: int) -> None:
        begin(self, policy, sequence)
        self._skipped = MEANINGLESS | FROM

    patch.setattr(Hits, "_begin", begins)


def peers_forgotten(patch: Patch, _pair: Pair) -> None:
    begin = Hits._begin

    def begins(self: Hits, policy: PolicySnapshot, sequence: int) -> None:
        begin(self, policy, sequence)
        self._with_peer = False

    patch.setattr(Hits, "_begin", begins)


def a_header_forgotten(*names: bytes) -> Callable[[Patch, Pair], None]:
    def switch_off(patch: Patch, _pair: Pair) -> None:
        patch.setattr(server.hits, "MEANINGLESS", MEANINGLESS | set(names))

    return switch_off


def the_query_forgotten(patch: Patch, _pair: Pair) -> None:
    name = Hits._name
    patch.setattr(Hits, "_name", lambda self, scope, *end: name(self, {**scope, "query_string": b""}, *end))


def portals_forgotten(patch: Patch, _pair: Pair) -> None:
    patch.setattr(server.hits, "PORTAL_HEADERS", ())
