"""Cedar as a second oracle: the same rights as Cedar policies give the same answers, areas apart.

Cedar denies by default and a forbid beats every permit, as here. A grant becomes a permit, a forbid a forbid,
a caveat `forbid unless` on the key and all keys below it. Crisis grants, which some forbids do not touch, are
a second set of policies. Resolutions are whole millimetres and instants whole seconds.
"""

from dataclasses import replace
from datetime import timedelta

import cedarpy
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.credentials import principal_of
from auth.decision import ANONYMOUS
from auth.models import PUBLIC, Action, GrantKind, Group, InstitutionStatus, Licence
from auth.policy import decide
from auth.reach import EVERYWHERE, Circumstances
from tests.auth.builders import INSTITUTIONS, grant, institution, key, named, rights
from tests.auth.opening import opens
from tests.auth.strategies import (
    DAYS,
    HERE,
    WORLD,
    asked,
    caveats,
    crises_of,
    forbids_of,
    grants_of,
    instants,
    origins,
    tiers,
)
from tests.conftest import SCALE

POINTS = [point for point in WORLD if point.lon == 0.5]


def entity(kind, id_):
    return f"{kind}::{quoted(id_)}"


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def one_of(ids):
    return "[" + ", ".join(quoted(id_) for id_ in sorted(ids)) + "]"


def millimetres(metres):
    return round(metres * 1000)


def seconds(instant):
    return round(instant.timestamp())


def all_of(*tests):
    found = [test for test in tests if test]
    return " && ".join(found) or "true"


def selected(selector):
    kinds = {
        "collection": selector.collections,
        "licence": selector.licences,
        "sensor": selector.sensors,
        "scene": selector.scenes,
    }
    return all_of(
        *(
            f"resource has {kind} && {one_of(ids)}.contains(resource.{kind})"
            for kind, ids in kinds.items()
            if ids is not None
        )
    )


def between(window, value):
    return all_of(
        window.start and f"{value} >= {seconds(window.start)}",
        window.end and f"{value} < {seconds(window.end)}",
    )


def acquired(window):
    dated = between(window, "resource.acquired")
    return None if dated == "true" else f"resource has acquired && {dated}"


def coarse(metres):
    return None if metres is None else f"context.detail >= {millimetres(metres)}"


def come_from(conditions):
    if conditions.origins is None:
        return None
    return f"context has origin && {one_of(conditions.origins)}.contains(context.origin)"


def coarser_than(tier):
    return all_of(
        coarse(tier.ground_resolution),
        tier.times_pan and f"context.detail >= resource.pan * {round(tier.times_pan)}",
    )


def acted(actions):
    return "action in [" + ", ".join(sorted(entity("Action", a.value) for a in actions)) + "]"


def delegated(grant):
    if grant.grantee == PUBLIC:
        return None
    if grant.delegable is None:
        return "principal.depth == 0"
    days = grant.delegable.longest_days
    return all_of(
        f"principal.depth <= {grant.delegable.depth}",
        days and f"!principal.endless && principal.life <= {days * 86_400}",
    )


def permit_of(grant):
    tests = all_of(
        selected(grant.selector),
        acquired(grant.acquired),
        between(grant.valid, "context.now"),
        coarse(grant.finest_ground_resolution),
        come_from(grant.conditions),
        delegated(grant),
    )
    who = f"principal in {entity('Grantee', grant.grantee)}"
    return f"permit ({who}, {acted(grant.actions)}, resource) when {{ {tests} }};"


def forbid_of(forbid):
    tests = all_of(selected(forbid.selector), acquired(forbid.acquired), between(forbid.valid, "context.now"))
    return f"forbid (principal, action, resource) when {{ {tests} }};"


def caveat_of(held):
    caveat = held.caveat
    tests = all_of(
        selected(caveat.selector),
        acquired(caveat.acquired),
        coarse(caveat.finest_ground_resolution),
        come_from(caveat.conditions),
        caveat.actions and acted(caveat.actions),
    )
    return f"forbid (principal in {entity('Key', held.id)}, action, resource) unless {{ {tests} }};"


def tiers_of(licence):
    one = entity("Licence", licence.id)
    made = []
    if licence.public is not None:
        made.append(tier_permit("public", one, licence.public))
    if licence.partner is not None:
        made.append(tier_permit("any partner", one, licence.partner))
    return made


def tier_permit(grantee, licence, tier):
    who = f"principal in {entity('Grantee', grantee)}"
    what = acted({Action.CATALOGUE, Action.PREVIEW, Action.TILE})
    return f"permit ({who}, {what}, resource in {licence}) when {{ {coarser_than(tier)} }};"


def ceiling_of(licence):
    one = entity("Licence", licence.id)
    return f"forbid (principal, action, resource in {one}) unless {{ {coarser_than(licence.holder)} }};"


def policies_of(snapshot, *, crisis):
    made = [
        permit_of(grant)
        for grant in snapshot.grants.values()
        if (grant.kind is GrantKind.CRISIS) is crisis and (not crisis or len(set(grant.approvals)) >= 2)
    ]
    made += [forbid_of(f) for f in snapshot.forbids.values() if not (crisis and f.overridable_by_crisis)]
    made += [caveat_of(held) for held in snapshot.keys.values() if held.caveat is not None]
    made += [ceiling_of(licence) for licence in snapshot.licences.values() if licence.holder is not None]
    made.append("forbid (principal, action, resource) unless { principal.active };")
    if not crisis:
        made += [each for licence in snapshot.licences.values() for each in tiers_of(licence)]
    return cedarpy.PolicySet.from_str("\n".join(made))


def uid(kind, id_):
    return {"type": kind, "id": id_}


def entities_of(snapshot):
    made = [
        thing(
            "Caller",
            "nobody",
            {"depth": 0, "endless": False, "life": 0, "active": True},
            [("Grantee", PUBLIC)],
        )
    ]
    for held in snapshot.keys.values():
        chain = chain_of(snapshot, held)
        lives = [each.expires and each.expires - each.created for each in chain[:-1]]
        known = snapshot.institutions[held.institution_id]
        words = [PUBLIC]
        if not known.operator:
            groups = [f"group:{g.id}" for g in snapshot.groups.values() if known.id in g.members]
            words += ["any partner", known.id, *groups]
        about = {
            "depth": len(lives),
            "endless": None in lives,
            "life": max((int(life.total_seconds()) for life in lives if life), default=0),
            "active": known.status is InstitutionStatus.ACTIVE,
        }
        made.append(thing("Key", held.id, {}, [("Key", held.parent_id)] if held.parent_id else []))
        made.append(thing("Caller", held.id, about, [("Key", held.id), *(("Grantee", w) for w in words)]))
    for number, point in enumerate(POINTS):
        about = {
            "collection": point.collection,
            "sensor": point.sensor,
            "scene": point.scene,
            "pan": millimetres(point.pan),
        }
        if point.licence is not None:
            about["licence"] = point.licence
        if point.acquired is not None:
            about["acquired"] = seconds(point.acquired)
        above = [("Licence", point.licence)] if point.licence else []
        made.append(thing("Scene", str(number), about, above))
    return made


def thing(kind, id_, about, above):
    return {"uid": uid(kind, id_), "attrs": about, "parents": [uid(*each) for each in above]}


def chain_of(snapshot, held):
    chain = [held]
    while chain[-1].parent_id is not None:
        chain.append(snapshot.keys[chain[-1].parent_id])
    return chain


def cedar_opens(snapshot, caller_id, action, now, origin):
    """Give the numbers of the points that either set of policies permits."""
    entities = entities_of(snapshot)
    requests = []
    for number, point in enumerate(POINTS):
        context = {"now": seconds(now), "detail": millimetres(point.detail)}
        if origin is not None:
            context["origin"] = origin
        requests.append(
            {
                "principal": uid("Caller", caller_id),
                "action": uid("Action", action.value),
                "resource": uid("Scene", str(number)),
                "context": context,
            }
        )
    opened = set()
    for crisis in (False, True):
        policies = policies_of(snapshot, crisis=crisis)
        for number, result in enumerate(cedarpy.is_authorized_batch(requests, policies, entities)):
            assert not result.diagnostics.errors
            if result.allowed:
                opened.add(number)
    return opened


def everywhere(strategy):
    return strategy.map(lambda right: right and placed(right))


def placed(right):
    return type(right)(**{name: getattr(right, name) for name in right.__slots__} | {"area": EVERYWHERE})


snapshots = st.builds(
    lambda grants, forbids, found, narrower, members, days, statuses: rights(
        grants,
        forbids,
        institutions=tuple(
            institution(id_, statuses.get(id_, InstitutionStatus.ACTIVE)) for id_ in INSTITUTIONS
        ),
        groups={"both": Group(id="both", name="both", members=members)},
        licences=named(
            Licence(id=id_, title=id_, public=public, partner=partner, holder=holder)
            for id_, (public, partner, holder) in zip(("etalab", "airbus"), found, strict=True)
        ),
        keys=named(
            (
                key("alphakey", caveat=narrower[0]),
                key(
                    "belowkey",
                    parent_id="alphakey",
                    caveat=narrower[1],
                    expires=days and DAYS[0] + timedelta(days=days),
                ),
                key("lowest00", parent_id="belowkey", expires=DAYS[5] + timedelta(days=4)),
                key("opskey00", "ops"),
            )
        ),
    ),
    grants=st.lists(everywhere(grants_of | crises_of), min_size=1, max_size=4),
    forbids=st.lists(everywhere(forbids_of), max_size=2),
    found=st.tuples(*[st.tuples(tiers, tiers, st.none() | tiers)] * 2),
    narrower=st.tuples(*[st.none() | everywhere(caveats)] * 2),
    members=st.frozensets(st.sampled_from(["alpha", "beta"])),
    days=st.sampled_from([None, 8, 20]),
    statuses=st.dictionaries(
        st.sampled_from(["alpha", "ops"]), st.sampled_from(InstitutionStatus), max_size=1
    ),
)


@settings(max_examples=max(300, int(2000 * SCALE)), deadline=None)
@given(
    snapshots,
    st.sampled_from(["nobody", "alphakey", "belowkey", "lowest00", "opskey00"]),
    asked,
    instants,
    origins,
)
def test_cedar_decides_the_same(snapshot, caller_id, action, now, origin):
    if caller_id == "nobody":
        principal = ANONYMOUS
    else:
        held = snapshot.keys[caller_id]
        if not all(each.expires is None or now < each.expires for each in chain_of(snapshot, held)):
            return
        # one of a suspended institution too: decide does not rely on that it was turned away before
        active = replace(snapshot, institutions=named(institution(id_) for id_ in INSTITUTIONS))
        principal = principal_of(active, held, now)
    decision = decide(snapshot, principal, action, now, circumstances=Circumstances(origin=origin))
    expected = {number for number, point in enumerate(POINTS) if opens(decision, point)}
    assert cedar_opens(snapshot, caller_id, action, now, origin) == expected


def test_cedar_answers_both_ways():
    """So that its agreement means something."""
    held = named([key("alphakey")])
    assert cedar_opens(rights(keys=held), "alphakey", Action.TILE, DAYS[1], HERE) == set()
    granted = grant(finest_ground_resolution=2.0)
    spot = {n for n, point in enumerate(POINTS) if point.collection == "spot" and point.detail >= 2.0}
    assert cedar_opens(rights([granted], keys=held), "alphakey", Action.TILE, DAYS[1], HERE) == spot
    assert cedar_opens(rights([granted], keys=held), "nobody", Action.TILE, DAYS[1], HERE) == set()
