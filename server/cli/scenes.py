"""`dinamis-flux scene`: scenes of the catalogue, listed, written to files, imported from such, taken out."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from mosaics.catalog.index import Part
from mosaics.catalog.table import Rows
from mosaics.cql2 import Expression, every, expression_from_text
from mosaics.errors import IngestError
from mosaics.ingest.collection_documents import collection_to_document
from mosaics.ingest.foreign import Completing
from mosaics.ingest.importing import Importing, Report
from mosaics.ingest.placing import Places
from mosaics.ingest.preparing import Task
from mosaics.ingest.second_process import SecondProcess
from mosaics.sensors import find_sensor, load_sensors
from mosaics.stretching import is_due, keep_stretch_of_items
from mosaics.styles import load_styles
from server.cli.bringing_in import make_licence, warn_of_public
from server.cli.context import FAILED, USAGE, Context, context_of, fail, messages, print_rows, told
from server.database import keep_pages
from server.storage import scene_files

scene = typer.Typer(
    help="Scenes: listed, written to files, imported, taken out of the catalogue.", no_args_is_help=True
)

_Collection = Annotated[str | None, typer.Option(help="Only scenes of this collection.")]
_Where = Annotated[
    str | None,
    typer.Option(
        "--where", metavar="CQL2", help="Only what fits, such as \"gsd < 1 AND platform = 'phr1a'\"."
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_SHOWN: Final = 5
"""Refused items that are told of one by one."""
_PAGES_MEGABYTES: Final = 64
"""Of the database that an import holds: the indices of some hundred thousand scenes."""
_COLLECTED_EVERY: Final = 10_000
"""Objects that an import makes until Python looks for cycles among them: about those of a batch."""


@scene.command("import")
def import_(
    command: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            exists=True,
            dir_okay=False,
            help="STAC items: one per line, a FeatureCollection, or stac-geoparquet.",
        ),
    ],
    collection: Annotated[
        str | None, typer.Option(help="Collection of all of them, made if new. [default: as each says]")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of all of them, made if new. [default: our own keep theirs]"),
    ] = None,
    sensor: Annotated[
        str | None, typer.Option(help="Sensor of items that others wrote. [default: found out]")
    ] = None,
    asset: Annotated[str | None, typer.Option(help="Key of their image, where they have several.")] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Exit with 0 even if some are refused.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of them as JSON.")] = False,
) -> None:
    """Import STAC items whose images lie below the data roots already; no file is opened.

    Takes what `scene export` wrote, and items of others as far as they say what has to be known: bands, their
    type, size and resolution. What can't be served is refused with its reason; the others go on and the exit
    status is 1. The same again changes nothing. Interrupted, it leaves whole batches, and the same again goes
    on. Servers go on reading meanwhile, and show what is new within seconds.
    """
    context = context_of(command)
    with told():
        task = _task(context, collection, licence, sensor, asset)
        if licence is not None:
            make_licence(context, licence)
    keep_pages(context.engine, _PAGES_MEGABYTES)
    second = SecondProcess(task) if len(os.sched_getaffinity(0)) > 1 else None
    importing = Importing(catalog=context.catalog, task=task, second=second)
    stopped = ""
    try:
        with closing(second) if second else nullcontext(), seldom_collecting(), _progress() as progress:
            for path in files:
                importing.run(path, progress(path.name))
    except IngestError as error:
        stopped = str(error)
    except KeyboardInterrupt:
        stopped = "interrupted; the same command again goes on"
    report = importing.report
    with told():
        for collection_id in sorted(each for each in report.touched if is_due(context.catalog, each)):
            keep_stretch_of_items(context.catalog, collection_id)
    _tell(context, report, as_json=as_json)
    if stopped:
        fail(stopped)
    if report.refused and not skip_broken:
        raise typer.Exit(FAILED)


def _task(
    context: Context, collection: str | None, licence: str | None, sensor: str | None, asset: str | None
) -> Task:
    settings = context.settings
    sensors = load_sensors(settings.data_folder)
    places = Places(
        root=settings.data.resolve(), roots=settings.readable_roots, objects=scene_files(settings).objects
    )
    completing = Completing(
        places=places,
        sensors=sensors,
        styles=load_styles(settings.data_folder),
        sensor=None if sensor is None else find_sensor(sensors, sensor),
        asset_key=asset,
    )
    return Task(completing=completing, collection_id=collection, licence_id=licence)


def _tell(context: Context, report: Report, *, as_json: bool) -> None:
    """Say what became of the items."""
    for refusal in report.reasons if as_json else report.reasons[:_SHOWN]:
        named = f" ({refusal.scene_id})" if refusal.scene_id else ""
        messages.print(
            f"refused {refusal.place}{named}: {refusal.reason}", style="red", markup=False, soft_wrap=True
        )
    if not as_json and report.refused > _SHOWN:
        messages.print(f"and {report.refused - _SHOWN} more")
    for collection_id in report.made:
        messages.print(f"collection {collection_id} made", markup=False)
    unknown = sorted(report.licences - set(context.rights().licences))
    if unknown:
        messages.print(
            f"no licence here is called {', '.join(unknown)}: it opens nothing until it is made with "
            "`licence add`, and granted",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    warn_of_public(context, report.touched)
    counts = {name: getattr(report, name) for name in ("added", "replaced", "unchanged", "refused")}
    if as_json:
        reasons = [
            {"place": each.place, "id": each.scene_id, "reason": each.reason} for each in report.reasons
        ]
        print(json.dumps({**counts, "collections_made": report.made, "reasons": reasons}, ensure_ascii=False))
    else:
        messages.print(", ".join(f"{count} {name}" for name, count in counts.items()), markup=False)


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Let Python look for cycles seldom, and not among what was there before: items have none."""
    held = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY, *held[1:])
    try:
        yield
    finally:
        gc.set_threshold(*held)
        gc.unfreeze()


@contextmanager
def _progress() -> Iterator[Callable[[str], Callable[[float, Report], None]]]:
    """Show how far a file is, where somebody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages, transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task("", total=1.0)

        def of_file(name: str) -> Callable[[float, Report], None]:
            return lambda done, report: bars.update(
                task, description=f"{name}: {report.done} items", completed=done
            )

        yield of_file


@scene.command("list")
def list_(
    command: typer.Context,
    collection: _Collection = None,
    where: _Where = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: _Json = False,
) -> None:
    """List scenes, those that were changed last first."""
    context = context_of(command)
    with told():
        found = _selected(context, collection, where)
    held = [(int(part.table.sequences[row]), part, int(row)) for part, rows in found for row in rows]
    held.sort(key=lambda each: each[0], reverse=True)
    print_rows([_row(part, row) for _, part, row in held[:limit]], as_json=as_json, empty="no scenes")
    if len(held) > limit:
        messages.print(f"{limit} of {len(held)}; --limit shows more", markup=False)


@scene.command("export")
def export(
    command: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="File. [default: standard output]")
    ] = None,
    collection: _Collection = None,
    where: _Where = None,
) -> None:
    """Write collections and their scenes as STAC, one object per line, for `scene import`.

    Paths of files in the home are relative to its folder `data`, which is copied apart.
    """
    context = context_of(command)
    with told():
        wanted = None
        if collection is not None or where is not None:
            wanted = {
                (str(part.table.word("collection", row)), str(part.table.word("id", row)))
                for part, rows in _selected(context, collection, where)
                for row in rows
            }
        count = _export(context, output, wanted)
    messages.print(f"{count} scene{'' if count == 1 else 's'} written", markup=False)


def _export(context: Context, output: Path | None, wanted: set[tuple[str, str]] | None) -> int:
    """Write what is wanted, whole before it takes its name."""
    partial = None if output is None else output.with_name(f".{output.name}.partial")
    file = sys.stdout if partial is None else partial.open("w", encoding="utf-8")
    count = 0
    try:
        named = None if wanted is None else {key[0] for key in wanted}
        for collection_id, each in context.catalog.collections().items():
            if named is None or collection_id in named:
                file.write(json.dumps(collection_to_document(each), ensure_ascii=False) + "\n")
        for key, item in context.catalog.items():
            if wanted is None or key in wanted:
                file.write(json.dumps(item, ensure_ascii=False) + "\n")
                count += 1
    finally:
        if partial is not None:
            file.close()
    if partial is not None and output is not None:
        partial.replace(output)
    return count


@scene.command("remove")
def remove(
    command: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[COLLECTION:SCENE]...", help="Scenes.")] = None,
    collection: _Collection = None,
    where: _Where = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take scenes out of the catalogue; their files stay, and `leftovers` lists those in the home.

    Servers show them no more within seconds. By --collection and --where all that fit are taken, once that
    was confirmed.
    """
    by_filter = collection is not None or where is not None
    if bool(ids) == by_filter:
        fail("name scenes as COLLECTION:SCENE, or say which by --collection or --where", USAGE)
    context = context_of(command)
    with told():
        keys = _named(context, ids) if ids else _fitting(context, collection, where)
    if not keys:
        fail("no scene fits")
    said = f"{len(keys)} scene{'' if len(keys) == 1 else 's'}"
    if by_filter and not yes and not typer.confirm(f"Take {said} out of the catalogue?", err=True):
        raise typer.Exit(FAILED)
    with told():
        removed = context.catalog.remove_scenes(keys)
    messages.print(f"{removed} scene{'' if removed == 1 else 's'} removed", markup=False)


def _named(context: Context, ids: list[str]) -> list[tuple[str, str]]:
    """Give the keys of scenes; all of them must be there."""
    keys = [(name.partition(":")[0], name.partition(":")[2]) for name in ids]
    for key in keys:
        if not context.catalog.scene_exists(*key):
            fail(f"no scene {':'.join(key)}; they are named COLLECTION:SCENE")
    return keys


def _fitting(context: Context, collection: str | None, where: str | None) -> list[tuple[str, str]]:
    return [
        (str(part.table.word("collection", row)), str(part.table.word("id", row)))
        for part, rows in _selected(context, collection, where)
        for row in rows
    ]


def _selected(context: Context, collection: str | None, where: str | None) -> list[tuple[Part, Rows]]:
    """Give the scenes that fit what was said."""
    of_collection: Expression | None = None
    if collection is not None:
        of_collection = {"op": "=", "args": [{"property": "collection"}, collection]}
    asked = every(None if where is None else expression_from_text(where), of_collection)
    return [(part, part.selected_by(asked)) for part in context.index.parts]


def _row(part: Part, row: int) -> dict[str, Any]:
    table = part.table
    acquired, gsd, cloud = (float(table.numbers(name)[row]) for name in ("datetime", "gsd", "eo:cloud_cover"))
    return {
        "collection": table.word("collection", row),
        "id": table.word("id", row),
        "acquired": None if np.isnan(acquired) else datetime.fromtimestamp(acquired, UTC).isoformat(),
        "sensor": table.word("flux:sensor", row),
        "licence": table.word("license", row),
        "gsd": None if np.isnan(gsd) else round(gsd, 3),
        "cloud_cover": None if np.isnan(cloud) else cloud,
    }
