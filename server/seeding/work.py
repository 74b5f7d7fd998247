"""Seeds the tiles of a plan: several batches at once, kept in their order, one that fails alone."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from threading import Event, Lock
from typing import Final, Literal, NamedTuple

from mosaics.encode import Format, settled
from mosaics.errors import MosaicsError
from mosaics.models import EncodedTile
from server.access import AccessDeniedError
from server.pipeline import resolved_request
from server.resolutions import Resolved
from server.seeding.artists import Artist, Drawn, Wanted
from server.seeding.plan import Place, Plan
from server.seeding.stores import TileStore
from server.services import Services

State = Literal["made", "there", "empty", "failed"]
_WAITING: Final = 3
"""Batches begun for each that is worked on: one that takes long should not let the others wait."""


class Finding(NamedTuple):
    """What became of a tile."""

    place: Place
    state: State
    key: str = ""
    tile: EncodedTile | None = None
    """To be kept."""
    reason: str = ""
    """Why it failed."""


@dataclass(kw_only=True)
class Tally:
    """What became of all tiles; counted by one thread."""

    made: int = 0
    there: int = 0
    """Kept before, or drawn ahead by banking."""
    empty: int = 0
    failed: int = 0
    size_bytes: int = 0
    """Of those that were made."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why tiles failed."""

    @property
    def total(self) -> int:
        """Tiles that were looked at."""
        return self.made + self.there + self.empty + self.failed

    def add(self, state: State, size_bytes: int = 0, reason: str = "") -> None:
        """Count a tile."""
        setattr(self, state, getattr(self, state) + 1)
        self.size_bytes += size_bytes
        if reason:
            self.reasons[reason] += 1


@dataclass(frozen=True, kw_only=True)
class Seeder:
    """Makes what is missing of a plan."""

    services: Services
    plan: Plan
    store: TileStore
    artist: Artist
    batch: int = 16
    """Tiles that are looked up and drawn together."""
    stopped: Event = field(default_factory=Event)
    """Set when nobody waits any more."""
    _turn: Lock = field(default_factory=Lock)
    """Layers are looked at by one thread at a time, as on the event loop of a server."""

    def run(self, at_once: int, told: Callable[[Tally], None]) -> Tally:
        """Do all tiles.

        Args:
            at_once: Batches at the same time.
            told: Called after each batch, with what became of all so far.

        Raises:
            StoreFullError: If there is no room for more; what is kept stays.
            ClusterUnavailableError: If there is nobody to draw any more.
        """
        tally = Tally()
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="seed")
        try:
            for findings in self._findings(pool, at_once):
                for finding in findings:
                    self._keep(finding, tally)
                told(tally)
        finally:
            self.stopped.set()
            pool.shutdown(cancel_futures=True)
        return tally

    def _findings(self, pool: ThreadPoolExecutor, at_once: int) -> Iterator[Sequence[Finding]]:
        """Give what becomes of each batch, in their order."""
        batches = self.plan.batches(self.batch)
        begun: deque[Future[list[Finding]]] = deque()
        while True:
            wanted = at_once * _WAITING - len(begun)
            begun.extend(pool.submit(self.look, each) for each in islice(batches, wanted))
            if not begun:
                return
            yield begun.popleft().result()

    def _keep(self, finding: Finding, tally: Tally) -> None:
        size = 0
        if finding.tile is not None:
            size = self.store.keep(finding.place, finding.key, finding.tile)
        elif finding.state == "there":
            self.store.is_there(finding.place)
        tally.add(finding.state, size if finding.state == "made" else 0, finding.reason)

    def look(self, places: Sequence[Place]) -> list[Finding]:
        """Look tiles up, and have drawn what is missing; in a thread."""
        found: dict[Place, Finding] = {}
        missing: list[tuple[Place, Resolved, Format]] = []
        for place in places:
            looked = self._looked(place)
            if isinstance(looked, Finding):
                found[place] = looked
            else:
                missing.append((place, *looked))
        wanted = [Wanted(known.tile, image_format) for _, known, image_format in missing]
        for (place, known, _), drawn in zip(
            missing, self.artist.draw(wanted, self.stopped.is_set), strict=True
        ):
            found[place] = self._finding(place, known.key, drawn)
        return [found[place] for place in places]

    def _looked(self, place: Place) -> Finding | tuple[Resolved, Format]:
        """Give what is known of a tile without drawing it, or what it is made of."""
        plan, request = self.plan, self.plan.request(place)
        try:
            with self._turn:
                known = resolved_request(self.services, request, plan.layer, plan.viewer.opened)
        except AccessDeniedError:  # nothing is open so finely
            return Finding(place, "empty")
        except MosaicsError as error:
            return Finding(place, "failed", reason=str(error))
        if not known.tile.contributions:
            return Finding(place, "empty")
        kept = self._kept(place, known)
        return kept or (known, settled(request.image_format, known.tile.formats))

    def _kept(self, place: Place, known: Resolved) -> Finding | None:
        """Give a tile that is kept, or was drawn ahead by banking."""
        if self.store.has(place, known.key):
            return Finding(place, "there")
        ahead = None if known.block is None else self.services.stored.read(known.block)
        if ahead is None:
            return None
        return Finding(place, "made", known.key, ahead) if self.store.keeps_ahead else Finding(place, "there")

    def _finding(self, place: Place, key: str, drawn: Drawn) -> Finding:
        if isinstance(drawn, str):
            return Finding(place, "failed", reason=drawn)
        assert drawn.tile is not None, "only a bound on its bytes leaves no tile"
        if not drawn.whole:
            return Finding(place, "failed", reason="a file of it can't be read")
        if not drawn.tile.contributors:
            return Finding(place, "empty", key, drawn.tile)
        wanted = self.store.media_type
        if wanted not in {None, drawn.tile.media_type}:
            return Finding(
                place, "failed", reason=f"it is {drawn.tile.media_type}, and the others are {wanted}"
            )
        return Finding(place, "made", key, drawn.tile)
