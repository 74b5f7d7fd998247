"""Rights as documents, the record of changes, usage and quotas."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BEGINNING = "0" * 64


def upgrade() -> None:
    connection = op.get_bind()
    create_tables()
    rights = list(documents(connection))
    with op.batch_alter_table("auth_epoch") as batch:
        batch.add_column(sa.Column("audit_sequence", sa.BigInteger, nullable=False, server_default="0"))
        batch.add_column(sa.Column("audit_hash", sa.String(64), nullable=False, server_default=BEGINNING))
    carry_over(connection, rights)
    for table in ("auth_forbid", "auth_grant", "auth_key", "auth_licence", "auth_institution"):
        op.drop_table(table)
    protect(connection)


def create_tables() -> None:
    op.create_table(
        "auth_right",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("pk_auth_right")),
    )
    op.create_index(op.f("ix_auth_right_epoch"), "auth_right", ["epoch"])
    op.create_table(
        "auth_audit",
        sa.Column("sequence", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_auth_audit")),
    )
    parts = ("institution_id", "collection", "sensor", "resolution_band")
    counts = ("answers", "appearances", "milliunits", "bytes")
    op.create_table(
        "auth_usage",
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("institution_id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(8), nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("sensor", sa.String(64), nullable=False),
        sa.Column("resolution_band", sa.String(16), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in counts),
        sa.PrimaryKeyConstraint("day", parts[0], "key_id", *parts[1:], name=op.f("pk_auth_usage")),
    )
    op.create_table(
        "auth_usage_folded",
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source", "record", name=op.f("pk_auth_usage_folded")),
    )
    op.create_table(
        "auth_key_use",
        sa.Column("key_id", sa.String(8), nullable=False),
        sa.Column("secret", sa.Integer, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "secret", name=op.f("pk_auth_key_use")),
    )
    counting = op.create_table(
        "auth_counting",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_counting")),
        sa.CheckConstraint("id = 1", name=op.f("ck_auth_counting_single")),
    )
    op.bulk_insert(counting, [{"id": 1, "turn": 0}])
    op.create_table(
        "auth_quota",
        sa.Column("grant_id", sa.String(64), nullable=False),
        sa.Column("period", sa.String(16), nullable=False),
        sa.Column("leased", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("grant_id", "period", name=op.f("pk_auth_quota")),
    )


def carry_over(connection: sa.Connection, rights: list[tuple[str, dict[str, Any]]]) -> None:
    """Write the rights of the tables before as documents, each with a record that says so."""
    at = datetime.now(UTC)
    stamp = at.isoformat().replace("+00:00", "Z")
    sequence, previous = 0, BEGINNING
    if rights:
        connection.execute(sa.text("UPDATE auth_epoch SET epoch = epoch + 1"))
    for kind, document in rights:
        sequence += 1
        connection.execute(
            sa.text(
                "INSERT INTO auth_right (kind, id, epoch, document) "
                "SELECT :kind, :id, epoch, :document FROM auth_epoch"
            ),
            {"kind": kind, "id": document["id"], "document": canonical(document)},
        )
        told = canonical(recorded(document))
        hashed = canonical([sequence, stamp, "migration:0002", kind, document["id"], told, previous])
        digest = hashlib.sha256(hashed.encode()).hexdigest()
        connection.execute(
            sa.text(
                "INSERT INTO auth_audit (sequence, at, actor, kind, subject, document, previous, hash) "
                "VALUES (:sequence, :at, 'migration:0002', :kind, :id, :document, :previous, :hash)"
            ).bindparams(sa.bindparam("at", type_=sa.DateTime(timezone=True))),
            {
                "sequence": sequence,
                "at": at,
                "kind": kind,
                "id": document["id"],
                "document": told,
                "previous": previous,
                "hash": digest,
            },
        )
        previous = digest
    connection.execute(
        sa.text("UPDATE auth_epoch SET audit_sequence = :sequence, audit_hash = :hash"),
        {"sequence": sequence, "hash": previous},
    )


def documents(connection: sa.Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in rows(connection, "auth_institution"):
        kept = {"status": row["status"], "operator": bool(row["operator"])}
        yield (
            "institution",
            without({"id": row["id"], "name": row["name"], **kept}, status="active", operator=False),
        )
    for row in rows(connection, "auth_licence"):
        yield "licence", without(dict(row), provider="", attribution="", url="")
    for row in rows(connection, "auth_key"):
        yield (
            "key",
            without(
                {
                    "id": row["id"],
                    "institution_id": row["institution_id"],
                    "secrets": [
                        {
                            "number": 1,
                            "hmac": bytes(row["secret_hmac"]).hex(),
                            "pepper_version": row["pepper_version"],
                        }
                    ],
                    "url_allowed": bool(row["url_allowed"]),
                    "label": row["label"],
                    **{name: instant(row[name]) for name in ("created", "expires", "revoked")},
                },
                expires=None,
                revoked=None,
            ),
        )
    for row in rows(connection, "auth_grant"):
        document = {
            "id": row["id"],
            "grantee": row["grantee"],
            **reach(row),
            "finest_ground_resolution": row["finest_ground_resolution"],
            "actions": json.loads(row["actions"]),
        }
        yield (
            "grant",
            without(
                document, finest_ground_resolution=None, actions=["catalogue", "info", "preview", "tile"]
            ),
        )
    for row in rows(connection, "auth_forbid"):
        yield "forbid", {"id": row["id"], "reason": row["reason"], **reach(row)}


def rows(connection: sa.Connection, table: str) -> list[sa.RowMapping]:
    found = connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY id"))  # noqa: S608 - our own names
    return list(found.mappings())


def reach(row: sa.RowMapping) -> dict[str, Any]:
    kinds = ("collections", "licences", "sensors", "scenes")
    selector = {kind: json.loads(row[kind]) for kind in kinds if row[kind] is not None}
    area = row["area"] if row["area"] == "everywhere" else base64.b64encode(bytes(row["area_wkb"])).decode()
    return without(
        {
            "area": area,
            "created": instant(row["created"]),
            "selector": selector,
            "acquired": window(row["acquired_start"], row["acquired_end"]),
            "valid": window(row["valid_start"], row["valid_end"]),
        },
        selector={},
        acquired="../..",
        valid="../..",
    )


def window(start: Any, end: Any) -> str:
    return f"{instant(start) or '..'}/{instant(end) or '..'}"


def instant(value: Any) -> str | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")


def without(document: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Leave out what is as if it were not said."""
    return {k: v for k, v in document.items() if k not in defaults or v != defaults[k]}


def recorded(document: dict[str, Any]) -> dict[str, Any]:
    """Give the document as the record keeps it: secrets told apart, areas as GeoJSON."""
    told = dict(document)
    if "secrets" in told:
        told["secrets"] = [
            {**secret, "hmac": hashlib.sha256(secret["hmac"].encode()).hexdigest()[:16]}
            for secret in told["secrets"]
        ]
    if told.get("area", "everywhere") != "everywhere":
        import shapely  # noqa: PLC0415 - only homes with areas need it
        from shapely.geometry import mapping  # noqa: PLC0415 - likewise

        told["area"] = mapping(shapely.from_wkb(base64.b64decode(told["area"])))
    return told


def canonical(document: object) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def protect(connection: sa.Connection) -> None:
    """Refuse to change or delete a record."""
    if connection.dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER auth_audit_no_{event.lower()} BEFORE {event} ON auth_audit "
                "BEGIN SELECT RAISE(ABORT, 'the record of changes is append-only'); END"
            )
    elif connection.dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION auth_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the record of changes is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER auth_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON auth_audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION auth_audit_append_only()"
        )


def downgrade() -> None:
    raise NotImplementedError("rights as documents can't go back into the tables before")
