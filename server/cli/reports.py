"""`dinamis-flux usage` and `explain`: what was shown to whom, and why."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated, Final

import typer

from auth.credentials import read_key_id
from auth.decision import ANONYMOUS
from auth.models import GRANTABLE, PUBLIC, Action
from auth.reach import Circumstances
from auth.snapshot import PolicySnapshot
from auth.usage import MILLI, LeaseKey, period_of
from server.cli.context import USAGE, Context, context_of, fail, print_rows, told
from server.explain import Question, explain_key
from server.explain import explain as explain_question
from server.requests import BadRequestError
from server.usage.folding import fold_abandoned
from server.usage_report import csv_of, days_of, dimensions_of, rows_of

_LANGUAGES: Final = {"fr": ("fr",), "en": ("en",), "both": ("fr", "en")}


def usage(
    command: typer.Context,
    start: Annotated[
        str | None, typer.Option("--from", help="First day. [default: 1 January]", show_default=False)
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Last day. [default: today]", show_default=False)
    ] = None,
    institution: Annotated[str | None, typer.Option(help="Only this one's.")] = None,
    by: Annotated[
        str,
        typer.Option(help="Some of day, month, institution, key, collection, sensor, resolution_band."),
    ] = "month,institution,sensor",
    form: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Report what was shown to whom: answers with pixels, units (of 256 px tiles) and bytes."""
    if form not in {"table", "csv", "json"}:
        fail(f"--format {form}: table, csv or json", USAGE)
    context = context_of(command)
    try:
        first, last = days_of(start, end)
        dimensions = dimensions_of(by)
    except BadRequestError as error:
        fail(str(error), USAGE)
    with told():
        folder = context.settings.usage_folder
        if folder.is_dir():
            fold_abandoned(folder, context.usage)  # what killed servers left
        rows = rows_of(context.usage.report(first, last, by=dimensions, institution_id=institution))
    if form == "csv":
        print(csv_of(rows, dimensions), end="")
    else:
        print_rows(rows, as_json=as_json or form == "json", empty="nothing was shown")


def explain(
    command: typer.Context,
    key: Annotated[
        str, typer.Argument(metavar="KEYID", help="The id of a key, or the key; `public` for everybody.")
    ],
    layer: Annotated[str, typer.Argument(metavar="LAYER", help="`collection`, or `collection:scene`.")],
    at: Annotated[str, typer.Option(metavar="LON,LAT", help="The place, degrees.")],
    gsd: Annotated[float, typer.Option(help="Detail that is looked at, metres per pixel.")],
    action: Annotated[str, typer.Option(help="catalogue, preview, tile, info or export.")] = "tile",
    time: Annotated[
        str | None, typer.Option(help="A date, or A/B. [default: any]", show_default=False)
    ] = None,
    origin: Annotated[
        str | None, typer.Option(help="Web site that asks, such as https://geo.example.org.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Address of the client that asks.")] = None,
    lang: Annotated[str, typer.Option(help="fr, en or both.")] = "both",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which grant, tier or forbid decides whether a key sees a place. Status 0 whatever it is.

    The first sentence is what decided; those after it are what else does not open the place.
    """
    if action not in {known.value for known in GRANTABLE}:
        fail(f"--action {action}: catalogue, preview, tile, info or export", USAGE)
    if not 0 < gsd < math.inf:
        fail(f"--gsd {gsd:g}: metres per pixel are more than 0", USAGE)
    if lang not in _LANGUAGES:
        fail(f"--lang {lang}: fr, en or both", USAGE)
    context = context_of(command)
    longitude, latitude = _place(at)
    rights, now = context.rights(), datetime.now(UTC)
    question = Question(
        layer_id=layer,
        longitude=longitude,
        latitude=latitude,
        ground_resolution=gsd,
        action=Action(action),
        time=time,
        circumstances=_circumstances(origin, address),
        exhausted=_used_up(context, rights, now),
    )
    with told():
        if key == PUBLIC:
            found = explain_question(rights, context.index, ANONYMOUS, question, now)
        else:
            found = explain_key(rights, context.index, read_key_id(key) or key, question, now)
    if as_json:
        print(json.dumps(found.document(), ensure_ascii=False, indent=1))
        return
    for language in _LANGUAGES[lang]:
        for number, each in enumerate((found, *found.others)):
            print(f"{'  ' if number else ''}{getattr(each.sentence, language)}")


def _place(at: str) -> tuple[float, float]:
    try:
        longitude, latitude = (float(part) for part in at.split(","))
    except ValueError:
        fail(f"--at {at}: two numbers LON,LAT are wanted", USAGE)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        fail(f"--at {at}: longitude and latitude in degrees are wanted, in that order", USAGE)
    return longitude, latitude


def _circumstances(origin: str | None, address: str | None) -> Circumstances:
    try:
        return Circumstances(
            origin=None if origin is None else origin.rstrip("/").lower(),
            address=None if address is None else ip_address(address),
        )
    except ValueError:
        fail(f"--address {address}: it is no address", USAGE)


def _used_up(context: Context, rights: PolicySnapshot, now: datetime) -> frozenset[str]:
    """Give the grants of whose quota the workers have taken all."""
    with told():
        return frozenset(
            grant.id
            for grant in rights.grants.values()
            if grant.quota is not None
            and context.usage.leased(LeaseKey(grant.id, period_of(grant.quota, now)))
            >= grant.quota.amount * MILLI
        )
