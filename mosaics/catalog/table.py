"""Scenes as columns: what the index holds of many of them, each made only when somebody needs it."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import shapely
import structlog
from cachetools import LRUCache
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from mosaics.catalog.blobs import Blobs
from mosaics.catalog.summary import WORDS, Summary, is_sound, item_of, look_of, packed
from mosaics.errors import SceneUnreadableError
from mosaics.models import Bounds, Scene
from mosaics.queryables import QUERYABLE_NUMBERS

log = structlog.get_logger(__name__)

T = TypeVar("T")
Rows = NDArray[np.intp]
"""Numbers of rows of a table."""
_MOST_FOUND_BYTES: Final = 32_000_000
"""Of what is remembered of one table: what filters leave, and which rows are of a mosaic."""
_SMALL_SHARE: Final = 0.02
"""Of the extent of all footprints: a tree finds what meets a larger box more slowly than a look at each."""
_ID: Final = WORDS.index("id")  # the first of them
_COLLECTION: Final = WORDS.index("collection")
_MOST_MADE: Final = 4096
"""Scenes of a table that are held once they were made."""


class SceneMaker(Protocol):
    """Makes scenes of what the catalogue says of them."""

    def __call__(self, item: dict[str, Any], sequence: int, footprint: BaseGeometry | None = None) -> Scene:
        """Make a scene.

        Raises:
            SceneUnreadableError: If the item lacks what a scene needs.
        """

    def pan_resolution(self, sensor_id: str) -> float | None:
        """Give the panchromatic resolution of a sensor, metres per pixel."""


class Gathering:
    """Gathers what the catalogue says of scenes, row by row, into columns; nothing is held of each."""

    def __init__(self) -> None:
        self._numbers = array("d")
        self._words: list[dict[str | None, int]] = [{} for _ in WORDS]
        self._rows: dict[tuple[str | None, ...], tuple[int, ...]] = {}
        self._codes = array("i")
        self._ids: list[str | None] = []
        self._sequences, self._tokens = array("q"), array("Q")
        self._outlines, self._records = bytearray(), bytearray()
        self._outline_ends, self._record_ends = array("q"), array("q")

    def add(self, sequence: int, summary: Summary, written: bytes | None = None) -> None:
        """Add a scene.

        Args:
            sequence: Of its last change.
            summary: What the index holds of it.
            written: The bytes of the summary, where they are at hand.
        """
        self._numbers.extend(summary.numbers)
        self._ids.append(summary.words[_ID])
        others = summary.words[_ID + 1 :]
        codes = self._rows.get(others)
        if codes is None:
            pairs = zip(self._words[_ID + 1 :], others, strict=True)
            codes = self._rows[others] = tuple(known.setdefault(word, len(known)) for known, word in pairs)
        self._codes.extend(codes)
        self._sequences.append(sequence)
        self._tokens.append(_token(bytes(summary) if written is None else written, sequence))
        self._outlines += summary.footprint
        self._records += summary.record
        self._outline_ends.append(len(self._outlines))
        self._record_ends.append(len(self._records))

    def done(self) -> SceneColumns:
        """Give what was gathered."""
        numbers = np.array(self._numbers, float).reshape(-1, len(QUERYABLE_NUMBERS))
        codes = np.array(self._codes, np.int32).reshape(-1, len(WORDS) - 1).T
        coded = [(np.arange(len(self._ids), dtype=np.int32), tuple(self._ids))]
        coded += [(each.copy(), tuple(known)) for each, known in zip(codes, self._words[1:], strict=True)]
        return SceneColumns(
            numbers=numbers.T.copy(),
            coded=tuple(coded),
            sequences=np.array(self._sequences, np.int64),
            tokens=np.array(self._tokens, np.uint64),
            outlines=Blobs(bytes(self._outlines), np.array(self._outline_ends, np.int64)),
            records=Blobs(bytes(self._records), np.array(self._record_ends, np.int64)),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneColumns:
    """What the catalogue says of scenes, as columns."""

    numbers: NDArray[np.float64]
    """In the order of QUERYABLE_NUMBERS, shape (names, n); NaN: unknown."""
    coded: tuple[_Coded, ...]
    """Words, in the order of WORDS."""
    sequences: NDArray[np.int64]
    """Catalogue sequence of each row's last change."""
    tokens: NDArray[np.uint64]
    """Of each row a number that changes with whatever changes of the scene."""
    outlines: Blobs
    """Footprints, WKB."""
    records: Blobs
    """What scenes are made of."""

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.sequences)

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Collection id and scene id of each row."""
        codes, values = self.coded[_COLLECTION]
        return list(zip((str(values[code]) for code in codes), map(str, self.coded[_ID][1]), strict=True))

    def some(self, rows: Rows) -> SceneColumns:
        """Give some of the rows."""
        return SceneColumns(
            numbers=self.numbers[:, rows],
            coded=tuple(_recoded(codes[rows], values) for codes, values in self.coded),
            sequences=self.sequences[rows],
            tokens=self.tokens[rows],
            outlines=Blobs.of(self.outlines.some(rows)),
            records=Blobs.of(self.records.some(rows)),
        )

    def followed_by(self, other: SceneColumns) -> SceneColumns:
        """Give the rows of both."""
        return SceneColumns(
            numbers=np.concatenate((self.numbers, other.numbers), axis=1),
            coded=tuple(
                _each(mine, theirs) if name == "id" else _both(mine, theirs)
                for name, mine, theirs in zip(WORDS, self.coded, other.coded, strict=True)
            ),
            sequences=np.concatenate((self.sequences, other.sequences)),
            tokens=np.concatenate((self.tokens, other.tokens)),
            outlines=self.outlines.followed_by(other.outlines),
            records=self.records.followed_by(other.records),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneTable:
    """Scenes as columns, each made only when somebody needs it; frozen, and safe for several threads."""

    columns: SceneColumns
    make: SceneMaker
    pan: NDArray[np.float64]
    """Panchromatic resolution of each row's sensor, metres per pixel; else the finest of the scene."""
    _made: dict[int, Scene | None] = field(default_factory=dict, init=False, repr=False)
    _found: LRUCache[Hashable, tuple[Any, int]] = field(
        default_factory=lambda: LRUCache(_MOST_FOUND_BYTES, getsizeof=lambda found: found[1]),
        init=False,
        repr=False,
    )
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    @classmethod
    def of(cls, columns: SceneColumns, make: SceneMaker) -> SceneTable:
        """Make a table of what the catalogue says."""
        codes, values = columns.coded[WORDS.index("flux:sensor")]
        known = np.array([make.pan_resolution(value or "") or math.nan for value in values], float)
        pan = known[codes] if len(values) else np.zeros(0)
        finest = columns.numbers[QUERYABLE_NUMBERS.index("gsd")]
        return cls(columns=columns, make=make, pan=np.where(np.isnan(pan), finest, pan))

    @classmethod
    def of_scenes(cls, scenes: Iterable[Scene]) -> SceneTable:
        """Make a table of scenes that exist already."""
        held, gathering = tuple(scenes), Gathering()
        for number, scene in enumerate(held):
            gathering.add(scene.sequence, _summary_of(scene, number))
        pan = np.array([scene.pan_resolution or scene.finest_resolution for scene in held], float)
        return cls(columns=gathering.done(), make=_Held(held), pan=pan)

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.columns)

    @property
    def sequences(self) -> NDArray[np.int64]:
        """Catalogue sequence of each row's last change."""
        return self.columns.sequences

    @property
    def tokens(self) -> NDArray[np.uint64]:
        """Of each row a number that changes with whatever changes of the scene."""
        return self.columns.tokens

    @property
    def bounds(self) -> NDArray[np.float64]:
        """West, south, east, north of each footprint, degrees, shape (n, 4)."""
        return self._boxes[0]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Give a column of numbers, shape (n,); NaN: unknown."""
        column: NDArray[np.float64] = self.columns.numbers[QUERYABLE_NUMBERS.index(name)]
        return column

    def words(self, name: str) -> tuple[NDArray[np.int32], tuple[str | None, ...]]:
        """Give a column of words: of each row the place of its value, and the values."""
        return self.columns.coded[WORDS.index(name)]

    def word(self, name: str, row: int) -> str | None:
        """Give the word of one row."""
        codes, values = self.words(name)
        return values[int(codes[row])]

    def prepare(self) -> SceneTable:
        """Make what looks rows up, which takes a moment, where nobody waits for it."""
        _ = self._by_id, self._boxes
        return self

    def recall(self, key: Hashable, find: Callable[[], T], size_bytes: Callable[[T], int]) -> T:
        """Give what was found out about all rows before, or find it out and remember it.

        Args:
            key: What it is.
            find: Finds it out.
            size_bytes: Tells what it takes in memory.
        """
        with self._lock:
            known = self._found.get(key)
        if known is None:
            found = find()
            known = (found, size_bytes(found))
            if known[1] <= _MOST_FOUND_BYTES:
                with self._lock:
                    self._found[key] = known
        result: T = known[0]
        return result

    def footprint(self, row: int) -> BaseGeometry:
        """Give the outline of a row."""
        made = self._made.get(row)
        return shapely.from_wkb(self.columns.outlines.at(row)) if made is None else made.footprint

    def footprints(self, rows: Rows) -> NDArray[Any]:
        """Give the outlines of some rows, longitude and latitude."""
        found: NDArray[Any] = shapely.from_wkb(self.columns.outlines.some(rows))
        return found

    def near(self, bounds: Bounds) -> Rows:
        """Give the rows whose footprints' boxes meet a box, ascending."""
        if self.is_small(bounds):
            return np.sort(self._boxes[1].query(shapely.box(*bounds)))
        return np.flatnonzero(self.meets(bounds))

    def meets(self, bounds: Bounds, rows: Rows | None = None) -> NDArray[np.bool_]:
        """Tell of each row whether the box of its footprint meets a box.

        Args:
            bounds: The box.
            rows: Those that are asked about; None: all.
        """
        left, bottom, right, top = bounds
        sides = self._boxes[0].T
        west, south, east, north = sides if rows is None else sides.take(rows, axis=1)
        found: NDArray[np.bool_] = (west <= right) & (east >= left) & (south <= top) & (north >= bottom)
        return found

    def is_small(self, bounds: Bounds) -> bool:
        """Tell whether so little meets a box that the tree finds it sooner than a look at each."""
        return self._share(bounds) < _SMALL_SHARE

    def _share(self, bounds: Bounds) -> float:
        """Give about how much of the extent of all footprints a box takes."""
        west, south, east, north = self._extent
        across = min(bounds.right, east) - max(bounds.left, west)
        along = min(bounds.top, north) - max(bounds.bottom, south)
        whole = (east - west) * (north - south)
        return max(across, 0.0) * max(along, 0.0) / whole if whole > 0 else 0.0

    @cached_property
    def _extent(self) -> Bounds:
        boxes = self._boxes[0]
        if np.isnan(boxes).all():
            return Bounds(0.0, 0.0, 0.0, 0.0)
        least, most = np.nanmin(boxes, axis=0), np.nanmax(boxes, axis=0)
        return Bounds(float(least[0]), float(least[1]), float(most[2]), float(most[3]))

    def scene(self, row: int, outline: BaseGeometry | None = None) -> Scene | None:
        """Give the scene of a row, made when it is needed.

        Args:
            row: Its row.
            outline: Its footprint, where that is at hand.

        Returns:
            None: its record is damaged, which is logged.
        """
        try:
            return self._made[row]
        except KeyError:
            pass
        made: Scene | None = None
        if outline is None:
            outline = shapely.from_wkb(self.columns.outlines.at(row))
        try:
            made = self.make(item_of(self.columns.records.at(row)), int(self.sequences[row]), outline)
        except (SceneUnreadableError, ValueError) as error:
            log.error("item_unreadable", scene=self.word("id", row), cause=repr(error.__cause__ or error))  # noqa: TRY400 - its cause says it
        if len(self._made) >= _MOST_MADE:
            self._made.clear()
        self._made[row] = made
        return made

    def is_sound(self, row: int) -> bool:
        """Tell whether the record of a row is as it was written, which is looked at once."""
        if not self._sound[row]:
            self._sound[row] = is_sound(self.columns.records.at(row))
        return bool(self._sound[row])

    def rows_named(self, scene_ids: Iterable[str]) -> Rows:
        """Give the rows of scenes with these ids, in whatever collection, ascending."""
        order, hashes = self._by_id
        ids = self.words("id")[1]
        found = []
        for scene_id in scene_ids:
            wanted = hash(scene_id)
            place = int(np.searchsorted(hashes, wanted))
            while place < len(hashes) and hashes[place] == wanted:
                row = int(order[place])
                if ids[row] == scene_id:
                    found.append(row)
                place += 1
        return np.array(sorted(found), np.intp)

    def row_of(self, collection_id: str, scene_id: str) -> int | None:
        """Give the row of a scene; of several the last."""
        rows = self.rows_named((scene_id,))[::-1]
        return next((int(row) for row in rows if self.word("collection", row) == collection_id), None)

    def some(self, rows: Rows) -> SceneTable:
        """Give a table of some of the rows."""
        return SceneTable(columns=self.columns.some(rows), make=self.make, pan=self.pan[rows])

    def followed_by(self, other: SceneTable) -> SceneTable:
        """Give the rows of two tables as one, whose scenes are made alike."""
        return SceneTable(
            columns=self.columns.followed_by(other.columns),
            make=other.make,
            pan=np.concatenate((self.pan, other.pan)),
        )

    @cached_property
    def _sound(self) -> bytearray:
        """Of each row whether its record was looked at and is sound."""
        return bytearray(len(self))

    @cached_property
    def _by_id(self) -> tuple[Rows, NDArray[np.int64]]:
        hashes = np.array([hash(value) for value in self.words("id")[1]], np.int64)
        order = np.argsort(hashes, kind="stable")
        return order, hashes[order]

    @cached_property
    def _boxes(self) -> tuple[NDArray[np.float64], STRtree]:
        """Give the boxes, and a tree of their diagonals: these have the same box, and half the bytes."""
        boxes: NDArray[np.float64] = shapely.bounds(shapely.from_wkb(self.columns.outlines.all()))
        diagonals = shapely.linestrings(np.nan_to_num(boxes).reshape(-1, 2, 2))
        diagonals[np.isnan(boxes).any(axis=1)] = None
        return np.asfortranarray(boxes), STRtree(diagonals)  # each side in one piece, which `meets` compares


_Coded = tuple[NDArray[np.int32], tuple[str | None, ...]]
"""A column of words: of each row the place of its value, and the values; ids are not looked at for twins."""


@dataclass(frozen=True, slots=True)
class _Held:
    """Gives scenes that exist, by the number that stands for their item."""

    scenes: tuple[Scene, ...]

    def __call__(self, item: Any, sequence: int, footprint: BaseGeometry | None = None) -> Scene:  # noqa: ARG002 - the scene has them
        scene: Scene = self.scenes[item[0]]
        return scene

    def pan_resolution(self, sensor_id: str) -> float | None:  # noqa: ARG002 - its scenes know theirs
        return None


def _recoded(codes: NDArray[np.int32], values: tuple[str | None, ...]) -> _Coded:
    """Leave out the values that nobody has any more."""
    used, new = np.unique(codes, return_inverse=True)
    return new.astype(np.int32), tuple(values[code] for code in used)


def _each(one: _Coded, other: _Coded) -> _Coded:
    """Put columns together in which each row has a value of its own."""
    values = one[1] + other[1]
    return np.arange(len(values), dtype=np.int32), values


def _both(one: _Coded, other: _Coded) -> _Coded:
    places = {value: place for place, value in enumerate(one[1])}
    new = np.array([places.setdefault(value, len(places)) for value in other[1]], np.int32)
    return np.concatenate((one[0], new[other[0]] if len(new) else other[0])), tuple(places)


def _token(written: bytes, sequence: int) -> int:
    hashed = hashlib.blake2b(written, digest_size=8, salt=sequence.to_bytes(8, "little", signed=True))
    return int.from_bytes(hashed.digest(), "little")


def _summary_of(scene: Scene, number: int) -> Summary:
    numbers = dict.fromkeys(QUERYABLE_NUMBERS, math.nan)
    numbers |= {
        "datetime": math.nan if scene.acquired is None else scene.acquired.timestamp(),
        "gsd": scene.finest_resolution,
    }
    words: dict[str, str | None] = dict.fromkeys(WORDS)
    words |= {
        "id": scene.id,
        "collection": scene.collection_id,
        "license": scene.licence_id,
        "flux:sensor": scene.sensor_id,
        "flux:kind": scene.kind,
        "attribution": scene.attribution or None,
        "look": look_of(
            scene.kind, scene.styles, [(b.name, b.common_name, b.data_type) for b in scene.bands]
        ),
    }
    return Summary(
        numbers=tuple(numbers.values()),
        words=tuple(words.values()),
        footprint=shapely.to_wkb(scene.footprint),
        record=packed([number, scene.generation]),
    )
