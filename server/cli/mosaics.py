"""`dinamis-flux mosaic`: named mosaics, defined by options or files, and written as files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from mosaics.banked_assets import BankedAssets, Recognised, these
from mosaics.cql2 import Expression, every
from mosaics.errors import LayerNotFoundError, MosaicInvalidError, MosaicNotFoundError
from mosaics.filters import EVERYTHING
from mosaics.finding import mosaic_layer
from mosaics.grids import load_grids
from mosaics.ingest.digests import digests
from mosaics.mosaic import Mosaic, check_mosaic_id, mosaic_document, mosaic_from
from mosaics.mosaic_files import read_definition
from mosaics.mosaicjson import Member, mosaicjson_of
from mosaics.sensors import load_sensors
from mosaics.stretching import keep_stretch
from mosaics.styles import load_styles
from server.cli.context import USAGE, Context, context_of, fail, messages, print_document, print_rows, told
from server.cli.mosaic_options import (
    Attribution,
    Box,
    CloudMask,
    Collections,
    DescriptionEn,
    DescriptionFr,
    File,
    FilterText,
    First,
    How,
    Last,
    MostCloud,
    MostIncidence,
    OrderDate,
    OrderRule,
    PixelChoice,
    Ranges,
    Sensors,
    SkipUnknown,
    StretchChoice,
    Styles,
    TitleEn,
    TitleFr,
    Which,
)

mosaic = typer.Typer(help="Named mosaics: which scenes, in which order.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits, `.`, `_`, `-`.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_CREATE: Final = "create"
_LONGEST_FILE: Final = 200_000_000
"""Bytes."""
_SHOWN: Final = 10
"""Unknown assets that are named one by one."""


class Form(StrEnum):
    """What a mosaic is written as."""

    MOSAICJSON = "mosaicjson"


class _Banked:
    """What is banked, read once."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def count(self, mosaic: Mosaic) -> int:
        """Count the scenes of a mosaic."""
        return sum(len(part.selected_by(mosaic.where)) for part in self.context.index.parts)

    def members(self, mosaic: Mosaic) -> list[Member]:
        """Give the scenes of a mosaic in its order; of equal ones that which was banked last is first."""
        try:
            layer = mosaic_layer(self.context.index, mosaic, EVERYTHING)
        except LayerNotFoundError:
            return []
        return [
            Member(href=scene.href, footprint=scene.footprint, ground_resolution=scene.finest_resolution)
            for scene in layer.scenes
        ]

    def members_of(self, assets: Sequence[str], path: Path, *, skip_unknown: bool) -> Expression:
        """Give the filter of the scenes that the assets of a MosaicJSON are.

        Args:
            assets: As it names them.
            path: Of the file; relative paths start from where it lies.
            skip_unknown: Leave out those that are not banked.

        Raises:
            MosaicInvalidError: If it names some that are not banked.
        """
        catalog = self.context.catalog

        def by_content(asset: Path) -> tuple[str, str] | None:
            return catalog.find_by_digest(digests(asset, lambda _stage, _done: None)[0])

        items = dict(catalog.items())
        scenes = BankedAssets.of(items, self.context.settings.data, by_content)
        found = {asset: scenes.find(asset, path.parent.resolve()) for asset in assets}
        unknown = [asset for asset, recognised in found.items() if recognised is None]
        known = [recognised for recognised in found.values() if recognised is not None]
        if unknown and not skip_unknown:
            listed = "".join(f"\n  {asset}" for asset in unknown[:_SHOWN])
            more = f"\n  and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
            raise MosaicInvalidError(
                f"{len(unknown)} of {len(found)} assets are not banked: bank them, or leave them out with "
                f"--skip-unknown{listed}{more}"
            )
        if not known:
            raise MosaicInvalidError("none of the assets is banked")
        _tell_recognised(known, unknown)
        return these(scene for each in known for scene in each.scenes)


def define(
    command: typer.Context,
    id_: _Id,
    file: File = None,
    skip_unknown: SkipUnknown = False,
    filter_text: FilterText = None,
    collections: Collections = None,
    sensors: Sensors = None,
    first: First = None,
    last: Last = None,
    max_cloud: MostCloud = None,
    max_incidence: MostIncidence = None,
    bbox: Box = None,
    order: OrderRule = None,
    date: OrderDate = None,
    pixels: PixelChoice = None,
    stretch: StretchChoice = None,
    ranges: Ranges = None,
    cloud_mask: CloudMask = None,
    styles: Styles = None,
    title_fr: TitleFr = None,
    title_en: TitleEn = None,
    description_fr: DescriptionFr = None,
    description_en: DescriptionEn = None,
    attribution: Attribution = None,
) -> None:
    """Make or change a mosaic: both take the same options."""
    which = Which(
        filter_text=filter_text,
        collections=collections,
        sensors=sensors,
        first=first,
        last=last,
        most_cloud=max_cloud,
        most_incidence=max_incidence,
        box=bbox,
    )
    how = How(
        rule=None if order is None else order.value,
        date=date,
        pixels=None if pixels is None else pixels.value,
        stretch=None if stretch is None else stretch.value,
        ranges=ranges,
        cloud_mask=cloud_mask,
        styles=styles,
        title=(title_fr, title_en),
        description=(description_fr, description_en),
        attribution=attribution,
    )
    if skip_unknown and file is None:
        fail("--skip-unknown belongs to --file", USAGE)
    context = context_of(command)
    banked = _Banked(context)
    is_new = command.info_name == _CREATE
    with told():
        known = _known(context, id_, is_new=is_new)
        base = known
        if file is not None:
            base = _from_file(banked, file, known, is_new=is_new, skip_unknown=skip_unknown)
        made = how.changed(_with_scenes(context, base, which, is_anew=file is None))
        _check_styles(context, made)
        context.catalog.put_mosaic(made, _refuse_another(known, is_new=is_new))
        if made.stretch == "mosaic":
            keep_stretch(context.catalog, context.index_now(), id_)
        said = f"mosaic {id_} {'created' if is_new else 'changed'}: {_scenes(banked.count(made))}"
    messages.print(said, markup=False)


mosaic.command(
    _CREATE,
    help="Make a mosaic of the scenes that fit everything that is named; of all scenes where nothing is. It "
    "follows the catalogue: what is banked later and fits is in it.",
)(define)
mosaic.command(
    "set",
    help="Change a mosaic. What is said of the scenes takes the place of all that was said of them before; "
    "everything else stays as it is unless it is named.",
)(define)


@mosaic.command("list")
def list_(command: typer.Context, as_json: _Json = False) -> None:
    """List mosaics, and how many scenes each has now."""
    banked = _Banked(context_of(command))
    with told():
        found = list(banked.context.index.mosaics.values())
        rows = [
            {
                "id": each.id,
                "title_fr": each.title.fr,
                "title_en": each.title.en,
                "scenes": banked.count(each),
                "order": each.order.rule,
                "pixels": each.pixel_selection,
                "styles": list(each.styles) or None,
            }
            for each in sorted(found, key=lambda each: each.id)
        ]
    print_rows(rows, as_json=as_json, empty="no mosaics")


@mosaic.command("show")
def show(command: typer.Context, id_: _Id, as_json: _Json = False) -> None:
    """Show everything that defines a mosaic; as JSON it is what `mosaic create --file` takes."""
    with told():
        found = _one(context_of(command), id_)
    print_document(mosaic_document(found), as_json=as_json)


@mosaic.command("remove")
def remove(command: typer.Context, id_: _Id) -> None:
    """Take a mosaic away; its scenes stay."""
    with told():
        if not context_of(command).catalog.remove_mosaic(id_):
            raise MosaicNotFoundError(id_)
    messages.print(f"mosaic {id_} removed", markup=False)


@mosaic.command("export")
def export(
    command: typer.Context,
    id_: _Id,
    form: Annotated[Form, typer.Option("--format", help="What it is written as.")] = Form.MOSAICJSON,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it. [default: standard output]")
    ] = None,
) -> None:
    """Write the scenes that a mosaic has now as MosaicJSON 0.0.3, with the paths of their files."""
    assert form is Form.MOSAICJSON, "there is no other"
    context = context_of(command)
    with told():
        found = _one(context, id_)
        members = _Banked(context).members(found)
        grid = load_grids(context.settings.data_folder).get("WebMercatorQuad")
        text = json.dumps(mosaicjson_of(found, members, grid), ensure_ascii=False)
        if output is not None:
            output.write_text(text, encoding="utf-8")
    if output is None:
        print(text)
    else:
        messages.print(f"{_scenes(len(members))} written to {output}", markup=False)


def _known(context: Context, id_: str, *, is_new: bool) -> Mosaic:
    """Give the mosaic that is changed, or the empty one that is begun with."""
    if not is_new:
        return _one(context, id_)
    check_mosaic_id(id_)
    if context.catalog.mosaic(id_) is not None:
        raise MosaicInvalidError(f"there is a mosaic {id_}: change it with `mosaic set`, or remove it first")
    return mosaic_from({"id": id_})


def _refuse_another(known: Mosaic, *, is_new: bool) -> Any:
    """Refuse to write over what somebody else has written meanwhile."""

    def check(held: Mosaic | None) -> None:
        if held != (None if is_new else known):
            raise MosaicInvalidError(
                f"the mosaic {known.id} was changed meanwhile: look at it, and try again"
            )

    return check


def _from_file(banked: _Banked, path: Path, known: Mosaic, *, is_new: bool, skip_unknown: bool) -> Mosaic:
    """Read the mosaic that a file defines, and tell what of it was not taken.

    Of one that is there, only a document of ours changes more than the scenes.
    """
    if path.stat().st_size > _LONGEST_FILE:
        raise MosaicInvalidError(f"{path.name} has more than {_LONGEST_FILE // 10**6} MB")
    collections = set(banked.context.index.collections)
    try:
        found = read_definition(path.read_text(encoding="utf-8-sig"), known.id, collections)
    except UnicodeDecodeError:
        raise MosaicInvalidError(f"{path.name} is no text in UTF-8") from None
    messages.print(f"{path.name} is read as {found.kind}", markup=False)
    for each in found.left_out:
        messages.print(f"  not taken: {each}", markup=False, style="yellow")
    made = found.mosaic
    if found.assets:
        made = replace(made, where=banked.members_of(found.assets, path, skip_unknown=skip_unknown))
    return made if is_new or found.kind == "mosaic" else replace(known, where=made.where)


def _with_scenes(context: Context, base: Mosaic, which: Which, *, is_anew: bool) -> Mosaic:
    """Give the mosaic with the scenes that options name, within those of a file."""
    if not which.said:
        return base
    asked = which.expression(load_sensors(context.settings.data_folder))
    where = asked if is_anew else every(base.where, asked)
    return replace(base, where=where)


def _check_styles(context: Context, made: Mosaic) -> None:
    """Refuse styles that are not there; they would never be shown."""
    known = load_styles(context.settings.data_folder)
    unknown = [name for name in made.styles if name not in known]
    if unknown:
        raise MosaicInvalidError(f"unknown style {unknown[0]!r}; known are: {', '.join(known.list())}")


def _one(context: Context, id_: str) -> Mosaic:
    found = context.catalog.mosaic(id_)
    if found is None:
        raise MosaicNotFoundError(id_)
    return found


def _tell_recognised(known: list[Recognised], unknown: list[str]) -> None:
    """Say how assets were recognised; by the name of a file alone is worth a look."""
    ways = Counter(each.way for each in known)
    counted = ", ".join(f"{number} by {way}" for way, number in sorted(ways.items()))
    messages.print(f"  assets recognised: {counted}", markup=False, style="yellow" if ways["name"] else None)
    for asset in unknown[:_SHOWN]:
        messages.print(f"  left out: {asset}", markup=False, style="yellow", soft_wrap=True)
    if len(unknown) > _SHOWN:
        messages.print(f"  and {len(unknown) - _SHOWN} more", style="yellow")


def _scenes(count: int) -> str:
    return "1 scene" if count == 1 else f"{count} scenes"
