"""So many renders at once, a short queue, turns between institutions; nothing here waits for a clock."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.admission import Admission, DeadlinePassedError, OverloadedError


class Gate:
    """Work that begins when a thread takes it, and ends when it is told to."""

    def __init__(self, name="", log=None):
        self.name = name
        self.log = [] if log is None else log
        self.begun = threading.Event()
        self.open = threading.Event()

    def __call__(self):
        self.begun.set()
        self.log.append(self.name)
        assert self.open.wait(10)
        return self.name


def opened(name, log):
    gate = Gate(name, log)
    gate.open.set()
    return gate


def running(test, *, threads=1, queue=4):
    """Run a test on a loop, with an admission of its own."""

    async def whole():
        with ThreadPoolExecutor(threads) as pool:
            await test(Admission(pool, running=threads, queue=queue))

    asyncio.run(asyncio.wait_for(whole(), 20))


async def begin(admission, partition, work, **more):
    task = asyncio.create_task(admission.run(partition, work, **more))
    await asyncio.sleep(0)
    return task


async def busy(admission, threads=1):
    """Occupy the threads; gives what lets them go on."""
    gates = [Gate() for _ in range(threads)]
    tasks = [await begin(admission, "busy", gate) for gate in gates]
    for gate in gates:
        await asyncio.to_thread(gate.begun.wait, 10)
    return gates, tasks


def release(gates):
    for gate in gates:
        gate.open.set()


def test_no_more_run_at_once_than_may_and_all_are_done():
    most, now = [0], [0]
    lock = threading.Lock()

    def work():
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.001)
        with lock:
            now[0] -= 1
        return 1

    async def test(admission):
        assert sum(await asyncio.gather(*(admission.run("a", work) for _ in range(60)))) == 60
        assert (admission.running, admission.waiting) == (0, 0)

    # a pool that would run more, so that only the admission holds them back
    async def whole():
        with ThreadPoolExecutor(16) as pool:
            await test(Admission(pool, running=3, queue=100))

    asyncio.run(whole())
    assert most[0] == 3


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again():
    async def test(admission):
        gates, tasks = await busy(admission)
        waiting = [await begin(admission, "a", opened("", [])) for _ in range(4)]
        with pytest.raises(OverloadedError) as refused:
            await admission.run("a", opened("", []))
        assert 1 <= refused.value.seconds <= 30
        assert admission.waiting == 4
        release(gates)
        await asyncio.gather(*tasks, *waiting)
        assert await admission.run("a", lambda: "room again") == "room again"

    running(test)


def test_turns_go_around():
    async def test(admission):
        log = []
        gates, tasks = await busy(admission)
        for partition, count in (("a", 4), ("b", 2), ("c", 1)):
            tasks += [await begin(admission, partition, opened(f"{partition}{n}", log)) for n in range(count)]
        release(gates)
        await asyncio.gather(*tasks)
        assert log == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]

    running(test, queue=20)


def test_a_flood_leaves_room_for_others():
    async def test(admission):
        log = []
        gates, tasks = await busy(admission)
        flood = [await begin(admission, "flood", opened(f"f{n}", log)) for n in range(8)]
        quiet = await begin(admission, "quiet", opened("q", log))
        again = await begin(admission, "flood", opened("no", log))
        release(gates)
        outcomes = await asyncio.gather(*flood, return_exceptions=True)
        assert await quiet == "q"
        # the newest of the flood made room, and another of it is refused while somebody else waits
        assert isinstance(outcomes[7], OverloadedError)
        assert outcomes[:7] == [f"f{n}" for n in range(7)]
        assert log.index("q") == 1
        with pytest.raises(OverloadedError):
            await again
        await asyncio.gather(*tasks)

    running(test, queue=8)


def test_while_others_wait_nobody_comes_to_hold_more_than_half():
    async def test(admission):
        gates, tasks = await busy(admission)
        tasks.append(await begin(admission, "quiet", opened("", [])))
        flood = [await begin(admission, "flood", opened("", [])) for _ in range(20)]
        await asyncio.sleep(0)
        assert admission.waiting == 1 + 4
        tasks += [await begin(admission, "third", opened("", [])) for _ in range(3)]
        assert admission.waiting == 8
        release(gates)
        outcomes = await asyncio.gather(*flood, return_exceptions=True)
        assert sum(isinstance(each, OverloadedError) for each in outcomes) == 16
        await asyncio.gather(*tasks)

    running(test, queue=8)


def test_who_is_cancelled_leaves_the_queue_and_is_never_begun():
    async def test(admission):
        log = []
        gates, tasks = await busy(admission)
        gone = await begin(admission, "a", opened("gone", log))
        stays = await begin(admission, "a", opened("stays", log))
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert admission.waiting == 1
        release(gates)
        await asyncio.gather(*tasks, stays)
        assert log == ["stays"]

    running(test)


def test_who_is_cancelled_under_way_holds_its_thread_to_the_end():
    async def test(admission):
        gates, tasks = await busy(admission)
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert admission.running == 1
        next_one = await begin(admission, "a", opened("next", []))
        assert admission.waiting == 1
        release(gates)
        assert await next_one == "next"
        assert admission.running == 0

    running(test)


def test_what_has_not_begun_in_time_is_dropped_and_what_has_is_not():
    async def test(admission):
        log = []
        gate = Gate("begun", log)
        soon = asyncio.get_running_loop().time() + 0.05
        begun = await begin(admission, "a", gate, begin_by=soon)
        late = await begin(admission, "a", opened("late", log), begin_by=soon)
        with pytest.raises(DeadlinePassedError):
            await late
        assert not begun.done()
        gate.open.set()
        assert await begun == "begun"
        assert log == ["begun"]

    running(test)


def test_a_failure_is_told_and_gives_the_thread_back():
    async def test(admission):
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await admission.run("a", lambda: 1 // 0)
        assert (admission.running, admission.waiting) == (0, 0)

    running(test)


def test_a_server_that_stops_refuses():
    async def whole():
        pool = ThreadPoolExecutor(1)
        admission = Admission(pool, running=1, queue=4)
        pool.shutdown()
        with pytest.raises(OverloadedError):
            await admission.run("a", lambda: 1)
        assert admission.running == 0

    asyncio.run(whole())


def test_light_work_is_done_on_the_loop_and_what_is_not_light_in_a_thread():
    async def test(admission):
        here = threading.current_thread()
        seen = []

        def at_once():
            seen.append(threading.current_thread())
            return "light"

        assert await admission.run("a", opened("thread", []), at_once=at_once) == "light"
        assert await admission.run("a", opened("thread", []), at_once=lambda: None) == "thread"
        assert seen == [here]
        assert (admission.running, admission.waiting) == (0, 0)

    running(test)


def test_light_work_that_fails_fails_alone():
    async def test(admission):
        with pytest.raises(ZeroDivisionError):
            await admission.run("a", Gate(), at_once=lambda: 1 / 0)
        assert await admission.run("a", Gate(), at_once=lambda: 7) == 7
        assert (admission.running, admission.waiting) == (0, 0)

    running(test)


def test_light_work_takes_its_turn_between_institutions():
    """A flood that came first does not keep another waiting until its end."""

    async def test(admission):
        log = []

        def light(name):
            return lambda: log.append(name) or name

        flood = [
            asyncio.create_task(admission.run("flood", Gate(), at_once=light("flood"))) for _ in range(20)
        ]
        other = asyncio.create_task(admission.run("other", Gate(), at_once=light("other")))
        await asyncio.gather(*flood, other)
        assert log.index("other") <= 3
        assert len(log) == 21

    running(test, queue=100)


def test_too_much_light_work_is_refused():
    async def test(admission):
        tasks = [asyncio.create_task(admission.run("a", Gate(), at_once=lambda: 1)) for _ in range(12)]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(each, OverloadedError) for each in ended) == 12 - 1 - 4
        assert (admission.running, admission.waiting) == (0, 0)

    running(test, queue=4)


def test_light_work_that_nobody_waits_for_is_left():
    async def test(admission):
        done = []
        gone = await begin(admission, "a", opened("", []), at_once=lambda: done.append("gone"))
        kept = await begin(admission, "a", Gate(), at_once=lambda: done.append("kept") or 1)
        gone.cancel()
        assert await kept == 1
        assert done in (["kept"], ["gone", "kept"])  # it may have begun before
        assert (admission.running, admission.waiting) == (0, 0)

    running(test)
