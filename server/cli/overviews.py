"""Makes the overviews of a layer, some at the same time, and tells how far they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from queue import SimpleQueue

from mosaics.grids import load_grids
from mosaics.ingest.runner import Runner
from mosaics.ingest.wide.make import GRID, Outcome, OverviewMaker, Work
from mosaics.ingest.wide.plan import Bucket
from mosaics.stretching import keep_stretch_of_items
from server.cli.banking import progress_bars
from server.cli.context import Context, messages
from server.cli.runners import runners
from server.storage import scene_sources


def make_overviews(
    context: Context, layer_id: str, jobs: int | None, scheduler: str | None, *, as_json: bool
) -> bool:
    """Make the overviews of a layer that are missing or no longer hold, and tell of each.

    Args:
        context: Of the command.
        layer_id: A collection or a named mosaic.
        jobs: How many at the same time.
        scheduler: Address of a cluster that makes them; None: this machine does.
        as_json: Whether each is told as a line of JSON.

    Returns:
        True where none failed.
    """
    maker = _maker(context)
    failed = made = 0
    with maker.turn(layer_id), runners(scheduler, jobs) as (new_runner, at_once):
        catalog = context.catalog
        if catalog.collection(layer_id) is not None and catalog.stretch(layer_id) is None:
            keep_stretch_of_items(catalog, layer_id)  # nobody looked yet, as where pgSTAC has the items
        work = maker.work(context.index, layer_id)
        for outcome in run(maker, work, at_once, new_runner):
            failed += outcome.status == "failed"
            made += outcome.status == "made"
            _tell(outcome, as_json=as_json)
    said = f"{layer_id}: {len(work.plan.buckets)} overviews, {made} made, {len(work.unchanged)} unchanged"
    if work.plan.left_out:
        messages.print(f"{work.plan.left_out} scenes across the antimeridian or at a pole are in none")
    if work.layer.stretch is None and work.plan.buckets:
        messages.print(
            f"{layer_id}: its scenes have no range of values in common, so overviews are used only in styles "
            "that need none; see `collection set --stretch` and `mosaic set --stretch`",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    few = f"{layer_id}: so few scenes need no overviews"
    messages.print(said if work.plan.buckets else few, markup=False)
    return not failed


def run(
    maker: OverviewMaker, work: Work, at_once: int, new_runner: Callable[[], Runner]
) -> Iterator[Outcome]:
    """Make what has changed, and give what became of each overview as it is done.

    Args:
        maker: Makes them.
        work: What there is to do.
        at_once: How many at the same time.
        new_runner: Makes where one after the other is written.
    """
    for bucket in work.unchanged:
        yield Outcome(name=bucket.name, status="unchanged", scenes=len(bucket.members))
    changed = work.changed
    with ExitStack() as stack, progress_bars(len(changed)) as bars:
        free: SimpleQueue[Runner] = SimpleQueue()
        for _ in range(min(at_once, len(changed))):
            free.put(stack.enter_context(new_runner()))

        def make(bucket: Bucket) -> Outcome:
            runner = free.get()
            try:
                with bars.one(bucket.name) as report:
                    return maker.make(work, bucket, runner, report)
            finally:
                free.put(runner)

        pool = ThreadPoolExecutor(max(at_once, 1), thread_name_prefix="seed")
        try:
            for done in as_completed([pool.submit(make, bucket) for bucket in changed]):
                yield done.result()
        except BaseException:
            stack.close()  # ends what is still running, so that nobody waits for it
            raise
        finally:
            pool.shutdown(cancel_futures=True)
    for name in work.needless:
        yield maker.remove(work, name)


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
