"""One range of values for each mosaic, found of its scenes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "mosaics_stretches",
        sa.Column("layer_id", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_table("mosaics_stretches")
