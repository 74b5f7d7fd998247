"""Decoded blocks, bounded in bytes and shared by threads: each is decoded once, however many wait for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from itertools import islice
from random import Random
from threading import Lock
from typing import Final

from mosaics.errors import NobodyWaitsError
from mosaics.stopping import Stop, go_on, never
from mosaics.tiff.block import Block
from mosaics.tiff.shelf import Shelf

Decode = Callable[[Sequence[Hashable]], Iterable[Block]]
"""Gives the blocks of keys, in their order, each as soon as it is there."""

_OVERHEAD: Final = 300
"""Bytes that an entry costs beside its samples."""


class BlockCache:
    """Of the half that was used least recently, any block goes.

    Map sessions come back to the same places in the same order. Where these are a little more than fits, the
    least recently used block is always the one that is wanted next, and none would ever be found.
    """

    def __init__(self, max_bytes: int, shelf: Shelf | None = None) -> None:
        """Start with nothing.

        Args:
            max_bytes: Of what this process holds or has mapped.
            shelf: Blocks of all processes that look at the same scenes; None: each decodes for itself.
        """
        self._max_bytes = max_bytes
        self._shelf = shelf
        self._lock = Lock()
        self._blocks: OrderedDict[Hashable, Block] = OrderedDict()
        self._size = 0
        self._coming: dict[Hashable, Future[Block]] = {}
        self._dice = Random(0)  # noqa: S311 - no secret hangs on which block goes

    @property
    def size_bytes(self) -> int:
        """What is held now."""
        return self._size

    def get(self, keys: Sequence[Hashable], decode: Decode, stop: Stop = never) -> list[Block]:
        """Give blocks, decoding those that are not there; what another thread decodes is waited for.

        Args:
            keys: Which blocks; no key twice.
            decode: Called in this thread with the keys that nobody has or makes; again with those that a
                thread was to make whose client has gone.
            stop: Asked where not all are there.

        Raises:
            NobodyWaitsError: If `stop` said so.
            Exception: Whatever `decode` raised, here or in the thread that was waited for.
        """
        held = self._held(keys) or self._brought(keys)
        if held is not None:
            return held
        found: dict[Hashable, Block] = {}
        missing = keys
        while missing:
            go_on(stop)
            missing = self._found(missing, decode, found)
        return [found[key] for key in keys]

    def _held(self, keys: Sequence[Hashable]) -> list[Block] | None:
        """Give blocks if all are there."""
        with self._lock:
            held = [self._blocks.get(key) for key in keys]
            found = [block for block in held if block is not None]
            if len(found) < len(held):
                return None
            for key in keys:
                self._blocks.move_to_end(key)
        return found

    def _brought(self, keys: Sequence[Hashable]) -> list[Block] | None:
        """Take blocks from the shelf; give them if all are there then."""
        if self._shelf is None:
            return None
        with self._lock:
            missing = [key for key in keys if key not in self._blocks and key not in self._coming]
        for key in missing:
            block = self._shelf.get(key)
            if block is not None:
                with self._lock:
                    if key not in self._blocks:
                        self._keep(key, block)
        return self._held(keys)

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
            for key, decoded in zip(keys, decode(keys), strict=True):
                block = decoded if self._shelf is None else self._shelf.put(key, decoded)
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
        """Keep a block and drop others until all fit; the lock is held."""
        cost = block.samples.nbytes + _OVERHEAD
        if cost > self._max_bytes:
            return
        self._blocks[key] = block
        self._size += cost
        while self._size > self._max_bytes:
            place = self._dice.randrange(max(1, len(self._blocks) // 2))
            gone = self._blocks.pop(next(islice(self._blocks, place, None)))
            self._size -= gone.samples.nbytes + _OVERHEAD
