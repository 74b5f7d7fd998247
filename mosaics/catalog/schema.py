"""The tables of the catalogue."""

from __future__ import annotations

import sqlalchemy as sa

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
