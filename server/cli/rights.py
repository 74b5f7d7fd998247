"""`dinamis-flux institution`, `licence`, `grant`, `operator`: who there is, and what they may see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from auth.models import EVERYWHERE, PUBLIC, Institution, Licence, Selector
from auth.rules import new_grant
from server.cli.context import context_of, fail, messages, print_rows, told

institution = typer.Typer(help="Institutions.", no_args_is_help=True)
licence = typer.Typer(help="Licences that products are under.", no_args_is_help=True)
grant = typer.Typer(help="Grants: what an institution may see.", no_args_is_help=True)
operator = typer.Typer(help="Operators, who run the service.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@institution.command("add")
def institution_add(
    command: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits, `.`, `_`, `-`.")],
    name: Annotated[str, typer.Option(help="Full name. [default: the id]")] = "",
) -> None:
    """Add an institution."""
    _add_institution(command, Institution(id=id_, name=name or id_))


@operator.command("add")
def operator_add(
    command: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits, `.`, `_`, `-`.")],
    name: Annotated[str, typer.Option(help="Full name. [default: the id]")] = "",
) -> None:
    """Add an operator, who may read metrics; `key create ID` gives it a key."""
    _add_institution(command, Institution(id=id_, name=name or id_, operator=True))


def _add_institution(command: typer.Context, added: Institution) -> None:
    with told():
        new = context_of(command).policy.add_institution(added)
    messages.print(f"{added.id} added" if new else f"{added.id} is there already")


@institution.command("list")
def institution_list(command: typer.Context, as_json: _Json = False) -> None:
    """List institutions and operators."""
    with told():
        found = context_of(command).policy.snapshot().institutions.values()
    rows = [
        {"id": i.id, "name": i.name, "status": i.status.value, "operator": "yes" if i.operator else "no"}
        for i in found
    ]
    print_rows(rows, as_json=as_json, empty="no institutions")


@licence.command("add")
def licence_add(
    command: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits, `.`, `_`, `-`.")],
    title: Annotated[str, typer.Option(help="Full name. [default: the id]")] = "",
    provider: Annotated[str, typer.Option(help="Who gives it.")] = "",
    attribution: Annotated[str, typer.Option(help="Copyright line.")] = "",
    url: Annotated[str, typer.Option(help="Where its text stands.")] = "",
) -> None:
    """Add a licence."""
    added = Licence(id=id_, title=title or id_, provider=provider, attribution=attribution, url=url)
    with told():
        new = context_of(command).policy.add_licence(added)
    messages.print(f"licence {id_} added" if new else f"licence {id_} is there already")


@licence.command("list")
def licence_list(command: typer.Context, as_json: _Json = False) -> None:
    """List licences."""
    with told():
        found = context_of(command).policy.snapshot().licences.values()
    rows = [{"id": x.id, "title": x.title, "provider": x.provider, "url": x.url} for x in found]
    print_rows(rows, as_json=as_json, empty="no licences")


@grant.command("add")
def grant_add(
    command: typer.Context,
    grantee: Annotated[
        str, typer.Argument(metavar="INSTITUTION", help="Institution id, or `public` for everybody.")
    ],
    licences: Annotated[
        list[str] | None, typer.Option("--licence", help="Everything under this licence; may be repeated.")
    ] = None,
    collections: Annotated[
        list[str] | None, typer.Option("--collection", help="This collection; may be repeated.")
    ] = None,
) -> None:
    """Let an institution see what is under licences, in collections, or both (then only what is in both)."""
    if not licences and not collections:
        fail("name at least one --licence or --collection", 2)
    context = context_of(command)
    with told():
        unknown = [c for c in collections or () if context.catalog.collection(c) is None]
        if unknown:
            fail(f"no collection {unknown[0]!r}: bank a scene into it first")
        selector = Selector(
            collections=frozenset(collections) if collections else None,
            licences=frozenset(licences) if licences else None,
        )
        added = context.policy.add_grant(new_grant(grantee, selector, area=EVERYWHERE, now=datetime.now(UTC)))
    messages.print(f"grant {added.id}: {grantee}")


@grant.command("list")
def grant_list(
    command: typer.Context,
    grantee: Annotated[
        str | None, typer.Argument(metavar="INSTITUTION", help=f"Only this one's, or `{PUBLIC}`.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """List grants."""
    with told():
        found = context_of(command).policy.snapshot().grants
    rows = [
        {
            "id": g.id,
            "institution": g.grantee,
            "collections": sorted(g.selector.collections) if g.selector.collections else None,
            "licences": sorted(g.selector.licences) if g.selector.licences else None,
            "actions": sorted(a.value for a in g.actions),
            "created": g.created.date(),
        }
        for g in found
        if grantee in {None, g.grantee}
    ]
    print_rows(rows, as_json=as_json, empty="no grants")
