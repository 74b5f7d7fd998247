"""Definitions of named mosaics."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "mosaics_mosaics",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text, comment="JSON; NULL: removed"),
        sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_table("mosaics_mosaics")
