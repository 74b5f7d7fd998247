"""Whether a client is still there, while something is made for it."""

from __future__ import annotations

import asyncio

import pytest

from server.client import NOBODY, Client, ClientGoneError

END = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


class Line:
    def __init__(self, *messages):
        self.messages = asyncio.Queue()
        for message in messages:
            self.messages.put_nowait(message)

    async def receive(self):
        return await self.messages.get()


async def for_ever(log):
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        log.append("cancelled")
        raise


async def later(value):
    await asyncio.sleep(0.01)
    return value


def test_who_goes_is_waited_for_no_longer_and_its_work_is_cancelled():
    async def test():
        log = []
        line = Line({"type": "http.request", "body": b"x", "more_body": True}, END)
        waiting = asyncio.create_task(Client(receive=line.receive).wait_for(for_ever(log)))
        await asyncio.sleep(0)
        assert not waiting.done()
        line.messages.put_nowait(GONE)
        with pytest.raises(ClientGoneError):
            await waiting
        await asyncio.sleep(0)
        assert log == ["cancelled"]

    asyncio.run(asyncio.wait_for(test(), 10))


def test_who_stays_gets_it():
    async def test():
        before = asyncio.all_tasks()
        line = Line(END)
        assert await Client(receive=line.receive).wait_for(later("made")) == "made"
        assert await NOBODY.wait_for(later("made")) == "made"
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before, "nobody watches any more"

    asyncio.run(asyncio.wait_for(test(), 10))


def test_a_server_that_repeats_the_end_of_the_body_does_not_spin():
    async def test():
        asked = []

        async def receive():
            asked.append(True)
            return END

        assert await Client(receive=receive).wait_for(later("made")) == "made"
        assert len(asked) == 2

    asyncio.run(asyncio.wait_for(test(), 10))


def test_errors_of_the_work_and_of_the_line_are_told():
    async def test():
        async def broken():
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await NOBODY.wait_for(broken())
        with pytest.raises(ZeroDivisionError):
            await Client(receive=broken).wait_for(for_ever([]))

    asyncio.run(asyncio.wait_for(test(), 10))
