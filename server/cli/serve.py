"""`dinamis-flux serve`: starts the server."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

import typer

from mosaics.gdal import configure, self_test
from mosaics.grids import load_grids
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles
from server.catalogue import prepare_catalogue
from server.cli.context import context_of, fail, messages, told
from server.database import open_database
from server.pepper import load_peppers
from server.settings import Settings, SettingsError, load_settings
from server.shared import shared_folders
from server.supervisor import PortTakenError, Supervisor


def serve(
    command: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 for a free one. [default: 8000]")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes. [default: 2]")] = None,
) -> None:
    """Serve tiles until stopped.

    Settings come from the options, then FLUX_* variables, then flux.toml in the home. SIGTERM finishes what
    is under way and ends with status 0; SIGHUP reads the settings anew.
    """
    home = context_of(command).home
    context_of(command).settings  # noqa: B018 - wrong settings are told before anything else
    given = {name: v for name, v in (("host", host), ("port", port), ("workers", workers)) if v is not None}

    def read() -> Settings:
        return load_settings(home=home, http=given)

    try:
        settings = read()
    except SettingsError as error:
        fail(f"settings: {error}", 2)
    with told():
        settings.home.mkdir(parents=True, exist_ok=True)
        engine = open_database(settings.database_url, settings.home)
        prepare_catalogue(settings, engine, anew=True)
        engine.dispose()
        _prepare(settings)
    raise typer.Exit(_supervise(settings, read))


def _prepare(settings: Settings) -> None:
    """Check the parts that would make every worker fail, before any is started."""
    load_peppers(settings)
    for load in (load_grids, load_sensors, load_styles):
        load(settings.data_folder)
    configure(settings.gdal.cache_megabytes)
    self_test()


def _supervise(settings: Settings, read: Callable[[], Settings]) -> int:
    # prometheus_client chooses its shared files when it is loaded, so the folder is named before that
    with shared_folders(settings) as shared:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared.metrics)
        from server.worker import run  # noqa: PLC0415 - everything a worker needs, loaded once before the forks

        try:
            return Supervisor(settings, read, run, shared).serve()
        except PortTakenError as error:
            messages.print(str(error), style="red")
            return 1
