"""Whom an answer is made for: whose turn it takes, how long it waits, and whether it is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


class ClientGoneError(Exception):
    """The client closed its line; nobody reads the answer."""


@dataclass(frozen=True)
class Client:
    """The other end of one request."""

    partition: str = ""
    """Whose share of the renders it takes."""
    deadline: float | None = None
    """When it no longer waits, seconds of the loop's clock; None: it does."""
    receive: Callable[[], Awaitable[Mapping[str, Any]]] | None = None
    """ASGI's; None: it can't go away."""

    async def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for work and cancel it when the client has gone.

        Only where something is made: it costs two tasks, which a cached answer must not pay.

        Raises:
            ClientGoneError: If the client has gone.
        """
        loop = asyncio.get_running_loop()
        making = loop.create_task(work)
        watch = loop.create_task(self._gone())
        try:
            done, _ = await asyncio.wait((making, watch), return_when=asyncio.FIRST_COMPLETED)
            if making in done:
                return making.result()
            watch.result()
            raise ClientGoneError
        finally:
            watch.cancel()
            making.cancel()

    async def _gone(self) -> None:
        """Return when the client has gone; a body that nobody asked for is read away."""
        ended = self.receive is None
        while self.receive is not None:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return
            if ended:  # a server that repeats the end of the body will never tell
                break
            ended = not message.get("more_body", False)
        await asyncio.get_running_loop().create_future()


NOBODY = Client()
"""Waits for ever and takes the turns of everybody who is not known."""
