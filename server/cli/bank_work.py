"""Carries out what `bank` was ordered to do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import typer

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
from server.cli.bank_order import BankOrder, Drawn
from server.cli.banking import Banking, Job, Outcome
from server.cli.bringing_in import make_licence, publish, warn_of_public
from server.cli.context import FAILED, USAGE, Context, fail, messages, told
from server.cli.plans import print_plans
from server.cli.runners import here, runners
from server.quicklook import quicklook_maker
from server.storage import scene_files
from server.visuals import visual_maker

_NOTHING = "nothing to bank: no delivery and no .tif, .tiff, .jp2 or .ntf file there"


def carry_out(order: BankOrder, context: Context, sandbox: Runner | None) -> None:
    """Bank what was ordered, or say what would be done, and end the program with the status.

    Args:
        order: What was ordered.
        context: Of the command line.
        sandbox: Where the first file is read; None: elsewhere.
    """
    with told():
        sensors = load_sensors(context.settings.data_folder)
        options = _options(order, sensors)
        found = _found(order.paths, options.sensor, everywhere=order.scheduler is not None)
    work = _Work(context, options, sensors, sandbox, order.drawn, order.jobs, order.scheduler)
    if order.dry_run:
        _say_plans(work, found, as_json=order.as_json)
        return
    if order.licence is not None:
        with told():
            make_licence(context, order.licence)
    outcomes = [*found.refused, *work.run(found.jobs, quiet=order.as_json)]
    with told():
        if order.public:
            publish(context, {o.result.collection_id for o in outcomes if o.result is not None})
        else:
            banked = {o.result.collection_id for o in outcomes if o.result and o.result.status == "banked"}
            warn_of_public(context, banked)
    if order.as_json:
        print(json.dumps([outcome.row() for outcome in outcomes], ensure_ascii=False, indent=1))
    if not outcomes:
        fail(_NOTHING)
    if any(outcome.failed for outcome in outcomes):
        raise typer.Exit(FAILED)


def _options(order: BankOrder, sensors: Registry[Sensor]) -> BankOptions:
    return BankOptions(
        collection_id=order.collection,
        licence_id=order.licence,
        sensor=find_sensor(sensors, order.sensor) if order.sensor else None,
        acquired=order.acquired,
        bands=_bands(order.bands),
        nodata=order.nodata,
        ground=GroundOptions(
            terrain=None if order.dem is None else order.dem.resolve(),
            terrain_offset=order.dem_offset,
            crs=order.crs,
            resolution=order.resolution,
            warp=None if order.warp is None else order.warp.value,
        ),
    )


@dataclass(frozen=True)
class _Found:
    """What paths lead to."""

    jobs: list[Job]
    refused: list[Outcome]
    """What isn't there, or can't be understood."""


def _found(paths: tuple[str, ...], sensor: Sensor | None, *, everywhere: bool) -> _Found:
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


def _bands(given: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
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
