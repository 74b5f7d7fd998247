"""Coarse files in place of many scenes of a layer, for low zooms."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "mosaics_overviews",
        sa.Column("layer_id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text, comment="JSON; NULL: removed"),
        sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_table("mosaics_overviews")
