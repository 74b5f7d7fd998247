"""`dinamis-flux collection`: what end users read about a collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from mosaics.models import Collection, Text
from server.cli.context import context_of, fail, messages, print_rows, told

collection = typer.Typer(help="Collections: titles, descriptions, copyright lines.", no_args_is_help=True)


@collection.command("set")
def set_(
    command: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="Collection id.")],
    title_fr: Annotated[str | None, typer.Option(help="Title in French.")] = None,
    title_en: Annotated[str | None, typer.Option(help="Title in English.")] = None,
    description_fr: Annotated[str | None, typer.Option(help="A sentence or two in French.")] = None,
    description_en: Annotated[str | None, typer.Option(help="A sentence or two in English.")] = None,
    attribution: Annotated[
        str | None, typer.Option(help="Copyright line of scenes that have none of their own.")
    ] = None,
) -> None:
    """Change what capabilities, TileJSON and the map page say about a collection."""
    with told():
        catalog = context_of(command).catalog
        known = catalog.collection(id_)
        if known is None:
            fail(f"no collection {id_!r}")
        catalog.put_collection(
            replace(
                known,
                title=_changed(known.title, title_fr, title_en),
                description=_changed(known.description, description_fr, description_en),
                attribution=known.attribution if attribution is None else attribution,
            )
        )
    messages.print(f"collection {id_} changed")


@collection.command("list")
def list_(
    command: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List collections."""
    with told():
        found = context_of(command).catalog.changes(0).collections.values()
    rows = [_row(c) for c in found if c is not None]
    print_rows(sorted(rows, key=lambda row: str(row["id"])), as_json=as_json, empty="no collections")


def _row(known: Collection) -> dict[str, object]:
    return {
        "id": known.id,
        "title_fr": known.title.fr,
        "title_en": known.title.en,
        "licence": known.licence_id,
        "attribution": known.attribution or None,
    }


def _changed(text: Text, fr: str | None, en: str | None) -> Text:
    return Text(fr=text.fr if fr is None else fr, en=text.en if en is None else en)
