"""Decoded blocks, bounded in bytes and shared by threads: each is decoded once, however many wait for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray


class Block(NamedTuple):
    """A decoded block."""

    samples: NDArray[Any]
    """Shape (rows, columns, samples); nobody writes to it."""
    whole: bool
    """Every sample of it is known to hold data."""


Decode = Callable[[Sequence[Hashable]], Sequence[Block]]
"""Gives the blocks of keys, in their order."""

_OVERHEAD: Final = 300
"""Bytes that an entry costs beside its samples."""


class BlockCache:
    """Least recently used blocks go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._blocks: OrderedDict[Hashable, Block] = OrderedDict()
        self._size = 0
        self._coming: dict[Hashable, Future[Block]] = {}

    @property
    def size_bytes(self) -> int:
        """What is held now."""
        return self._size

    def get(self, keys: Sequence[Hashable], decode: Decode) -> list[Block]:
        """Give blocks, decoding those that are not there; what another thread decodes is waited for.

        Args:
            keys: Which blocks; no key twice.
            decode: Called once, in this thread, with the keys that nobody has or makes.

        Raises:
            Exception: Whatever `decode` raised, here or in the thread that was waited for.
        """
        found: dict[Hashable, Block] = {}
        waits: dict[Hashable, Future[Block]] = {}
        mine: list[Hashable] = []
        with self._lock:
            for key in keys:
                block = self._blocks.get(key)
                if block is not None:
                    self._blocks.move_to_end(key)
                    found[key] = block
                elif key in self._coming:
                    waits[key] = self._coming[key]
                else:
                    mine.append(key)
                    self._coming[key] = Future()
        if mine:
            found.update(self._made(mine, decode))
        for key, future in waits.items():
            found[key] = future.result()
        return [found[key] for key in keys]

    def _made(self, keys: Sequence[Hashable], decode: Decode) -> dict[Hashable, Block]:
        try:
            made = dict(zip(keys, decode(keys), strict=True))
        except BaseException as error:
            with self._lock:
                futures = [self._coming.pop(key) for key in keys]
            for future in futures:
                future.set_exception(error)
            raise
        with self._lock:
            futures = [self._coming.pop(key) for key in keys]
            for key, block in made.items():
                self._keep(key, block)
        for key, future in zip(keys, futures, strict=True):
            future.set_result(made[key])
        return made

    def _keep(self, key: Hashable, block: Block) -> None:
        """Keep a block and drop the oldest until all fit; the lock is held."""
        cost = block.samples.nbytes + _OVERHEAD
        if cost > self._max_bytes:
            return
        self._blocks[key] = block
        self._size += cost
        while self._size > self._max_bytes:
            _, oldest = self._blocks.popitem(last=False)
            self._size -= oldest.samples.nbytes + _OVERHEAD
