"""What commands share: settings, the stores, and how results and errors are printed."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import structlog
import typer
import yaml
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from auth.audit import Change
from auth.edits import Edit
from auth.errors import AuthError
from auth.snapshot import PolicySnapshot
from auth.store import PolicyStore, SqlPolicyStore
from auth.usage import SqlUsageStore, UsageStore
from mosaics.catalog.base import Catalog
from mosaics.catalog.index import CatalogIndex
from mosaics.errors import MosaicsError
from mosaics.sensors import load_sensors
from server.catalogue import open_catalogue, prepare_catalogue
from server.database import open_database
from server.scenes import SceneOfItem
from server.settings import Settings, SettingsError, load_settings

FAILED = 1
USAGE = 2

messages = Console(stderr=True, highlight=False)
"""Progress and messages go to standard error, results to standard output."""


@dataclass(frozen=True)
class Context:
    """Made once per run of the command line; stores open when first used."""

    home: Path | None
    actor: str = ""
    """Who is recorded with each change of rights."""

    @cached_property
    def settings(self) -> Settings:
        """The settings with the --home given."""
        try:
            return load_settings(home=self.home)
        except SettingsError as error:
            fail(f"settings: {error}", USAGE)

    @cached_property
    def engine(self) -> Any:
        """The database, migrated."""
        with told():
            engine = open_database(self.settings.database_url, self.settings.home)
            prepare_catalogue(self.settings, engine)
            return engine

    @cached_property
    def policy(self) -> PolicyStore:
        """The store of rights."""
        return SqlPolicyStore(self.engine)

    @cached_property
    def usage(self) -> UsageStore:
        """The store of counts."""
        return SqlUsageStore(self.engine)

    def change(self, edit: Edit) -> tuple[Change, ...]:
        """Change rights, recorded under the actor's name; ends with a message where that can't be done."""
        with told():
            return self.policy.change(edit, actor=self.actor, at=datetime.now(UTC))

    def rights(self) -> PolicySnapshot:
        """Give the rights as they are."""
        with told():
            return self.policy.snapshot()

    @cached_property
    def catalog(self) -> Catalog:
        """The catalogue."""
        return open_catalogue(self.settings, self.engine)

    @cached_property
    def index(self) -> CatalogIndex:
        """The catalogue in memory, as a worker holds it; a broken item is told and left out alone."""
        return self.index_now()

    def index_now(self) -> CatalogIndex:
        """Read the catalogue anew."""
        with told():
            make = SceneOfItem(root=self.settings.data, sensors=load_sensors(self.settings.data_folder))
            changes = self.catalog.changes(0)
        for error in changes.broken.values():
            messages.print(
                f"scene {error.scene_id} is left out: its item is broken", style="red", markup=False
            )
        return CatalogIndex().with_changes(changes, make)


def context_of(command: typer.Context) -> Context:
    """Give the context that the main command made."""
    found = command.find_object(Context)
    assert found is not None, "the main command makes it"
    return found


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Print a message and end with a status."""
    messages.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(status)


@contextmanager
def told() -> Iterator[None]:
    """Turn the errors that a person can act on into a message and status 1."""
    try:
        yield
    except (AuthError, MosaicsError, ValueError, OSError) as error:
        fail(str(error))
    except SQLAlchemyError as error:
        fail(f"the database: {str(error).splitlines()[0]}")


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print a list, as a table for people or JSON for programs."""
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1, default=str))
        return
    if not rows:
        messages.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


def print_document(document: dict[str, Any], *, as_json: bool) -> None:
    """Print one thing: YAML for people, JSON for programs."""
    if as_json:
        print(json.dumps(document, ensure_ascii=False, indent=1, default=str))
    else:
        print(yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=100), end="")


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(sorted(map(str, value))) or "any"
    return str(value)


def configure_logging(*, as_json: bool) -> None:
    """Send the log to standard error, as JSON lines where no person is looking."""
    renderer: Callable[..., Any] = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
