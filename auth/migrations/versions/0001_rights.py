"""Institutions, licences, keys, grants, forbids and the epoch."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def instant(name: str, *, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def reach() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("collections", sa.Text),
        sa.Column("licences", sa.Text),
        sa.Column("sensors", sa.Text),
        sa.Column("scenes", sa.Text),
        sa.Column("area", sa.String(16), nullable=False),
        sa.Column("area_wkb", sa.LargeBinary),
        instant("acquired_start"),
        instant("acquired_end"),
        instant("valid_start"),
        instant("valid_end"),
    )


def upgrade() -> None:
    epoch = op.create_table(
        "auth_epoch",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_epoch")),
        sa.CheckConstraint("id = 1", name=op.f("ck_auth_epoch_single")),
    )
    op.bulk_insert(epoch, [{"id": 1, "epoch": 0}])
    op.create_table(
        "auth_institution",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("operator", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_institution")),
    )
    op.create_table(
        "auth_licence",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("attribution", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_licence")),
    )
    op.create_table(
        "auth_key",
        sa.Column("id", sa.String(8), nullable=False),
        sa.Column("institution_id", sa.String(64), nullable=False),
        sa.Column("secret_hmac", sa.LargeBinary, nullable=False),
        sa.Column("pepper_version", sa.Integer, nullable=False),
        sa.Column("url_allowed", sa.Boolean, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        instant("created", nullable=False),
        instant("expires"),
        instant("revoked"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_key")),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["auth_institution.id"], name=op.f("fk_auth_key_institution_id")
        ),
    )
    op.create_table(
        "auth_grant",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("grantee", sa.String(64), nullable=False),
        *reach(),
        sa.Column("finest_ground_resolution", sa.Float(53)),
        sa.Column("actions", sa.Text, nullable=False),
        instant("created", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_grant")),
        sa.UniqueConstraint("digest", name=op.f("uq_auth_grant_digest")),
        sa.CheckConstraint("(area = 'everywhere') = (area_wkb IS NULL)", name=op.f("ck_auth_grant_area")),
    )
    op.create_table(
        "auth_forbid",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        *reach(),
        sa.Column("reason", sa.Text, nullable=False),
        instant("created", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_forbid")),
        sa.UniqueConstraint("digest", name=op.f("uq_auth_forbid_digest")),
        sa.CheckConstraint("(area = 'everywhere') = (area_wkb IS NULL)", name=op.f("ck_auth_forbid_area")),
    )


def downgrade() -> None:
    for table in ("auth_forbid", "auth_grant", "auth_key", "auth_licence", "auth_institution", "auth_epoch"):
        op.drop_table(table)
