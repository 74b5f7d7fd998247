"""Collections, scenes and the sequence that numbers their changes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "mosaics_collections",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "mosaics_scenes",
        sa.Column("collection_id", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("digest", sa.String(64), unique=True),
        sa.Column("item", sa.Text, comment="STAC item; NULL: removed"),
        sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
    )
    sequence = op.create_table(
        "mosaics_sequence",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(sequence, [{"id": 1, "value": 0}])


def downgrade() -> None:
    op.drop_table("mosaics_sequence")
    op.drop_table("mosaics_scenes")
    op.drop_table("mosaics_collections")
