"""Rights and callers for tests, each in a line that says only what matters."""

from auth.decision import ANONYMOUS, Principal, PrincipalKind
from auth.models import Action, Forbid, Grant, Institution, InstitutionStatus, Key, KeySecret
from auth.reach import EVERYWHERE, Selector
from auth.snapshot import PolicySnapshot
from tests.auth.strategies import EPOCH

INSTITUTIONS = ("alpha", "beta", "ops", "ops2")


def institution(id_, status=InstitutionStatus.ACTIVE):
    return Institution(id=id_, name=id_, status=status, operator=id_.startswith("ops"))


def grant(id_="g1", grantee="alpha", **fields):
    values = {"selector": Selector(collections=frozenset({"spot"})), "actions": frozenset({Action.TILE})}
    return Grant(
        id=id_, grantee=grantee, area=fields.pop("area", EVERYWHERE), created=EPOCH, **(values | fields)
    )


def forbid(id_="f1", **fields):
    values = {"selector": Selector(collections=frozenset({"spot"})), "reason": "embargo"}
    return Forbid(id=id_, area=fields.pop("area", EVERYWHERE), created=EPOCH, **(values | fields))


def named(values):
    return {value.id: value for value in values}


def rights(grants=(), forbids=(), institutions=None, **more):
    known = institutions or tuple(institution(id_) for id_ in INSTITUTIONS)
    return PolicySnapshot(
        epoch=1, institutions=named(known), grants=named(grants), forbids=named(forbids), **more
    )


def caller(id_):
    if id_ is None:
        return ANONYMOUS
    kind = PrincipalKind.OPERATOR if id_.startswith("ops") else PrincipalKind.INSTITUTION
    return Principal(kind=kind, institution_id=id_, key_id="abcdefgh")


def key(id_, institution_id="alpha", **more):
    secret = KeySecret(number=1, hmac=bytes(32), pepper_version=1)
    return Key(
        id=id_,
        institution_id=institution_id,
        secrets=(secret,),
        url_allowed=True,
        label="",
        created=EPOCH,
        **more,
    )
