"""`dinamis-flux institution`, `group`, `operator`, `membership`, `licence`: who there is, and the terms."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from auth.documents import document_of
from auth.edits import add, put, remove, set_status
from auth.models import Group, Institution, InstitutionStatus, Kind, Licence, Right, Role
from auth.rules import new_membership
from server.cli.context import USAGE, Context, context_of, fail, messages, print_document, print_rows
from server.cli.reach import tier_of, tier_text

institution = typer.Typer(help="Institutions.", no_args_is_help=True)
group = typer.Typer(help="Groups of institutions, which grants may be made to.", no_args_is_help=True)
operator = typer.Typer(help="Operators, who run the service.", no_args_is_help=True)
membership = typer.Typer(
    help="Which institution the word of an identity provider or a gateway means.", no_args_is_help=True
)
licence = typer.Typer(help="Licences that products are under.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits, `.`, `_`, `-`.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Name = Annotated[str, typer.Option(help="Full name. [default: the id]", show_default=False)]
_Agreement = Annotated[str | None, typer.Option(help="Reference of the contract or charter it signed.")]
_Contacts = Annotated[list[str] | None, typer.Option("--contact", help="Mail address; may be repeated.")]
_Members = Annotated[list[str] | None, typer.Option("--member", help="Institution; may be repeated.")]
_TIER = "32xpan, 16m, both with a comma, or"
_Public = Annotated[str | None, typer.Option(help=f"What everybody may see: {_TIER} off.")]
_Partner = Annotated[str | None, typer.Option(help=f"What every signed-in institution may see: {_TIER} off.")]
_Holder = Annotated[str | None, typer.Option(help=f"The finest that any grant opens: {_TIER} native.")]


@institution.command("add")
def institution_add(
    command: typer.Context,
    id_: _Id,
    name: _Name = "",
    agreement: _Agreement = None,
    contacts: _Contacts = None,
) -> None:
    """Add an institution."""
    made = Institution(id=id_, name=name or id_, agreement=agreement or "", contacts=tuple(contacts or ()))
    _add(context_of(command), made)


@operator.command("add")
def operator_add(command: typer.Context, id_: _Id, name: _Name = "") -> None:
    """Add an operator, who administers; `key create ID` gives it a key. It sees no imagery by that."""
    _add(context_of(command), Institution(id=id_, name=name or id_, operator=True))


@institution.command("list")
def institution_list(command: typer.Context, as_json: _Json = False) -> None:
    """List institutions and operators."""
    rows = [
        {
            "id": each.id,
            "name": each.name,
            "status": each.status.value,
            "operator": "yes" if each.operator else "no",
            "agreement": each.agreement or None,
        }
        for each in context_of(command).rights().institutions.values()
    ]
    print_rows(rows, as_json=as_json, empty="no institutions")


@institution.command("show")
def institution_show(command: typer.Context, id_: _Id, as_json: _Json = False) -> None:
    """Show an institution, its groups, grants and keys."""
    rights = context_of(command).rights()
    found = _one(rights.institutions, "institution", id_)
    groups = rights.groups_of.get(id_, ())
    document = document_of(found) | {
        "groups": [word.partition(":")[2] for word in groups],
        "grants": [g.id for name in (id_, *groups) for g in rights.grants_by_grantee.get(name, ())],
        "keys": [key.id for key in rights.keys.values() if key.institution_id == id_],
    }
    print_document(document, as_json=as_json)


@institution.command("set")
def institution_set(
    command: typer.Context,
    id_: _Id,
    name: Annotated[str | None, typer.Option(help="Full name.")] = None,
    agreement: _Agreement = None,
    contacts: _Contacts = None,
) -> None:
    """Change what is said of an institution."""
    context = context_of(command)
    known = _one(context.rights().institutions, "institution", id_)
    changed = replace(
        known,
        name=known.name if name is None else name,
        agreement=known.agreement if agreement is None else agreement,
        contacts=known.contacts if contacts is None else tuple(contacts),
    )
    _put(context, changed)


@institution.command("suspend")
def institution_suspend(command: typer.Context, id_: _Id) -> None:
    """Suspend an institution: all its keys open nothing, until `resume`."""
    _set_status(command, id_, InstitutionStatus.SUSPENDED)


@institution.command("resume")
def institution_resume(command: typer.Context, id_: _Id) -> None:
    """Make a suspended or closed institution active again."""
    _set_status(command, id_, InstitutionStatus.ACTIVE)


@institution.command("close")
def institution_close(command: typer.Context, id_: _Id) -> None:
    """Close an institution: all its keys open nothing; its record and its usage stay."""
    _set_status(command, id_, InstitutionStatus.CLOSED)


@institution.command("remove")
def institution_remove(command: typer.Context, id_: _Id) -> None:
    """Remove an institution that nothing names."""
    _remove(command, "institution", id_)


@group.command("add")
def group_add(command: typer.Context, id_: _Id, name: _Name = "", members: _Members = None) -> None:
    """Add a group; grants are made to it as `group:ID`."""
    _add(context_of(command), Group(id=id_, name=name or id_, members=frozenset(members or ())))


@group.command("set")
def group_set(
    command: typer.Context,
    id_: _Id,
    name: Annotated[str | None, typer.Option(help="Full name.")] = None,
    members: Annotated[
        list[str] | None, typer.Option("--member", help="All its institutions; may be repeated.")
    ] = None,
    add_member: Annotated[list[str] | None, typer.Option(help="One more; may be repeated.")] = None,
    drop_member: Annotated[list[str] | None, typer.Option(help="One less; may be repeated.")] = None,
) -> None:
    """Change a group."""
    context = context_of(command)
    known = _one(context.rights().groups, "group", id_)
    whole = known.members if members is None else frozenset(members)
    whole = (whole | frozenset(add_member or ())) - frozenset(drop_member or ())
    _put(context, replace(known, name=known.name if name is None else name, members=whole))


@group.command("list")
def group_list(command: typer.Context, as_json: _Json = False) -> None:
    """List groups."""
    rows = [
        {"id": each.id, "name": each.name, "members": sorted(each.members) or None}
        for each in context_of(command).rights().groups.values()
    ]
    print_rows(rows, as_json=as_json, empty="no groups")


@group.command("remove")
def group_remove(command: typer.Context, id_: _Id) -> None:
    """Remove a group that no grant is made to."""
    _remove(command, "group", id_)


@membership.command("add")
def membership_add(
    command: typer.Context,
    institution_id: Annotated[str, typer.Argument(metavar="INSTITUTION", help="Who it means.")],
    issuer: Annotated[str, typer.Option(help="Issuer of tokens, exactly as it names itself; or gateway.")],
    claim: Annotated[
        str,
        typer.Option(help="Claim, such as siret or realm_access.roles; of a gateway org, role or username."),
    ],
    value: Annotated[str, typer.Option(help="What the claim must say, or hold where it is a list.")],
    manager: Annotated[bool, typer.Option("--manager", help="May make keys and see usage.")] = False,
) -> None:
    """Say which institution a claim means.

    Whom memberships call a member of several institutions is a member of none. Choose claims that people
    can't change themselves. Of an identity provider, a role of Keycloak and ProConnect's organisation:

    dinamis-flux membership add ign --issuer https://sso.example.org --claim realm_access.roles --value ign

    dinamis-flux membership add ign --issuer https://pc.example.org --claim siret --value 18006701900012

    Of a portal whose headers are believed (settings, group gateway), by organisation or by role:

    dinamis-flux membership add ign --issuer gateway --claim org --value ign

    dinamis-flux membership add ign --issuer gateway --claim role --value FLUX_IGN --manager
    """
    role = Role.MANAGER if manager else Role.READER
    _add(context_of(command), new_membership(institution_id, issuer, claim, value, role=role))


@membership.command("list")
def membership_list(command: typer.Context, as_json: _Json = False) -> None:
    """List memberships."""
    rows = [document_of(each) for each in context_of(command).rights().memberships.values()]
    order = ("id", "institution_id", "issuer", "claim", "value", "role")
    shown = [{name: row.get(name, Role.READER.value) for name in order} for row in rows]
    print_rows(shown, as_json=as_json, empty="no memberships")


@membership.command("remove")
def membership_remove(command: typer.Context, id_: _Id) -> None:
    """Remove a membership."""
    _remove(command, "membership", id_)


@licence.command("add")
def licence_add(
    command: typer.Context,
    id_: _Id,
    title: Annotated[str, typer.Option(help="Full name. [default: the id]", show_default=False)] = "",
    provider: Annotated[str, typer.Option(help="Who gives it.")] = "",
    attribution: Annotated[str, typer.Option(help="Copyright line.")] = "",
    url: Annotated[str, typer.Option(help="Where its text stands.")] = "",
    terms_version: Annotated[str, typer.Option(help="Version of its text.")] = "",
    redistribution: Annotated[str, typer.Option(help="open, institutional or contract.")] = "institutional",
    public: _Public = None,
    partner: _Partner = None,
    holder: _Holder = None,
) -> None:
    """Add a licence. Nobody sees anything by it alone, unless --public or --partner say so."""
    more: dict[str, Any] = {"redistribution": redistribution}
    made = Licence(
        id=id_,
        title=title or id_,
        provider=provider,
        attribution=attribution,
        url=url,
        terms_version=terms_version,
        public=tier_of(public or "off", "public"),
        partner=tier_of(partner or "off", "partner"),
        holder=tier_of(holder or "native", "holder"),
        **more,
    )
    _add(context_of(command), made)


@licence.command("set")
def licence_set(
    command: typer.Context,
    id_: _Id,
    title: Annotated[str | None, typer.Option(help="Full name.")] = None,
    provider: Annotated[str | None, typer.Option(help="Who gives it.")] = None,
    attribution: Annotated[str | None, typer.Option(help="Copyright line.")] = None,
    url: Annotated[str | None, typer.Option(help="Where its text stands.")] = None,
    terms_version: Annotated[str | None, typer.Option(help="Version of its text.")] = None,
    redistribution: Annotated[str | None, typer.Option(help="open, institutional or contract.")] = None,
    public: _Public = None,
    partner: _Partner = None,
    holder: _Holder = None,
) -> None:
    """Change a licence, such as what everybody may see of its products."""
    context = context_of(command)
    known = _one(context.rights().licences, "licence", id_)
    said: dict[str, Any] = {
        "title": title,
        "provider": provider,
        "attribution": attribution,
        "url": url,
        "terms_version": terms_version,
        "redistribution": redistribution,
    }
    changed = {name: value for name, value in said.items() if value is not None}
    for name, text in (("public", public), ("partner", partner), ("holder", holder)):
        if text is not None:
            changed[name] = tier_of(text, name)
    _put(context, replace(known, **changed))


@licence.command("list")
def licence_list(command: typer.Context, as_json: _Json = False) -> None:
    """List licences, with what everybody, every partner and a holder may see."""
    rows = [
        {
            "id": each.id,
            "title": each.title,
            "provider": each.provider,
            "redistribution": each.redistribution,
            "public": tier_text(each.public, "off"),
            "partner": tier_text(each.partner, "off"),
            "holder": tier_text(each.holder, "native"),
            "url": each.url,
        }
        for each in context_of(command).rights().licences.values()
    ]
    print_rows(rows, as_json=as_json, empty="no licences")


@licence.command("remove")
def licence_remove(command: typer.Context, id_: _Id) -> None:
    """Remove a licence that no grant or forbid names."""
    _remove(command, "licence", id_)


def _one(held: Any, kind: Kind, id_: str) -> Any:
    if id_ not in held:
        fail(f"no {kind} {id_!r}")
    return held[id_]


def _add(context: Context, made: Right) -> None:
    changes = context.change(add(made))
    messages.print(f"{made.id} added" if changes else f"{made.id} is there already")


def _put(context: Context, changed: Right) -> None:
    messages.print(f"{changed.id} changed" if context.change(put(changed)) else f"{changed.id} is so already")


def _set_status(command: typer.Context, id_: str, status: InstitutionStatus) -> None:
    changes = context_of(command).change(set_status(id_, status))
    messages.print(f"{id_} is {'' if changes else 'already '}{status.value}")


def _remove(command: typer.Context, kind: Kind, id_: str) -> None:
    if not id_:
        fail("name what to remove", USAGE)
    context_of(command).change(remove(kind, id_))
    messages.print(f"{kind} {id_} removed")
