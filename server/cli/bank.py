"""`dinamis-flux bank`: takes files into the catalogue."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from auth.edits import add, add_by_content
from auth.models import PUBLIC, Action, Licence
from auth.reach import EVERYWHERE, Selector
from auth.rules import new_grant
from mosaics.errors import CatalogUnavailableError, IngestError
from mosaics.ingest.bank import Bank
from mosaics.ingest.options import BankOptions, BankResult
from mosaics.ingest.sandbox import Sandbox
from mosaics.ingest.scan import scan
from mosaics.ingest.visual import VisualMaker
from mosaics.places import ObjectAddress, is_object
from mosaics.sensors import find_sensor, load_sensors
from mosaics.styles import load_styles
from server.cli.context import FAILED, Context, context_of, fail, messages, told
from server.quicklook import quicklook_maker
from server.storage import scene_files
from server.visuals import visual_maker

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S"]


class Drawn(StrEnum):
    """Formats of tiles that are drawn ahead."""

    JPG = "jpg"
    WEBP = "webp"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file."""

    path: Path | ObjectAddress | str
    """Text: what can't be an address."""
    result: BankResult | None
    """None: refused."""
    reason: str = ""
    """Why it was refused, or why its tiles were not drawn."""
    visual: Literal["made", "unchanged", "failed"] | None = None
    """What became of its tiles; None: none were asked for."""

    @property
    def failed(self) -> bool:
        """Something that was asked for was not done."""
        return self.result is None or self.visual == "failed"

    def row(self) -> dict[str, Any]:
        """Give the outcome for programs."""
        result = self.result
        if result is None:
            return {"path": str(self.path), "status": "refused", "reason": self.reason}
        visual: dict[str, str] = {} if self.visual is None else {"visual": self.visual}
        if self.visual == "failed":
            visual["reason"] = self.reason
        return {
            "path": str(self.path),
            "status": result.status,
            "layer": f"{result.collection_id}:{result.scene_id}",
            "collection": result.collection_id,
            "scene": result.scene_id,
            "in_place": result.in_place if result.status == "banked" else None,
            "messages": list(result.messages),
            **visual,
        }


def bank(
    command: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="GeoTIFFs, folders of them, or objects of the store: s3://bucket/key.tif."
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
        typer.Option("--datetime", formats=_DATES, help="Acquisition, UTC. [default: from file or name]"),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see the collection.")] = False,
    visual: Annotated[
        bool, typer.Option("--visual", help="Draw the tiles of the default style ahead, in Web Mercator.")
    ] = False,
    visual_format: Annotated[
        Drawn, typer.Option(help="Format of the tiles drawn ahead; webp is for clients that ask for it.")
    ] = Drawn.JPG,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each file as JSON.")] = False,
) -> None:
    """Bank images: check, convert where needed, measure and catalogue them.

    A valid COG below a configured data root, a folder or a prefix of the store, is served where it lies;
    anything else readable is converted into the home.
    A file that can't be served is refused by name and reason, the others go on and the exit status is 1.
    The same file again, or a copy of it, changes nothing; with --visual its tiles are drawn if they are not,
    or not as they would be now. They take about as much room as the image, and are sent as they lie there to
    whoever may see the whole tile.
    """
    context = context_of(command)
    with told():
        sensors = load_sensors(context.settings.data_folder)
        options = BankOptions(
            collection_id=collection,
            licence_id=licence,
            sensor=find_sensor(sensors, sensor) if sensor else None,
            acquired=acquired.replace(tzinfo=UTC) if acquired else None,
        )
        files, missing = _found(paths)
        if licence is not None:
            _make_licence(context, licence)
    with Sandbox() as sandbox:
        banker = Bank(
            home_data=context.settings.data,
            catalog=context.catalog,
            sensors=sensors,
            styles=load_styles(context.settings.data_folder),
            sandbox=sandbox,
            data_roots=context.settings.data_roots,
            objects=scene_files(context.settings).objects,
            quicklook=quicklook_maker(context.settings),
        )
        maker = visual_maker(context.settings, context.catalog, visual_format.value) if visual else None
        outcomes = [*missing, *_bank_all(banker, maker, files, options, quiet=as_json)]
    with told():
        if public:
            _publish(context, outcomes)
        else:
            _warn_of_public(context, outcomes)
    if as_json:
        print(json.dumps([outcome.row() for outcome in outcomes], ensure_ascii=False, indent=1))
    if not outcomes:
        fail("nothing to bank: no .tif, .tiff or .jp2 file there")
    if any(outcome.failed for outcome in outcomes):
        raise typer.Exit(FAILED)


def _found(paths: list[str]) -> tuple[list[Path | ObjectAddress], list[Outcome]]:
    """Find the files; a path that isn't there is refused like a bad file, and the others go on."""
    files: dict[Path | ObjectAddress, None] = {}
    missing = []
    for path in paths:
        try:
            found = [_address(path)] if is_object(path) else scan([Path(path)])
            files.update(dict.fromkeys(found))
        except IngestError as error:
            messages.print(f"refused {error}", style="red", markup=False, soft_wrap=True)
            missing.append(Outcome(path=path, result=None, reason=str(error)))
    return list(files), missing


def _address(text: str) -> ObjectAddress:
    try:
        return ObjectAddress.parse(text)
    except ValueError as error:
        raise IngestError(f"{text}: {error}") from error


def _bank_all(
    banker: Bank,
    maker: VisualMaker | None,
    files: list[Path | ObjectAddress],
    options: BankOptions,
    *,
    quiet: bool,
) -> Iterator[Outcome]:
    known = {collection_id for collection_id in (options.collection_id,) if collection_id}
    new = {c for c in known if banker.catalog.collection(c) is None}
    with _progress(len(files)) as report:
        for path in files:
            report.begin(path)
            outcome = _bank_one(banker, path, options, report)
            if maker is not None and outcome.result is not None:
                outcome = _drawn(outcome, outcome.result, maker, report)
            report.end()
            if outcome.result is not None and outcome.result.collection_id in new:
                new.discard(outcome.result.collection_id)
                messages.print(f"collection {outcome.result.collection_id} made")
            if not quiet or outcome.failed:
                _tell(outcome)
            yield outcome


def _bank_one(banker: Bank, path: Path | ObjectAddress, options: BankOptions, report: _Report) -> Outcome:
    try:
        if isinstance(path, ObjectAddress):
            return Outcome(path=path, result=banker.bank_object(path, options, report.stage))
        return Outcome(path=path, result=banker.bank_file(path, options, report.stage))
    except IngestError as error:
        return Outcome(path=path, result=None, reason=str(error))
    except CatalogUnavailableError as error:
        fail(str(error))


def _drawn(outcome: Outcome, result: BankResult, maker: VisualMaker, report: _Report) -> Outcome:
    """Draw a scene's tiles; where that fails the scene is banked all the same."""
    try:
        visual = maker.make(result.collection_id, result.scene_id, report.stage)
    except IngestError as error:
        return replace(outcome, visual="failed", reason=str(error))
    except CatalogUnavailableError as error:
        fail(str(error))
    return replace(outcome, visual=visual)


def _tell(outcome: Outcome) -> None:
    if outcome.result is None:
        name = outcome.path if isinstance(outcome.path, str) else outcome.path.name
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


def _make_licence(context: Context, licence: str) -> None:
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


def _warn_of_public(context: Context, outcomes: list[Outcome]) -> None:
    """Say so when a scene was banked into a collection that everybody sees."""
    banked = {o.result.collection_id for o in outcomes if o.result and o.result.status == "banked"}
    for given in context.rights().grants.values():
        if given.grantee == PUBLIC and Action.TILE in given.actions and given.selector.licences is None:
            for collection_id in sorted(banked & (given.selector.collections or banked)):
                messages.print(
                    f"collection {collection_id} is public: everybody sees what was banked into it",
                    style="yellow",
                )


class _Report:
    """Shows how far the files are: one bar for all, one for the file at hand."""

    def __init__(self, bars: Progress, count: int) -> None:
        self._bars = bars
        self._all = bars.add_task("all files", total=count, visible=count > 1)
        self._one = bars.add_task("", total=1.0)
        self._name = ""

    def begin(self, path: Path | ObjectAddress) -> None:
        self._name = path.name
        self.stage("starting", 0.0)

    def stage(self, stage: str, done: float) -> None:
        self._bars.update(self._one, description=f"{self._name}: {stage}", completed=done)

    def end(self) -> None:
        self._bars.advance(self._all)


@contextmanager
def _progress(count: int) -> Iterator[_Report]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=messages, transient=True, disable=not sys.stderr.isatty()) as bars:
        yield _Report(bars, count)
