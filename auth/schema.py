"""The tables of auth, their column types, and rows to values and back; no decision, no transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    TypeDecorator,
    exc,
)

from auth.errors import PolicyUnavailableError
from auth.models import (
    Action,
    Area,
    Forbid,
    Grant,
    Institution,
    InstitutionStatus,
    Key,
    Licence,
    Selector,
    Window,
)
from auth.rules import check_instant, forbid_digest, grant_digest

EVERYWHERE_WORD: Final = "everywhere"
"""What the area column holds where no polygon cuts; it is never null, so that a lost area opens nothing."""

VERSION_TABLE: Final = "auth_version"
"""Where the migrations of auth keep their revision, apart from any other package's."""


class Instant(TypeDecorator[datetime]):
    """A UTC instant: always with a time zone in Python, whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Turn any zone into UTC."""
        check_instant(value)
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give UTC back; a database without zones was given UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Names(TypeDecorator[frozenset[str]]):
    """A set of words as a sorted JSON list; null is any."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write the words in order."""
        return None if value is None else json.dumps(sorted(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> frozenset[str] | None:  # noqa: ARG002
        """Read the words."""
        return None if value is None else frozenset(json.loads(value))


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""All tables of auth, and none of anyone else."""

epoch_table: Final = Table(
    "auth_epoch",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
)

institution_table: Final = Table(
    "auth_institution",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("operator", Boolean, nullable=False),
)

licence_table: Final = Table(
    "auth_licence",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("title", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("attribution", Text, nullable=False),
    Column("url", Text, nullable=False),
)

key_table: Final = Table(
    "auth_key",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("institution_id", String(64), ForeignKey("auth_institution.id"), nullable=False),
    Column("secret_hmac", LargeBinary, nullable=False),
    Column("pepper_version", Integer, nullable=False),
    Column("url_allowed", Boolean, nullable=False),
    Column("label", Text, nullable=False),
    Column("created", Instant, nullable=False),
    Column("expires", Instant),
    Column("revoked", Instant),
)


def _reach_columns() -> tuple[Column[Any] | CheckConstraint, ...]:
    """Give the columns that say which scenes, where and when; grants and forbids share them."""
    return (
        Column("collections", Names),
        Column("licences", Names),
        Column("sensors", Names),
        Column("scenes", Names),
        Column("area", String(16), nullable=False),
        Column("area_wkb", LargeBinary),
        Column("acquired_start", Instant),
        Column("acquired_end", Instant),
        Column("valid_start", Instant),
        Column("valid_end", Instant),
        CheckConstraint(f"(area = '{EVERYWHERE_WORD}') = (area_wkb IS NULL)", name="area"),
    )


grant_table: Final = Table(
    "auth_grant",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("grantee", String(64), nullable=False),
    *_reach_columns(),
    Column("finest_ground_resolution", Float(53)),
    Column("actions", Names, nullable=False),
    Column("created", Instant, nullable=False),
)

forbid_table: Final = Table(
    "auth_forbid",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    *_reach_columns(),
    Column("reason", Text, nullable=False),
    Column("created", Instant, nullable=False),
)


@contextmanager
def answering() -> Iterator[None]:
    """Say in auth's words that the database does not answer, or has no tables of rights.

    Raises:
        PolicyUnavailableError: In place of the driver's error, which is its cause.
    """
    try:
        yield
    except (exc.IntegrityError, exc.DataError):
        raise
    except (exc.DatabaseError, exc.InterfaceError, exc.TimeoutError, exc.NoResultFound) as error:
        raise PolicyUnavailableError(
            "the database of rights does not answer, or has not been migrated"
        ) from error


def institution_row(institution: Institution) -> dict[str, object]:
    """Turn an institution into its row."""
    return {
        "id": institution.id,
        "name": institution.name,
        "status": institution.status.value,
        "operator": institution.operator,
    }


def institution_of(row: RowMapping) -> Institution:
    """Turn a row into its institution."""
    return Institution(
        id=row["id"], name=row["name"], status=InstitutionStatus(row["status"]), operator=row["operator"]
    )


def licence_row(licence: Licence) -> dict[str, object]:
    """Turn a licence into its row."""
    return {
        "id": licence.id,
        "title": licence.title,
        "provider": licence.provider,
        "attribution": licence.attribution,
        "url": licence.url,
    }


def licence_of(row: RowMapping) -> Licence:
    """Turn a row into its licence."""
    return Licence(**row)


def key_row(key: Key) -> dict[str, object]:
    """Turn a key into its row."""
    return {
        "id": key.id,
        "institution_id": key.institution_id,
        "secret_hmac": key.secret_hmac,
        "pepper_version": key.pepper_version,
        "url_allowed": key.url_allowed,
        "label": key.label,
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
    }


def key_of(row: RowMapping) -> Key:
    """Turn a row into its key."""
    return Key(**{**row, "secret_hmac": bytes(row["secret_hmac"])})


def grant_row(grant: Grant) -> dict[str, object]:
    """Turn a grant into its row."""
    return {
        "id": grant.id,
        "digest": grant_digest(grant),
        "grantee": grant.grantee,
        **_reach_row(grant.selector, grant.area, grant.acquired, grant.valid),
        "finest_ground_resolution": grant.finest_ground_resolution,
        "actions": frozenset(action.value for action in grant.actions),
        "created": grant.created,
    }


def grant_of(row: RowMapping) -> Grant:
    """Turn a row into its grant."""
    return Grant(
        id=row["id"],
        grantee=row["grantee"],
        selector=_selector_of(row),
        area=_area_of(row),
        acquired=Window(start=row["acquired_start"], end=row["acquired_end"]),
        valid=Window(start=row["valid_start"], end=row["valid_end"]),
        finest_ground_resolution=row["finest_ground_resolution"],
        actions=frozenset(Action(action) for action in row["actions"]),
        created=row["created"],
    )


def forbid_row(forbid: Forbid) -> dict[str, object]:
    """Turn a forbid into its row."""
    return {
        "id": forbid.id,
        "digest": forbid_digest(forbid),
        **_reach_row(forbid.selector, forbid.area, forbid.acquired, forbid.valid),
        "reason": forbid.reason,
        "created": forbid.created,
    }


def forbid_of(row: RowMapping) -> Forbid:
    """Turn a row into its forbid."""
    return Forbid(
        id=row["id"],
        selector=_selector_of(row),
        area=_area_of(row),
        acquired=Window(start=row["acquired_start"], end=row["acquired_end"]),
        valid=Window(start=row["valid_start"], end=row["valid_end"]),
        reason=row["reason"],
        created=row["created"],
    )


def _reach_row(selector: Selector, area: Area | None, acquired: Window, valid: Window) -> dict[str, object]:
    return {
        "collections": selector.collections,
        "licences": selector.licences,
        "sensors": selector.sensors,
        "scenes": selector.scenes,
        "area": EVERYWHERE_WORD if area is None else area.digest,
        "area_wkb": None if area is None else area.wkb,
        "acquired_start": acquired.start,
        "acquired_end": acquired.end,
        "valid_start": valid.start,
        "valid_end": valid.end,
    }


def _selector_of(row: RowMapping) -> Selector:
    return Selector(
        collections=row["collections"],
        licences=row["licences"],
        sensors=row["sensors"],
        scenes=row["scenes"],
    )


def _area_of(row: RowMapping) -> Area | None:
    """Read an area; only the written word is everywhere."""
    if row["area"] == EVERYWHERE_WORD:
        return None
    return Area(wkb=bytes(row["area_wkb"]), digest=row["area"])
