"""`dinamis-flux bank`: takes files and whole deliveries into the catalogue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from auth.edits import add, add_by_content
from auth.models import PUBLIC, Action, Licence
from auth.reach import EVERYWHERE, Selector
from auth.rules import new_grant
from mosaics.errors import IngestError
from mosaics.ingest.bank import Bank
from mosaics.ingest.deliveries.prepare import GroundOptions
from mosaics.ingest.options import BankOptions
from mosaics.ingest.runner import Runner
from mosaics.places import ObjectAddress, is_object
from mosaics.products.recognise import find_deliveries, recognise
from mosaics.registry import Registry
from mosaics.sensors import Sensor, find_sensor, load_sensors
from mosaics.stretching import is_due, keep_stretch
from mosaics.styles import load_styles
from server.cli.banking import Banking, Job, Outcome
from server.cli.context import FAILED, USAGE, Context, context_of, fail, messages, told
from server.cli.plans import print_plans
from server.cli.runners import here, runners
from server.quicklook import quicklook_maker
from server.storage import scene_files
from server.visuals import visual_maker

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S"]
_NOTHING = "nothing to bank: no delivery and no .tif, .tiff, .jp2 or .ntf file there"
_GROUND = "Images in sensor geometry"
_WORK = "How it is done"


class Drawn(StrEnum):
    """Formats of tiles that are drawn ahead."""

    JPG = "jpg"
    WEBP = "webp"


class Warp(StrEnum):
    """How what lies between points is found."""

    POLYNOMIAL = "polynomial"
    SPLINE = "spline"


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
        sandbox = None if scheduler else command.with_resource(here(jobs))  # it takes a while to start
        sensors = load_sensors(context.settings.data_folder)
        options = BankOptions(
            collection_id=collection,
            licence_id=licence,
            sensor=find_sensor(sensors, sensor) if sensor else None,
            acquired=acquired.replace(tzinfo=UTC) if acquired else None,
            bands=_bands(bands or []),
            nodata=nodata,
            ground=GroundOptions(
                terrain=None if dem is None else dem.resolve(),
                terrain_offset=dem_offset,
                crs=crs,
                resolution=resolution,
                warp=None if warp is None else warp.value,
            ),
        )
        found = _found(paths, options.sensor, everywhere=scheduler is not None)
    if dry_run:
        work = _Work(context, options, sensors, sandbox)
        _say_plans(work, found, as_json=as_json)
        return
    if licence is not None:
        with told():
            make_licence(context, licence)
    drawn = visual_format if visual else None
    work = _Work(context, options, sensors, sandbox, drawn, jobs, scheduler)
    outcomes = [*found.refused, *work.run(found.jobs, quiet=as_json)]
    with told():
        if public:
            _publish(context, outcomes)
        else:
            banked = {o.result.collection_id for o in outcomes if o.result and o.result.status == "banked"}
            warn_of_public(context, banked)
    if as_json:
        print(json.dumps([outcome.row() for outcome in outcomes], ensure_ascii=False, indent=1))
    if not outcomes:
        fail(_NOTHING)
    if any(outcome.failed for outcome in outcomes):
        raise typer.Exit(FAILED)


@dataclass(frozen=True)
class _Found:
    """What paths lead to."""

    jobs: list[Job]
    refused: list[Outcome]
    """What isn't there, or can't be understood."""


def _found(paths: list[str], sensor: Sensor | None, *, everywhere: bool) -> _Found:
    """Find deliveries and files; what isn't there is refused like a bad file, and the others go on.

    Args:
        paths: As they were given.
        sensor: What was named.
        everywhere: Name files as other machines can find them too.
    """
    sensor_id = None if sensor is None else sensor.id
    jobs: dict[Path | ObjectAddress, Job] = {}
    refused: list[Outcome] = []
    for path in paths:
        try:
            local = Path(path).absolute() if everywhere else Path(path)
            named = [_address(path)] if is_object(path) else find_deliveries([local])
        except IngestError as error:
            refused.append(_refused(path, error))
            continue
        for each in named:
            try:
                delivery = None if isinstance(each, ObjectAddress) else recognise(each, sensor_id)
                jobs.setdefault(each, Job(path=each, delivery=delivery))
            except IngestError as error:
                refused.append(_refused(str(each), error))
    return _Found(list(jobs.values()), refused)


def _refused(path: str, error: IngestError) -> Outcome:
    outcome = Outcome(path=path, result=None, reason=str(error))
    _tell(outcome)
    return outcome


def _address(text: str) -> ObjectAddress:
    try:
        return ObjectAddress.parse(text)
    except ValueError as error:
        raise IngestError(f"{text}: {error}") from error


def _bands(given: list[str]) -> dict[str, tuple[str, ...]]:
    """Read the names of bands, by group."""
    found = {}
    for text in given:
        group, equals, names = text.rpartition("=")
        listed = tuple(name.strip() for name in names.split(","))
        if not all(listed) or (equals and not group):
            fail(f"--bands {text!r} is not like red,green,blue or pan=pan", USAGE)
        found[group.strip()] = listed
    return found


@dataclass(frozen=True)
class _Work:
    """What jobs are done with."""

    context: Context
    options: BankOptions
    sensors: Registry[Sensor]
    sandbox: Runner | None
    """Where the first file is read; None: elsewhere."""
    visual_format: Drawn | None = None
    jobs: int | None = None
    scheduler: str | None = None

    def run(self, jobs: list[Job], *, quiet: bool) -> list[Outcome]:
        """Do jobs, telling of each."""
        settings, catalog = self.context.settings, self.context.catalog
        new = {name for name in (self.options.collection_id,) if name and catalog.collection(name) is None}

        def tell(outcome: Outcome) -> None:
            if outcome.result is not None and outcome.result.collection_id in new:
                new.discard(outcome.result.collection_id)
                messages.print(f"collection {outcome.result.collection_id} made")
            if not quiet or outcome.failed:
                _tell(outcome)

        maker = None
        if self.visual_format is not None:
            maker = visual_maker(settings, catalog, self.visual_format.value)
        with told(), runners(self.scheduler, self.jobs) as (make, at_once):
            banking = Banking(
                bank=self.bank(self.sandbox or make()), options=self.options, maker=maker, tell=tell
            )
            outcomes = list(banking.run(jobs, at_once, make))
        with told():
            self._stretch({o.result.collection_id for o in outcomes if o.result is not None})
        return outcomes

    def _stretch(self, collections: set[str]) -> None:
        """Find the ranges of values of collections that have none yet, or have grown much."""
        due = sorted(each for each in collections if is_due(self.context.catalog, each))
        index = self.context.index_now() if due else None
        for each in due:
            assert index is not None, "it is read where any is due"
            keep_stretch(self.context.catalog, index, each)

    def bank(self, sandbox: Runner) -> Bank:
        """Make what banks with something that reads doubtful files."""
        settings = self.context.settings
        return Bank(
            home_data=settings.data,
            catalog=self.context.catalog,
            sensors=self.sensors,
            styles=load_styles(settings.data_folder),
            sandbox=sandbox,
            data_roots=settings.data_roots,
            objects=scene_files(settings).objects,
            quicklook=quicklook_maker(settings),
        )


def _say_plans(work: _Work, found: _Found, *, as_json: bool) -> None:
    """Say what would be done, and end with 1 where something would be refused."""
    with told(), work.sandbox or here(None) as sandbox:
        bank = work.bank(sandbox)
        refused = print_plans(bank, found.jobs, found.refused, work.options, as_json=as_json)
    if not found.jobs and not found.refused:
        fail(_NOTHING)
    if refused:
        raise typer.Exit(FAILED)


def _tell(outcome: Outcome) -> None:
    if outcome.result is None:
        name = Path(outcome.path).name if isinstance(outcome.path, str) else outcome.path.name
        reason = outcome.reason.removeprefix(f"{name}: ")
        messages.print(f"refused {outcome.path}: {reason}", style="red", markup=False, soft_wrap=True)
        return
    result = outcome.result
    place = "" if result.status == "unchanged" else " in place" if result.in_place else " converted"
    line = f"{result.status}{place} {outcome.path} as {result.collection_id}:{result.scene_id}"
    messages.print(line, markup=False, soft_wrap=True)
    for message in result.messages:
        messages.print(f"  {message}", markup=False, soft_wrap=True, style="dim")
    if outcome.visual == "failed":
        messages.print(f"  tiles not drawn: {outcome.reason}", style="red", markup=False, soft_wrap=True)
    elif outcome.visual is not None:
        words = "tiles drawn" if outcome.visual == "made" else "tiles drawn before"
        messages.print(f"  {words}", markup=False, soft_wrap=True, style="dim")


def make_licence(context: Context, licence: str) -> None:
    """Make a licence that is not there yet, and say so."""
    if licence in context.policy.snapshot().licences:
        return
    context.change(add(Licence(id=licence, title=licence)))
    messages.print(f"licence {licence} made")


def _publish(context: Context, outcomes: list[Outcome]) -> None:
    """Grant the collections of what was banked to everybody."""
    collections = sorted({o.result.collection_id for o in outcomes if o.result is not None})
    for collection_id in collections:
        selector = Selector(collections=frozenset({collection_id}))
        grant = new_grant(PUBLIC, selector, area=EVERYWHERE, now=datetime.now(UTC))
        context.change(add_by_content(grant))
        messages.print(f"collection {collection_id} is public")


def warn_of_public(context: Context, banked: set[str]) -> None:
    """Say so when a scene was brought into a collection that everybody sees."""
    for given in context.rights().grants.values():
        if given.grantee == PUBLIC and Action.TILE in given.actions and given.selector.licences is None:
            for collection_id in sorted(banked & (given.selector.collections or banked)):
                messages.print(
                    f"collection {collection_id} is public: everybody sees what was banked into it",
                    style="yellow",
                )
