"""What the index holds of each scene, beside its item, so that a worker need not read all items to begin."""

import json

import sqlalchemy as sa
from alembic import op

from mosaics.catalog.summary import summary_of
from mosaics.errors import SceneUnreadableError

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    summaries = op.create_table(
        "mosaics_summaries",
        sa.Column("collection_id", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
        sa.Column("summary", sa.LargeBinary, comment="NULL: the scene was removed, or its item is broken"),
    )
    connection = op.get_bind()
    scenes = sa.table(
        "mosaics_scenes",
        sa.column("collection_id"),
        sa.column("id"),
        sa.column("sequence"),
        sa.column("item"),
    )
    for row in connection.execute(sa.select(scenes).execution_options(yield_per=500)):
        connection.execute(
            sa.insert(summaries).values(
                collection_id=row.collection_id,
                id=row.id,
                sequence=row.sequence,
                summary=_summary(row.item),
            )
        )


def downgrade() -> None:
    op.drop_table("mosaics_summaries")


def _summary(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes(summary_of(json.loads(text)))
    except (SceneUnreadableError, ValueError):
        return None
