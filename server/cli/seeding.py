"""Makes the overviews of a layer, some at the same time, and shows how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from queue import SimpleQueue

from mosaics.ingest.runner import Runner
from mosaics.ingest.wide.make import Outcome, OverviewMaker, Work
from mosaics.ingest.wide.plan import Bucket
from server.cli.banking import progress_bars


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
