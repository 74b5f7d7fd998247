"""Decoded blocks, bounded in bytes and shared by threads: each is decoded once, however many wait for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from mosaics.errors import NobodyWaitsError


class Block(NamedTuple):
    """A decoded block."""

    samples: NDArray[Any]
    """Shape (rows, columns, samples); nobody writes to it."""
    whole: bool
    """Every sample of it is known to hold data."""


Decode = Callable[[Sequence[Hashable]], Iterable[Block]]
"""Gives the blocks of keys, in their order, each as soon as it is there."""

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
            decode: Called in this thread with the keys that nobody has or makes; again with those that a
                thread was to make whose client has gone.

        Raises:
            Exception: Whatever `decode` raised, here or in the thread that was waited for.
        """
        found: dict[Hashable, Block] = {}
        missing = keys
        while missing:
            missing = self._found(missing, decode, found)
        return [found[key] for key in keys]

    def _found(
        self, keys: Sequence[Hashable], decode: Decode, found: dict[Hashable, Block]
    ) -> list[Hashable]:
        """Find, make or wait for blocks; give the keys of those that another thread has left unmade."""
        waits: dict[Hashable, Future[Block]] = {}
        mine: list[Hashable] = []
        left: list[Hashable] = []
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
            try:
                found[key] = future.result()
            except NobodyWaitsError:  # for the other's picture; somebody does for this one
                left.append(key)
        return left

    def _made(self, keys: Sequence[Hashable], decode: Decode) -> dict[Hashable, Block]:
        """Make blocks and hand each on as soon as it is there, also when a later one fails."""
        made: dict[Hashable, Block] = {}
        try:
            for key, block in zip(keys, decode(keys), strict=True):
                with self._lock:
                    future = self._coming.pop(key)
                    self._keep(key, block)
                made[key] = block
                future.set_result(block)
        except BaseException as error:
            with self._lock:
                futures = [self._coming.pop(key) for key in keys if key not in made]
            for future in futures:
                future.set_exception(error)
            raise
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
