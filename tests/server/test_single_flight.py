"""One making for all who ask at once, for as long as somebody waits."""

from __future__ import annotations

import asyncio

import pytest

from server.admission import DeadlinePassedError, OverloadedError
from server.cache.single_flight import SingleFlight


class Work:
    """Counts how often it is begun, and ends when it is told to."""

    def __init__(self, *, begins=False):
        self.begins = begins
        self.count = 0
        self.flights = []
        self.open = asyncio.Event()
        self.cancelled = 0
        self.error = None

    async def __call__(self, flight):
        self.count += 1
        self.flights.append(flight)
        if self.begins:
            flight.begin()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return self.count


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def started(flights, work, count, key="k", **more):
    return [asyncio.create_task(flights.do(key, work, **more)) for _ in range(count)]


def run(test):
    asyncio.run(asyncio.wait_for(test(), 20))


def test_a_thousand_ask_and_one_is_made():
    async def test():
        flights, work = SingleFlight(), Work()
        tasks = started(flights, work, 1000)
        other = started(flights, work, 1, key="other")
        await settle()
        work.open.set()
        assert set(await asyncio.gather(*tasks)) == {2}
        assert await other[0] == 2
        assert work.count == 2
        # nothing is kept: that is the cache's business
        assert await flights.do("k", work) == 3
        assert not flights._flights

    run(test)


@pytest.mark.parametrize("begins", [True, False])
def test_the_first_may_leave_and_the_others_get_theirs(begins):
    async def test():
        flights, work = SingleFlight(), Work(begins=begins)
        leader, *followers = started(flights, work, 5)
        await settle()
        leader.cancel()
        followers.pop().cancel()
        await settle()
        assert leader.cancelled()
        assert not work.cancelled
        assert not work.flights[0].is_stopped()
        work.open.set()
        assert await asyncio.gather(*followers) == [1, 1, 1]

    run(test)


@pytest.mark.parametrize("begins", [True, False])
def test_when_the_last_leaves_the_work_is_told_to_stop(begins):
    async def test():
        flights, work = SingleFlight(), Work(begins=begins)
        tasks = started(flights, work, 3)
        await settle()
        for task in tasks:
            task.cancel()
        await settle()
        assert work.cancelled == 1
        assert work.flights[0].is_stopped()
        # who asks now does not get what is being stopped
        work.open.set()
        assert await flights.do("k", work) == 2

    run(test)


def test_a_failure_is_told_to_all_and_forgotten_after_a_second():
    async def test():
        clock = [100.0]
        flights, work = SingleFlight(lambda: clock[0]), Work()
        tasks = started(flights, work, 10)
        await settle()
        work.error = ZeroDivisionError("told")
        work.open.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {str(each) for each in outcomes} == {"told"}
        clock[0] += 0.9
        with pytest.raises(ZeroDivisionError):
            await flights.do("k", work)
        assert work.count == 1
        clock[0] += 0.2
        work.error = None
        assert await flights.do("k", work) == 2
        work.error = ZeroDivisionError("another")
        with pytest.raises(ZeroDivisionError):
            await flights.do("other", work)
        assert list(flights._failed) == ["other"], "old failures are not kept"

    run(test)


def test_a_deadline_drops_what_has_not_begun():
    async def test():
        flights, work = SingleFlight(), Work()
        with pytest.raises(DeadlinePassedError):
            await flights.do("k", work, deadline=asyncio.get_running_loop().time() + 0.01)
        await settle()
        assert work.cancelled == 1
        assert not flights._flights

    run(test)


def test_a_deadline_lets_begun_work_end_for_who_asks_again():
    async def test():
        flights, work = SingleFlight(), Work(begins=True)
        soon = asyncio.get_running_loop().time() + 0.01
        for _ in range(2):
            with pytest.raises(DeadlinePassedError):
                await flights.do("k", work, deadline=soon)
        assert not work.cancelled
        assert not work.flights[0].is_stopped()
        (again,) = started(flights, work, 1)
        await settle()
        work.open.set()
        assert await again == 1
        assert work.count == 1

    run(test)


def test_a_deadline_of_one_is_not_that_of_another():
    async def test():
        flights, work = SingleFlight(), Work()
        (patient,) = started(flights, work, 1)
        with pytest.raises(DeadlinePassedError):
            await flights.do("k", work, deadline=asyncio.get_running_loop().time())
        work.open.set()
        assert await patient == 1

    run(test)


def test_a_refused_leader_does_not_refuse_its_followers():
    async def test():
        flights = SingleFlight()
        gate = asyncio.Event()

        async def refused(flight):
            await gate.wait()
            raise OverloadedError(1)

        async def made(flight):
            return "made"

        (leader,) = started(flights, refused, 1)
        await settle()
        followers = started(flights, made, 3)
        await settle()
        gate.set()
        assert await asyncio.gather(*followers) == ["made"] * 3
        with pytest.raises(OverloadedError):
            await leader
        # and it is no failure to remember
        assert await flights.do("k", made) == "made"

    run(test)
