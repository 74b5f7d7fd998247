"""Many scenes at once in the relational catalogue: each call of some hundred is one short transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa

from mosaics.catalog.base import NewScene, Put, SummaryCheck
from mosaics.catalog.schema import advance, collections_table, scenes_table, summaries_table, translated
from mosaics.catalog.summary import Summary, summaries_of
from mosaics.errors import SceneUnreadableError

_AT_ONCE: Final = 500
"""Scenes of one transaction where the caller gives more."""
_Key = tuple[str, str]


def put_all(engine: sa.Engine, scenes: Sequence[NewScene], check: SummaryCheck) -> list[Put]:
    """Add or replace scenes; see `CatalogWriter.put_scenes`."""
    return [put for run in _runs(scenes) for put in _put_run(engine, run, check)]


def remove_all(engine: sa.Engine, keys: Sequence[_Key]) -> int:
    """Take scenes out; rows without an item stay so that every worker hears of it."""
    removed, wanted = 0, list(dict.fromkeys(keys))
    for begin in range(0, len(wanted), _AT_ONCE):
        some = wanted[begin : begin + _AT_ONCE]
        with translated(), engine.begin() as connection:
            advance(connection)
            there = [key for key, text in _texts(connection, some).items() if text is not None]
            if there:
                rows = [(key, None, None, None) for key in there]
                _write(connection, rows, there)
        removed += len(there)
    return removed


def _runs(scenes: Sequence[NewScene]) -> Iterator[list[NewScene]]:
    """Part scenes where a key or a digest comes again, and where there are many."""
    run: list[NewScene] = []
    keys: set[_Key] = set()
    digests: set[str | None] = set()
    for scene in scenes:
        key = scene.key
        twin = key in keys or (scene.digest is not None and scene.digest in digests)
        if twin or len(run) == _AT_ONCE:
            yield run
            run, keys, digests = [], set(), set()
        run.append(scene)
        keys.add(key)
        digests.add(scene.digest)
    if run:
        yield run


def _put_run(engine: sa.Engine, scenes: list[NewScene], check: SummaryCheck) -> list[Put]:
    """Write scenes of different keys; all that takes time is done before the lock is."""
    found: dict[_Key, Put] = {}
    rows: dict[_Key, _Row] = {}
    keys = [scene.key for scene in scenes]
    with translated(), engine.connect() as connection:
        held = _texts(connection, keys)
    new: list[NewScene] = []
    for scene in scenes:
        known = held.get(scene.key)
        if known is not None and (known == scene.text or _read(known) == scene.item):
            found[scene.key] = Put(status="unchanged")
        else:
            new.append(scene)
    for scene, summary in zip(new, _summaries(new, check), strict=True):
        if isinstance(summary, SceneUnreadableError):
            found[scene.key] = Put(status="broken", error=summary)
        else:
            rows[scene.key] = (scene.key, scene.text, scene.digest, summary)
    if rows:
        with translated(), engine.begin() as connection:
            found |= _put_rows(connection, rows)
    return [found[key] for key in keys]


def _summaries(scenes: Sequence[NewScene], check: SummaryCheck) -> Iterator[bytes | SceneUnreadableError]:
    """Give what the index will hold of scenes; in place of one that is broken, why."""
    bare = [scene.item for scene in scenes if scene.summary is None]
    made = iter(checked_summaries(bare, check) if bare else ())
    for scene in scenes:
        yield next(made) if scene.summary is None else scene.summary


def checked_summaries(
    items: Sequence[dict[str, Any]], check: SummaryCheck
) -> Iterator[bytes | SceneUnreadableError]:
    """Give what the index will hold of items, as the store keeps it; in place of one that is broken, why."""
    found = summaries_of(items)
    errors = iter(check([summary for summary in found if isinstance(summary, Summary)]))
    for summary in found:
        yield summary if isinstance(summary, SceneUnreadableError) else next(errors) or bytes(summary)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


_Row = tuple[_Key, str | None, str | None, bytes | None]
"""Key, item, digest and summary."""


def _put_rows(connection: sa.Connection, rows: dict[_Key, _Row]) -> dict[_Key, Put]:
    advance(connection)  # before anything is read: it takes the lock
    named = {key[0] for key in rows}
    known = set(
        connection.scalars(sa.select(collections_table.c.id).where(collections_table.c.id.in_(named)))
    )
    if named - known:
        raise KeyError(min(named - known))
    holders = _holders(connection, [row[2] for row in rows.values() if row[2] is not None])
    taken = {key: holders[row[2]] for key, row in rows.items() if row[2] and holders.get(row[2], key) != key}
    written = [row for key, row in rows.items() if key not in taken]
    held = _texts(connection, [row[0] for row in written])
    _write(connection, written, list(held))
    return {key: Put(status="taken", holder=holder) for key, holder in taken.items()} | {
        row[0]: Put(status="added" if held.get(row[0]) is None else "replaced") for row in written
    }


def _write(connection: sa.Connection, rows: Sequence[_Row], held: Sequence[_Key]) -> None:
    """Write rows with ascending sequences, those in place of what has their key; one sequence is taken."""
    if not rows:
        return
    last = advance(connection, len(rows) - 1)
    items: list[dict[str, Any]] = []
    summaries: list[dict[str, Any]] = []
    for sequence, (key, text, digest, summary) in enumerate(rows, start=last - len(rows) + 1):
        row = {"collection_id": key[0], "id": key[1], "sequence": sequence}
        items.append({**row, "item": text, "digest": digest})
        summaries.append({**row, "summary": summary})
    for table, values in ((scenes_table, items), (summaries_table, summaries)):
        for collection_id, ids in _by_collection(held):
            where = sa.and_(table.c.collection_id == collection_id, table.c.id.in_(ids))
            connection.execute(sa.delete(table).where(where))
        connection.execute(sa.insert(table), values)


def _texts(connection: sa.Connection, keys: Iterable[_Key]) -> dict[_Key, str | None]:
    """Give the items of the scenes that have a row, as text."""
    table = scenes_table.c
    found: dict[_Key, str | None] = {}
    for collection_id, ids in _by_collection(keys):
        query = sa.select(table.id, table.item).where(table.collection_id == collection_id, table.id.in_(ids))
        found |= {(collection_id, row.id): row.item for row in connection.execute(query)}
    return found


def _holders(connection: sa.Connection, digests: list[str]) -> dict[str | None, _Key]:
    """Give the scenes that have some contents."""
    table = scenes_table.c
    query = sa.select(table.digest, table.collection_id, table.id).where(table.digest.in_(digests))
    return {row.digest: (row.collection_id, row.id) for row in connection.execute(query)}


def _by_collection(keys: Iterable[_Key]) -> Iterator[tuple[str, list[str]]]:
    for collection_id, group in groupby(sorted(keys), key=lambda key: key[0]):
        yield collection_id, [key[1] for key in group]
