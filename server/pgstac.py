"""Opens the catalogue of a platform that has pgSTAC already: its items, completed as they are read."""

from __future__ import annotations

import sqlalchemy as sa

from mosaics.catalog.pgstac import PgstacCatalog
from mosaics.catalog.pgstac_schema import mark_anew, prepare
from mosaics.ingest.foreign import Completing
from mosaics.ingest.placing import Places
from mosaics.ingest.whole_items import Foreign
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles
from server.settings import Settings
from server.storage import scene_files


def open_pgstac(settings: Settings, engine: sa.Engine) -> PgstacCatalog:
    """Give the catalogue; it is followed by `follow_pgstac` before it is first read.

    Args:
        settings: All settings.
        engine: The database, migrated.
    """
    places = Places(
        root=settings.data.resolve(), roots=settings.readable_roots, objects=scene_files(settings).objects
    )
    completing = Completing(
        places=places,
        sensors=load_sensors(settings.data_folder),
        styles=load_styles(settings.data_folder),
    )
    return PgstacCatalog(engine, Foreign(completing=completing))


def follow_pgstac(settings: Settings, engine: sa.Engine, *, anew: bool = False) -> None:
    """Read all that changed while nobody followed it; see `server.catalogue.prepare_catalogue`."""
    prepare(engine)
    if anew:
        mark_anew(engine)
    open_pgstac(settings, engine).follow_all()
