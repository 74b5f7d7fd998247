"""`dinamis-flux seed`: makes ahead what would be slow to make when it is asked for."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from mosaics.grids import load_grids
from mosaics.ingest.wide.make import GRID, Outcome, OverviewMaker
from server.cli.context import FAILED, USAGE, Context, context_of, fail, messages, told
from server.cli.runners import runners
from server.cli.seeding import run
from server.storage import scene_sources


def seed(
    command: typer.Context,
    layer: Annotated[str, typer.Argument(metavar="LAYER", help="A collection or a named mosaic.")],
    overviews: Annotated[
        bool,
        typer.Option(
            "--overviews",
            help="Make the coarse files that low zooms are made of; what is as it was stays.",
        ),
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=64, help="Do so many at the same time. [default: 1]")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Do it on a dask cluster: tls://scheduler.example.org:8786."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one line for each file.")] = False,
) -> None:
    """Make ahead what would be slow to make when it is asked for."""
    if not overviews:
        fail("say what to make: --overviews", USAGE)
    context = context_of(command)
    with told():
        maker = _maker(context)
        failed = made = 0
        with maker.turn(layer), runners(scheduler, jobs) as (new_runner, at_once):
            work = maker.work(context.index, layer)
            for outcome in run(maker, work, at_once, new_runner):
                failed += outcome.status == "failed"
                made += outcome.status == "made"
                _tell(outcome, as_json=as_json)
        said = f"{layer}: {len(work.plan.buckets)} overviews, {made} made, {len(work.unchanged)} unchanged"
    if work.plan.left_out:
        messages.print(f"{work.plan.left_out} scenes across the antimeridian or at a pole are in none")
    if work.layer.stretch is None and work.plan.buckets:
        messages.print(
            f"{layer}: its scenes have no range of values in common, so overviews are used only in styles "
            "that need none; see `collection set --stretch` and `mosaic set --stretch`",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    messages.print(said if work.plan.buckets else f"{layer}: so few scenes need no overviews", markup=False)
    if failed:
        raise typer.Exit(FAILED)


def _maker(context: Context) -> OverviewMaker:
    settings = context.settings
    return OverviewMaker(
        root=settings.data,
        catalog=context.catalog,
        grid=load_grids(settings.data_folder).get(GRID),
        sources=scene_sources(settings),
        now=lambda: datetime.now(UTC),
    )


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(outcome)))
    for scene in outcome.unread:
        messages.print(
            f"{outcome.name}: {scene} can't be read, and is not in it", style="yellow", markup=False
        )
    if outcome.status == "failed":
        messages.print(f"failed: {outcome.reason}", style="red", markup=False, soft_wrap=True)
