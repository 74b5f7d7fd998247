"""The tables of the catalogue, what its writers share, and how its errors are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import exc

from mosaics.errors import CatalogUnavailableError

metadata = sa.MetaData()

collections_table = sa.Table(
    "mosaics_collections",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
)

mosaics_table = sa.Table(
    "mosaics_mosaics",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, comment="JSON; NULL: removed"),
    sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
)

scenes_table = sa.Table(
    "mosaics_scenes",
    metadata,
    sa.Column("collection_id", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("digest", sa.String(64), unique=True),
    sa.Column("item", sa.Text, comment="STAC item; NULL: removed"),
    sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
)

summaries_table = sa.Table(
    "mosaics_summaries",
    metadata,
    sa.Column("collection_id", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
    sa.Column("summary", sa.LargeBinary, comment="NULL: the scene was removed, or its item is broken"),
)
"""What the index holds of each scene; apart from the items, so that a worker reads no more than that."""

stretches_table = sa.Table(
    "mosaics_stretches",
    metadata,
    sa.Column("layer_id", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
)

sequence_table = sa.Table(
    "mosaics_sequence",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)


overviews_table = sa.Table(
    "mosaics_overviews",
    metadata,
    sa.Column("layer_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, comment="JSON; NULL: removed"),
    sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
)
"""Coarse files in place of many scenes of a layer."""


def advance(connection: sa.Connection, by: int = 1) -> int:
    """Advance the sequence and give it; the row is locked until the end, so numbers are seen in order."""
    connection.execute(sa.update(sequence_table).values(value=sequence_table.c.value + by))
    value = connection.scalar(sa.select(sequence_table.c.value))
    assert value is not None, "the migration makes the row"
    return int(value)


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a connection whose queries all see the same state, as those of SQLite do by themselves."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of a database that does not answer into one that says so."""
    try:
        yield
    except (exc.IntegrityError, exc.DataError):
        raise
    except (exc.DatabaseError, exc.InterfaceError, exc.TimeoutError) as error:
        raise CatalogUnavailableError("the catalogue does not answer") from error
