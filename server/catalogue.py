"""Opens the catalogue: our own tables, or pgSTAC's where a platform has one already."""

from __future__ import annotations

import sqlalchemy as sa

from mosaics.catalog.base import Catalog
from mosaics.catalog.sql import SqlCatalog
from server.settings import Settings


def open_catalogue(settings: Settings, engine: sa.Engine) -> Catalog:
    """Give the catalogue of the settings.

    Args:
        settings: All settings.
        engine: The database, migrated, and prepared (`prepare_catalogue`).
    """
    if settings.catalog != "pgstac":
        return SqlCatalog(engine)
    from server.pgstac import open_pgstac  # noqa: PLC0415 - loads what understands others' items

    return open_pgstac(settings, engine)


def prepare_catalogue(settings: Settings, engine: sa.Engine, *, anew: bool = False) -> None:
    """Make ready a catalogue that is followed, and read all that changed while nobody followed it.

    Args:
        settings: All settings.
        engine: The database, migrated.
        anew: Try also what was not understood before.

    Raises:
        CatalogUnavailableError: If the database does not answer, holds no pgSTAC or may not be followed.
    """
    if settings.catalog == "pgstac":
        from server.pgstac import follow_pgstac  # noqa: PLC0415 - loads what understands others' items

        follow_pgstac(settings, engine, anew=anew)
