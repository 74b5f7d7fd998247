"""`dinamis-flux bank`: takes files and whole deliveries into the catalogue; its options."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from server.cli.bank_order import BankOrder, Drawn, Warp
from server.cli.context import context_of, told
from server.cli.runners import here

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S"]
_GROUND = "Images in sensor geometry"
_WORK = "How it is done"


def bank(
    command: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Deliveries (a folder, or the metadata in it), images, folders of either, or objects of the "
            "store: s3://bucket/key.tif.",
        ),
    ],
    collection: Annotated[
        str | None, typer.Option(help="Collection they belong to, made if new. [default: the sensor's id]")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence they are under, made if new.")] = None,
    sensor: Annotated[
        str | None, typer.Option(help="Sensor, such as pleiades, spot-6-7, dsm. [default: found out]")
    ] = None,
    acquired: Annotated[
        datetime | None,
        typer.Option("--datetime", formats=_DATES, help="Acquisition, UTC. [default: from product or name]"),
    ] = None,
    bands: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[GROUP=]NAMES",
            help="Common names of the bands in file order, such as red,green,blue,nir, where the product "
            "says others than its sensor's table; for one of several images: pan=pan.",
        ),
    ] = None,
    nodata: Annotated[
        float | None,
        typer.Option(
            metavar="VALUE",
            help="What means nothing in plain images that don't say it, such as 0 for black edges. They are "
            "converted, even where they could be served as they lie.",
        ),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see the collection.")] = False,
    visual: Annotated[
        bool, typer.Option("--visual", help="Draw the tiles of the default style ahead, in Web Mercator.")
    ] = False,
    visual_format: Annotated[
        Drawn, typer.Option(help="Format of the tiles drawn ahead; webp is for clients that ask for it.")
    ] = Drawn.JPG,
    dem: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            rich_help_panel=_GROUND,
            help="Elevation model to orthorectify with, a GeoTIFF of metres. [default: the mean height]",
        ),
    ] = None,
    dem_offset: Annotated[
        float,
        typer.Option(
            rich_help_panel=_GROUND,
            help="Metres added to its heights: RPCs count from the ellipsoid, most models from the geoid.",
        ),
    ] = 0.0,
    crs: Annotated[
        str | None,
        typer.Option(rich_help_panel=_GROUND, help="Where to, such as EPSG:2154. [default: the UTM zone]"),
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option(
            min=1e-9, rich_help_panel=_GROUND, help="Units of the CRS per pixel. [default: its own]"
        ),
    ] = None,
    warp: Annotated[
        Warp | None,
        typer.Option(
            rich_help_panel=_GROUND,
            help="For images placed by points: one polynomial, or a thin plate through each. [default: "
            "by their number]",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            max=64,
            rich_help_panel=_WORK,
            help="How many at the same time. [default: 1; of a cluster, its threads]",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=_WORK,
            help="Have the files read and written by the workers of this dask scheduler, such as "
            "tls://host:8786. They need the same files and the same home at the same paths.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel=_WORK, help="Only say what would be done.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each as JSON.")] = False,
) -> None:
    """Bank images and whole deliveries: check, convert where needed, measure and catalogue them.

    A delivery is taken as it came: its parts are put together, radar is calibrated, images in sensor geometry
    are put on the ground, and what the product says of itself goes into the STAC item. A valid COG below a
    configured data root, a folder or a prefix of the store, is served where it lies; anything else readable
    is converted into the home.

    What can't be served is refused by name and reason, the others go on and the exit status is 1. The same
    again, or a copy of it, changes nothing; what was interrupted goes on where it stopped. With --visual
    tiles are drawn if they are not, or not as they would be now. They take about as much room as the image,
    and are sent as they lie there to whoever may see the whole tile.
    """
    context = context_of(command)
    with told():
        sandbox = None if scheduler else command.with_resource(here(jobs))
    from server.cli.bank_work import carry_out  # noqa: PLC0415 - much to load, while the sandbox does so too

    order = BankOrder(
        paths=tuple(paths),
        collection=collection,
        licence=licence,
        sensor=sensor,
        acquired=acquired.replace(tzinfo=UTC) if acquired else None,
        bands=tuple(bands or ()),
        nodata=nodata,
        public=public,
        drawn=visual_format if visual else None,
        dem=dem,
        dem_offset=dem_offset,
        crs=crs,
        resolution=resolution,
        warp=warp,
        jobs=jobs,
        scheduler=scheduler,
        dry_run=dry_run,
        as_json=as_json,
    )
    carry_out(order, context, sandbox)
