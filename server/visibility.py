"""Whether everybody may know of a collection: nothing but one public grant that shows no pixel."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from auth.audit import Change
from auth.edits import Edit, add_by_content, same_as
from auth.models import PUBLIC, Action, Grant
from auth.reach import EVERYWHERE, Selector
from auth.rules import new_grant
from auth.snapshot import PolicySnapshot

Visibility = Literal["public", "listed", "hidden"]
"""Everybody sees some of its pixels; knows of it; or does not know of it. A preview tier of a licence, and
grants to institutions, are apart from this."""


def listing(collection_id: str, now: datetime, *, created_by: str = "") -> Grant:
    """Give the grant that makes a collection known to everybody.

    Raises:
        InvalidRightError: If the id can't be one.
    """
    return new_grant(
        PUBLIC,
        Selector(collections=frozenset({collection_id})),
        area=EVERYWHERE,
        now=now,
        actions=frozenset({Action.CATALOGUE}),
        created_by=created_by,
    )


def set_listed(collection_id: str, now: datetime, *, listed: bool, created_by: str = "") -> Edit:
    """List a collection, or take back exactly the grant that listing makes.

    Args:
        collection_id: Which one.
        now: When it is done, with a time zone.
        listed: Whether everybody may know of it.
        created_by: Who does it.
    """
    grant = listing(collection_id, now, created_by=created_by)

    def hide(snapshot: PolicySnapshot) -> Iterable[Change]:
        there = same_as(snapshot, grant)
        return () if there is None else (Change(kind="grant", id=there.id, right=None),)

    return add_by_content(grant) if listed else hide


def visibility(snapshot: PolicySnapshot, collection_id: str, now: datetime) -> Visibility:
    """Tell what everybody may know of a collection by the grants that hold now."""
    found = _public(snapshot, collection_id, now)
    if any(grant.actions - {Action.CATALOGUE} for grant in found):
        return "public"
    return "listed" if found else "hidden"


def _public(snapshot: PolicySnapshot, collection_id: str, now: datetime) -> list[Grant]:
    """Give the public grants that open some of a collection, or may."""
    return [
        grant
        for grant in snapshot.grants_by_grantee.get(PUBLIC, ())
        if grant.approved
        and grant.valid.contains(now)
        and (grant.selector.collections is None or collection_id in grant.selector.collections)
    ]
