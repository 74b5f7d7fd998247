"""The model of rights, read naively from security's text: one question about one point of one scene.

It looks at every right from scratch, shares no code with `auth.policy`, and knows nothing of allowances.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import shapely

from auth.models import GrantKind, InstitutionStatus


@dataclass(frozen=True)
class Point:
    """A place on a scene, looked at with some detail."""

    collection: str
    licence: str | None
    sensor: str
    scene: str
    pan: float
    acquired: datetime | None
    lon: float
    lat: float
    detail: float
    """Metres per pixel of what is asked for."""


@dataclass(frozen=True)
class Caller:
    """Who asks: an institution's key, with the keys from the shown one up to the institution's own."""

    institution: str | None
    """None: nobody."""
    keys: tuple = ()
    """The shown key first; the last was made by no other key."""
    operator: bool = False
    signed_for: str | None = None
    """Of a signature: `*`, a collection, or `collection:scene`; None: the key itself was shown."""


def lives(rights, key, now):
    """Does this key open anything at all now?"""
    chain = chain_of(rights, key)
    held = rights.institutions.get(key.institution_id)
    return (
        chain is not None
        and held is not None
        and held.status is InstitutionStatus.ACTIVE
        and all(each.revoked is None for each in chain)
        and all(each.expires is None or now < each.expires for each in chain)
        and all(each.institution_id == key.institution_id for each in chain)
    )


def chain_of(rights, key):
    chain = [key]
    while chain[-1].parent_id is not None:
        if chain[-1].parent_id not in rights.keys or len(chain) > 9:
            return None
        chain.append(rights.keys[chain[-1].parent_id])
    return tuple(chain)


def within(window, instant):
    if instant is None:
        return window.start is None and window.end is None
    return not (window.start is not None and instant < window.start) and not (
        window.end is not None and instant >= window.end
    )


def selects(selector, point):
    wanted = [
        (selector.collections, point.collection),
        (selector.licences, point.licence),
        (selector.sensors, point.sensor),
        (selector.scenes, point.scene),
    ]
    return all(names is None or value in names for names, value in wanted)


def covers(area, point):
    return area is None or lies_in(area.wkb, point.lon, point.lat)


@cache
def lies_in(wkb, lon, lat):
    return shapely.contains_xy(shapely.from_wkb(wkb), lon, lat)


def reaches(right, point):
    return (
        selects(right.selector, point)
        and within(right.acquired, point.acquired)
        and covers(right.area, point)
    )


def finer(tier, point):
    limits = [tier.ground_resolution or 0.0, (tier.times_pan or 0.0) * point.pan]
    return point.detail < max(limits)


def conditions_hold(conditions, origin):
    return conditions.origins is None or origin in conditions.origins


def may(rights, caller, action, now, point, *, origin=None, exhausted=frozenset()):  # noqa: C901, PLR0911 - the rules
    """May this caller do this with this point now?"""
    if caller.institution is not None:
        known = rights.institutions.get(caller.institution)
        if known is None or known.status is not InstitutionStatus.ACTIVE:
            return False
    if caller.signed_for is not None and not signature_leaves(caller.signed_for, action, point):
        return False
    for key in caller.keys:
        if key.caveat is not None and not caveat_leaves(key.caveat, action, point, origin):
            return False
    if any(
        point.licence == licence.id and licence.holder is not None and finer(licence.holder, point)
        for licence in rights.licences.values()
    ):
        return False
    forbids = [f for f in rights.forbids.values() if within(f.valid, now) and reaches(f, point)]
    if not forbids and tier_opens(rights, caller, action, point):
        return True
    for grant in rights.grants.values():
        standing = [f for f in forbids if not (grant.kind is GrantKind.CRISIS and f.overridable_by_crisis)]
        if standing or not given_to(rights, grant, caller):
            continue
        if grant.id in exhausted and action != "catalogue":
            continue
        if grant.kind is GrantKind.CRISIS and len(set(grant.approvals)) < 2:
            continue
        finest = grant.finest_ground_resolution
        if (
            action in grant.actions
            and within(grant.valid, now)
            and conditions_hold(grant.conditions, origin)
            and reaches(grant, point)
            and (finest is None or point.detail >= finest)
        ):
            return True
    return False


def caveat_leaves(caveat, action, point, origin):
    finest = caveat.finest_ground_resolution
    return (
        reaches(caveat, point)
        and (finest is None or point.detail >= finest)
        and (caveat.actions is None or action in caveat.actions)
        and conditions_hold(caveat.conditions, origin)
    )


def signature_leaves(layer, action, point):
    return action in {"catalogue", "preview", "tile", "info"} and layer in {
        "*",
        point.collection,
        f"{point.collection}:{point.scene}",
    }


def given_to(rights, grant, caller):
    if grant.grantee == "public":
        return True
    if caller.institution is None or caller.operator:
        return False
    groups = {f"group:{g.id}" for g in rights.groups.values() if caller.institution in g.members}
    if grant.grantee not in groups | {caller.institution}:
        return False
    made_by_keys = caller.keys[:-1]
    if not made_by_keys:
        return True
    if grant.delegable is None or len(made_by_keys) > grant.delegable.depth:
        return False
    longest = grant.delegable.longest_days
    return longest is None or all(
        key.expires is not None and key.expires - key.created <= timedelta(days=longest)
        for key in made_by_keys
    )


def tier_opens(rights, caller, action, point):
    if action not in {"catalogue", "preview", "tile"}:
        return False
    licence = rights.licences.get(point.licence)
    if licence is None:
        return False
    partner = caller.institution is not None and not caller.operator
    tiers = [licence.public, licence.partner if partner else None]
    return any(tier is not None and not finer(tier, point) for tier in tiers)
