"""`dinamis-flux seed`: tiles made ahead, into the cache or into one file."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from server.cli.context import FAILED, USAGE, context_of, fail, messages, print_rows, told
from server.cli.overviews import make_overviews
from server.cli.seed_order import Order

_ZOOMS: Final = re.compile(r"(?P<first>\d{1,2})?(?:(?P<dash>-)(?P<last>\d{1,2})?)?")
_WHOSE = "As whom"
_WORK = "How it is done"


class SeedFormat(StrEnum):
    """Formats of tiles."""

    AUTO = "auto"
    WEBP = "webp"
    JPG = "jpg"
    PNG = "png"


def seed(
    command: typer.Context,
    layer: Annotated[
        str, typer.Argument(metavar="LAYER", help="A collection, a named mosaic, or `collection:scene`.")
    ],
    bbox: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="Only tiles that touch it, degrees.")
    ] = None,
    area: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Only tiles that touch the polygons of this GeoJSON file.",
        ),
    ] = None,
    zooms: Annotated[
        str | None,
        typer.Option(metavar="A-B", help="Zooms, such as 8-14, 14 or 8-. [default: those of the layer]"),
    ] = None,
    grid: Annotated[str, typer.Option(help="Tile matrix set.")] = "WebMercatorQuad",
    style: Annotated[str | None, typer.Option(help="Style. [default: that of the layer]")] = None,
    time: Annotated[
        str | None, typer.Option(help="A date, A/B, latest or nearest:DATE. [default: any]")
    ] = None,
    image_format: Annotated[
        SeedFormat,
        typer.Option(
            "--format",
            help="What clients ask for. auto: what a request without an ending gets that accepts WebP; of "
            "a file: WebP.",
        ),
    ] = SeedFormat.AUTO,
    institution: Annotated[
        str | None,
        typer.Option(
            "--for", rich_help_panel=_WHOSE, help="Only what this institution may see; `public`: everybody."
        ),
    ] = None,
    as_key: Annotated[
        str | None,
        typer.Option("--as-key", metavar="ID", rich_help_panel=_WHOSE, help="Only what this key may see."),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            rich_help_panel=_WHOSE,
            help="All that is banked, whoever may see it. [default for the cache]",
        ),
    ] = False,
    overviews: Annotated[
        bool,
        typer.Option(
            "--overviews",
            help="Make the coarse files that low zooms of a wide layer are made of, instead of tiles; what "
            "is as it was stays.",
        ),
    ] = False,
    pmtiles: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.pmtiles", dir_okay=False, help="Write this file instead of filling the cache."
        ),
    ] = None,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Write the file although some tiles failed.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            max=64,
            rich_help_panel=_WORK,
            help="Threads, or overviews at the same time. [default: one a processor (of overviews one); of a "
            "cluster, its threads]",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=_WORK,
            help="Have tiles drawn by the workers of this dask scheduler, such as tls://host:8786. They need "
            "the files of the scenes at the same paths.",
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", rich_help_panel=_WORK, help="However many tiles, and however little fits."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel=_WORK, help="Only say how many tiles, and how large.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make tiles ahead: into the cache of the server, or into a PMTiles file.

    The cache holds tiles by what they are made of, so whoever may see the same scenes on a tile is given the
    one that is there. A file holds what one institution may see, or, with --everything, all: who it was
    made for stands in it, and nothing checks rights once it is copied.

    With --overviews the coarse files that low zooms of wide layers are made of are brought up to date.

    What is there is not made again, so the same command goes on where it was interrupted. A tile that fails
    leaves the others be and the exit status is 1; then a file is not written, unless with --incomplete.
    """
    # the library of metrics reads its folder when it is loaded, which `serve` names first
    from server.cli.seeding import Seeding  # noqa: PLC0415 - see above

    context = context_of(command)
    if overviews:
        with told():
            done_well = make_overviews(context, layer, jobs, scheduler, as_json=as_json)
        if not done_well:
            raise typer.Exit(FAILED)
        return
    order = Order(
        layer_id=layer,
        bbox=_bbox(bbox),
        area=area,
        zooms=_zooms(zooms),
        grid_id=grid,
        style=style,
        time=time,
        image_format=image_format.value,
        institution=institution,
        key_id=as_key,
        everything=everything,
        output=pmtiles,
        incomplete=incomplete,
        jobs=jobs,
        scheduler=scheduler,
        bounded=not yes,
    )
    with told(), Seeding(context, order, datetime.now(UTC)) as seeding:
        if dry_run:
            _say(seeding.estimate(), as_json=as_json)
            return
        done = seeding.run(quiet=as_json)
    if as_json:
        print(json.dumps(done.document(), ensure_ascii=False, indent=1))
    if done.tally.failed:
        raise typer.Exit(FAILED)


def _say(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    print_rows(rows, as_json=as_json, empty="no tiles")
    tiles, size = (sum(row[name] for row in rows) for name in ("tiles", "bytes"))
    messages.print(f"{tiles} tiles, about {size / 1e6:.1f} MB; nothing was kept", markup=False)


def _bbox(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        fail(f"--bbox {text}: four numbers W,S,E,N are wanted", USAGE)
    return west, south, east, north


def _zooms(text: str | None) -> tuple[int | None, int | None]:
    """Read `8-14`, `8-`, `-14` or `14`; None: the layer's own."""
    if text is None:
        return None, None
    found = _ZOOMS.fullmatch(text)
    if found is None or not (found["first"] or found["last"]):
        fail(f"--zooms {text}: it is written 8-14, 8-, -14 or 14", USAGE)
    first = int(found["first"]) if found["first"] else None
    last = int(found["last"]) if found["last"] else None
    return (first, first) if not found["dash"] else (first, last)
