"""Opens the catalogue: our own tables, or pgSTAC's where a platform has one already."""

from __future__ import annotations

import sqlalchemy as sa

from mosaics.catalog.base import Catalog
from mosaics.catalog.pgstac import PgstacCatalog
from mosaics.catalog.pgstac_schema import mark_anew, prepare
from mosaics.catalog.sql import SqlCatalog
from mosaics.ingest.foreign import Completing
from mosaics.ingest.placing import Places
from mosaics.ingest.whole_items import Foreign
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles
from server.settings import Settings
from server.storage import scene_files


def open_catalogue(settings: Settings, engine: sa.Engine) -> Catalog:
    """Give the catalogue of the settings.

    Args:
        settings: All settings.
        engine: The database, migrated, and prepared (`prepare_catalogue`).
    """
    return _pgstac(settings, engine) if settings.catalog == "pgstac" else SqlCatalog(engine)


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
        prepare(engine)
        if anew:
            mark_anew(engine)
        _pgstac(settings, engine).follow_all()


def _pgstac(settings: Settings, engine: sa.Engine) -> PgstacCatalog:
    places = Places(
        root=settings.data.resolve(), roots=settings.readable_roots, objects=scene_files(settings).objects
    )
    completing = Completing(
        places=places,
        sensors=load_sensors(settings.data_folder),
        styles=load_styles(settings.data_folder),
    )
    return PgstacCatalog(engine, Foreign(completing=completing))
