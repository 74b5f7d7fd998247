"""`dinamis-flux grant` and `forbid`: what institutions may see, and what nobody may."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import typer

from auth.documents import document_of
from auth.edits import Edit, add_by_content, approve, ask_crisis, remove, same_as
from auth.models import (
    APPROVALS_NEEDED,
    GRANTED_BY_DEFAULT,
    LONGEST_CRISIS,
    PUBLIC,
    Delegation,
    Forbid,
    Grant,
    GrantKind,
)
from auth.reach import ALWAYS, Area, Selector, Window, written_window
from auth.rules import new_forbid, new_grant
from server.cli.context import USAGE, Context, context_of, fail, messages, print_document, print_rows, told
from server.cli.reach import (
    Acquired,
    ActionsText,
    AreaText,
    Collections,
    Gsd,
    Licences,
    Networks,
    Origins,
    RateText,
    Scenes,
    Sensors,
    Valid,
    actions_of,
    area_of,
    conditions_of,
    gsd_of,
    quota_of,
    rate_of,
    selector_of,
    window_of,
)

grant = typer.Typer(help="Grants: what an institution may see.", no_args_is_help=True)
forbid = typer.Typer(help="Forbids: embargoes and take-downs, which beat every grant.", no_args_is_help=True)

_Grantee = Annotated[
    str, typer.Argument(metavar="INSTITUTION", help="Institution id, `group:ID`, or `public` for everybody.")
]
_GrantId = Annotated[str, typer.Argument(metavar="GRANT", help="Its id, as `grant list` shows it.")]
_By = Annotated[str, typer.Option(help="The operator who approves it.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
R = TypeVar("R", Grant, Forbid)
_DELEGATE = re.compile(r"(?P<depth>[1-4])(?::(?P<days>\d{1,5}))?")


@grant.command("add")
def grant_add(
    command: typer.Context,
    grantee: _Grantee,
    licences: Licences = None,
    collections: Collections = None,
    sensors: Sensors = None,
    scenes: Scenes = None,
    area: AreaText = None,
    gsd: Gsd = None,
    acquired: Acquired = None,
    valid: Valid = None,
    actions: ActionsText = None,
    origins: Origins = None,
    networks: Networks = None,
    quota: Annotated[
        str | None, typer.Option(help="How much of it, in 256 px tiles, such as 100000/month.")
    ] = None,
    rate: RateText = None,
    delegate: Annotated[
        str | None, typer.Option(help="Keys below the institution's own that may use it: DEPTH[:DAYS].")
    ] = None,
    no_delegation: Annotated[
        bool, typer.Option("--no-delegation", help="Only the institution's own keys may use it.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    agreement: Annotated[str, typer.Option(help="Reference of the contract.")] = "",
) -> None:
    """Let an institution see what is named; several kinds (licence, collection ...) must all fit."""
    if not (licences or collections or sensors or scenes):
        fail("name at least one --licence, --collection, --sensor or --scene", USAGE)
    if delegate is not None and no_delegation:
        fail("--delegate and --no-delegation contradict each other", USAGE)
    context = context_of(command)
    selector = selector_of(
        context, collections=collections, licences=licences, sensors=sensors, scenes=scenes
    )
    more: dict[str, Any] = {
        "acquired": window_of(acquired, "acquired"),
        "valid": window_of(valid, "valid"),
        "finest_ground_resolution": gsd_of(gsd),
        "actions": actions_of(actions) or GRANTED_BY_DEFAULT,
        "conditions": conditions_of(origins, networks),
        "quota": quota_of(quota),
        "rate": rate_of(rate),
        "delegable": None if no_delegation else _delegation(delegate),
        "reason": reason,
        "agreement": agreement,
    }
    made = _new_grant(context, grantee, selector, area_of(area), more)
    _added(context, made, f"grant to {grantee}", add_by_content(made))


@grant.command("crisis")
def grant_crisis(
    command: typer.Context,
    grantee: _Grantee,
    event: Annotated[str, typer.Option(help="The event, such as EMSR712.")],
    area: AreaText,
    by: _By,
    collections: Collections = None,
    sensors: Sensors = None,
    hours: Annotated[int, typer.Option(help="How long from now.", min=1, max=72)] = 72,
    actions: ActionsText = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Open an area for a crisis, up to 72 hours; it holds once a second operator has approved it."""
    context = context_of(command)
    now = datetime.now(UTC).replace(microsecond=0)
    more: dict[str, Any] = {
        "kind": GrantKind.CRISIS,
        "event_id": event,
        "valid": Window(start=now, end=now + min(timedelta(hours=hours), LONGEST_CRISIS)),
        "actions": actions_of(actions) or GRANTED_BY_DEFAULT,
        "reason": reason,
    }
    selector = selector_of(context, collections=collections, licences=None, sensors=sensors)
    made = _new_grant(context, grantee, selector, area_of(area), more)
    made = _added(context, made, f"grant to {grantee}", ask_crisis(made, by))
    messages.print(f"it holds once another operator has approved it: grant approve {made.id} --by OPERATOR")


@grant.command("approve")
def grant_approve(command: typer.Context, grant_id: _GrantId, by: _By) -> None:
    """Approve a crisis grant; two different operators are needed."""
    context = context_of(command)
    changes = context.change(approve(grant_id, by))
    missing = APPROVALS_NEEDED - len(context.rights().grants[grant_id].approvals)
    state = f"{missing} more needed" if missing > 0 else "it holds"
    messages.print(
        f"{grant_id} approved by {by}: {state}" if changes else f"{by} approved it before: {state}"
    )


@grant.command("list")
def grant_list(
    command: typer.Context,
    grantee: Annotated[
        str | None, typer.Argument(metavar="INSTITUTION", help=f"Only this one's, or `{PUBLIC}`.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """List grants."""
    found = [g for g in context_of(command).rights().grants.values() if grantee in {None, g.grantee}]
    print_rows([_grant_row(each) for each in found], as_json=as_json, empty="no grants")


@grant.command("show")
def grant_show(command: typer.Context, grant_id: _GrantId, as_json: _Json = False) -> None:
    """Show everything that a grant says."""
    found = context_of(command).rights().grants.get(grant_id)
    if found is None:
        fail(f"no grant {grant_id!r}")
    print_document(document_of(found), as_json=as_json)


@grant.command("remove")
def grant_remove(command: typer.Context, grant_id: _GrantId) -> None:
    """Take a grant back; every running worker follows within 5 s."""
    context_of(command).change(remove("grant", grant_id))
    messages.print(f"grant {grant_id} removed")


@forbid.command("add")
def forbid_add(
    command: typer.Context,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    licences: Licences = None,
    collections: Collections = None,
    sensors: Sensors = None,
    scenes: Scenes = None,
    area: AreaText = None,
    acquired: Acquired = None,
    valid: Valid = None,
    overridable: Annotated[
        bool, typer.Option("--overridable", help="A crisis grant may override it.")
    ] = False,
) -> None:
    """Forbid what is named to everybody, whatever is granted; without --area it is everywhere."""
    if not (licences or collections or sensors or scenes or area):
        fail("name at least one --licence, --collection, --sensor, --scene or --area", USAGE)
    context = context_of(command)
    selector = selector_of(
        context, collections=collections, licences=licences, sensors=sensors, scenes=scenes
    )
    with told():
        made = new_forbid(
            selector,
            area=area_of(area),
            reason=reason,
            now=datetime.now(UTC),
            acquired=window_of(acquired, "acquired"),
            valid=window_of(valid, "valid"),
            overridable_by_crisis=overridable,
            created_by=context.actor,
        )
    _added(context, made, "forbid", add_by_content(made))


@forbid.command("list")
def forbid_list(command: typer.Context, as_json: _Json = False) -> None:
    """List forbids."""
    rows = [
        {
            "id": each.id,
            "reason": each.reason,
            **_reach_row(each.selector, each.area, each.acquired, each.valid),
            "overridable": "yes" if each.overridable_by_crisis else "no",
            "created": each.created.date(),
        }
        for each in context_of(command).rights().forbids.values()
    ]
    print_rows(rows, as_json=as_json, empty="no forbids")


@forbid.command("remove")
def forbid_remove(
    command: typer.Context, forbid_id: Annotated[str, typer.Argument(metavar="FORBID", help="Its id.")]
) -> None:
    """Lift a forbid."""
    context_of(command).change(remove("forbid", forbid_id))
    messages.print(f"forbid {forbid_id} removed")


def _delegation(text: str | None) -> Delegation:
    if text is None:
        return Delegation()
    found = _DELEGATE.fullmatch(text)
    if found is None:
        fail(f"--delegate {text}: it is written DEPTH or DEPTH:DAYS, with a depth from 1 to 4", USAGE)
    return Delegation(depth=int(found["depth"]), longest_days=int(found["days"]) if found["days"] else None)


def _new_grant(
    context: Context, grantee: str, selector: Selector, area: Area | None, more: dict[str, Any]
) -> Grant:
    with told():
        return new_grant(
            grantee, selector, area=area, now=datetime.now(UTC), created_by=context.actor, **more
        )


def _added(context: Context, made: R, what: str, edit: Edit) -> R:
    changes = context.change(edit)
    if changes:
        messages.print(f"{what}: {made.id}")
        return made
    same = same_as(context.rights(), made)
    assert isinstance(same, type(made)), "nothing was added because it is there"
    messages.print(f"{what} is there already: {same.id}")
    return same


def _grant_row(each: Grant) -> dict[str, Any]:
    return {
        "id": each.id,
        "institution": each.grantee,
        **_reach_row(each.selector, each.area, each.acquired, each.valid),
        "gsd": each.finest_ground_resolution,
        "actions": sorted(action.value for action in each.actions),
        "quota": f"{each.quota.amount}/{each.quota.period}" if each.quota else None,
        "kind": each.kind.value if each.approved else f"{each.kind.value}, not approved",
        "created": each.created.date(),
    }


def _reach_row(selector: Selector, area: Area | None, acquired: Window, valid: Window) -> dict[str, Any]:
    def names(found: Iterable[str] | None) -> list[str] | None:
        return sorted(found) if found else None

    def span(window: Window) -> str | None:
        return None if window == ALWAYS else written_window(window)

    return {
        "collections": names(selector.collections),
        "licences": names(selector.licences),
        "sensors": names(selector.sensors),
        "scenes": names(selector.scenes),
        "area": "everywhere" if area is None else area.digest,
        "acquired": span(acquired),
        "valid": span(valid),
    }
