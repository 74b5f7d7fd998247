"""The main command: options that all commands share, and the list of commands."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

# Threads of these libraries would multiply with ours; they read the environment when they are loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("NUMEXPR_NUM_THREADS", "1")

import typer

from mosaics.gdal import configure
from server.cli import (
    bank,
    bench,
    collections,
    grants,
    keys,
    layers,
    leftovers,
    mosaics,
    parties,
    reports,
    rights,
    scenes,
    serve,
)
from server.cli.context import Context, configure_logging

app = typer.Typer(
    name="dinamis-flux",
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


app.command("bank")(bank.bank)
app.command("layers")(layers.layers)
app.command("leftovers")(leftovers.leftovers)
app.command("serve")(serve.serve)
app.command("usage")(reports.usage)
app.command("explain")(reports.explain)
app.command("bench")(bench.bench)
app.add_typer(collections.collection, name="collection")
app.add_typer(scenes.scene, name="scene")
app.add_typer(mosaics.mosaic, name="mosaic")
app.add_typer(parties.institution, name="institution")
app.add_typer(parties.group, name="group")
app.add_typer(parties.operator, name="operator")
app.add_typer(parties.membership, name="membership")
app.add_typer(parties.licence, name="licence")
app.add_typer(grants.grant, name="grant")
app.add_typer(grants.forbid, name="forbid")
app.add_typer(keys.key, name="key")
app.add_typer(rights.rights, name="rights")
app.add_typer(rights.audit, name="audit")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return str(os.getuid())


def main() -> None:
    """Run the command line."""
    app()
