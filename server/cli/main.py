"""The main command: options that all commands share, and where each command is."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated, Final

# Threads of these libraries would multiply with ours; they read the environment when they are loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("NUMEXPR_NUM_THREADS", "1")

import typer

from mosaics.gdal import configure
from server.cli.context import Context, configure_logging
from server.cli.lazy import lazy_group

COMMANDS: Final = {
    "bank": "bank:bank",
    "layers": "layers:layers",
    "leftovers": "leftovers:leftovers",
    "seed": "seed:seed",
    "serve": "serve:serve",
    "usage": "reports:usage",
    "explain": "reports:explain",
    "bench": "bench:bench",
    "collection": "collections:collection",
    "scene": "scenes:scene",
    "mosaic": "mosaics:mosaic",
    "institution": "parties:institution",
    "group": "parties:group",
    "operator": "parties:operator",
    "membership": "parties:membership",
    "licence": "parties:licence",
    "grant": "grants:grant",
    "forbid": "grants:forbid",
    "key": "keys:key",
    "rights": "rights:rights",
    "audit": "rights:audit",
}
"""Where each is, in this package."""

app = typer.Typer(
    name="dinamis-flux",
    cls=lazy_group({name: f"server.cli.{place}" for name, place in COMMANDS.items()}),
    help="Banks satellite imagery and streams it as WMTS and XYZ tiles, to each institution its own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def common(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            envvar="FLUX_HOME",
            help="Folder of the database, the banked files and the secrets. [default: ./flux-home]",
            show_default=False,
        ),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option(
            envvar="FLUX_ACTOR",
            help="Who is recorded with changes of rights. [default: the user of this machine]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Set up what every command needs."""
    configure_logging(as_json=not sys.stderr.isatty())
    configure()
    context.obj = Context(home, f"cli:{actor or _user()}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return str(os.getuid())


def main() -> None:
    """Run the command line."""
    app()
