"""`dinamis-flux collection`: what end users read about a collection, and whether they know of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from auth.models import PUBLIC
from mosaics.models import Collection, Text
from mosaics.stretch import Stretch
from mosaics.stretching import keep_stretch
from server.cli.context import USAGE, Context, context_of, fail, messages, print_rows, told
from server.visibility import set_listed
from server.visibility import visibility as visibility_of

collection = typer.Typer(
    help="Collections: titles, descriptions, copyright lines, visibility.", no_args_is_help=True
)


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
    stretch: Annotated[
        str | None,
        typer.Option(
            help="collection: one range of values for all scenes, so that seams don't show, found now; "
            "scene: each scene has its own."
        ),
    ] = None,
    visibility: Annotated[
        str | None, typer.Option(help="listed: everybody may know of it, and sees no pixel by that; hidden.")
    ] = None,
) -> None:
    """Change what capabilities, TileJSON and the map page say about a collection, and who knows of it."""
    if visibility not in {None, "listed", "hidden"}:
        fail(f"--visibility {visibility}: listed or hidden", USAGE)
    if stretch not in {None, "collection", "scene"}:
        fail(f"--stretch {stretch}: collection or scene", USAGE)
    context = context_of(command)
    with told():
        catalog = context.catalog
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
        if stretch == "scene":
            catalog.put_stretch(id_, Stretch(each=True))
        elif stretch == "collection":
            keep_stretch(catalog, context.index, id_)
    messages.print(f"collection {id_} changed")
    if visibility is not None:
        _set_visibility(context, id_, visibility)


@collection.command("list")
def list_(
    command: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List collections."""
    context = context_of(command)
    with told():
        found = context.catalog.collections().values()
    rights, now = context.rights(), datetime.now(UTC)
    rows = [_row(c) | {"visibility": visibility_of(rights, c.id, now)} for c in found]
    print_rows(sorted(rows, key=lambda row: str(row["id"])), as_json=as_json, empty="no collections")


def _set_visibility(context: Context, id_: str, wanted: str) -> None:
    now = datetime.now(UTC)
    context.change(set_listed(id_, now, listed=wanted == "listed", created_by=context.actor))
    state = visibility_of(context.rights(), id_, now)
    messages.print(f"collection {id_} is {state}")
    if state != wanted:
        messages.print(
            f"other grants to {PUBLIC} still make it {state}: grant list {PUBLIC}",
            style="yellow",
            markup=False,
        )


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
