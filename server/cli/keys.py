"""`dinamis-flux key`: makes, lists, rotates and revokes keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from auth.credentials import new_key, new_secret, read_key_id
from auth.edits import add, revoke_key, rotate_key
from auth.models import UNNARROWED, Caveat, Key, KeySecret, Role
from auth.rules import key_chain
from auth.snapshot import PolicySnapshot
from server.cli.context import USAGE, Context, context_of, fail, messages, print_document, print_rows, told
from server.cli.reach import (
    Acquired,
    ActionsText,
    AreaText,
    Collections,
    Gsd,
    Licences,
    Networks,
    Origins,
    RateText,
    Scenes,
    Sensors,
    actions_of,
    area_of,
    conditions_of,
    end_of,
    gsd_of,
    rate_of,
    selector_of,
    window_of,
)
from server.key_documents import USUAL_GRACE, LastUsed, grace_of, key_document, keys_below, last_used
from server.pepper import load_peppers

key = typer.Typer(help="Keys of institutions and operators.", no_args_is_help=True)

_Key = Annotated[str, typer.Argument(metavar="KEY", help="The key, or its id (its third part).")]


@key.command("create")
def create(
    command: typer.Context,
    institution: Annotated[str, typer.Argument(help="Institution or operator that the key is for.")],
    label: Annotated[str, typer.Option(help="What it is for, such as the name of a platform.")] = "",
    url: Annotated[
        bool, typer.Option("--url/--no-url", help="Whether it may stand in addresses (GIS, web maps).")
    ] = True,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day on which it opens nothing.")
    ] = None,
    manager: Annotated[
        bool, typer.Option("--manager", help="It may make narrower keys and see the institution's usage.")
    ] = False,
    parent: Annotated[
        str | None, typer.Option(help="The key above it: it can do no more than that one, and dies with it.")
    ] = None,
    collections: Collections = None,
    licences: Licences = None,
    sensors: Sensors = None,
    scenes: Scenes = None,
    area: AreaText = None,
    gsd: Gsd = None,
    acquired: Acquired = None,
    actions: ActionsText = None,
    origins: Origins = None,
    networks: Networks = None,
    rate: RateText = None,
) -> None:
    """Make a key and print it, alone and once: it can't be shown again.

    --collection and the options after it narrow the key; without them it opens all that its institution may.
    """
    context = context_of(command)
    selector = selector_of(
        context, collections=collections, licences=licences, sensors=sensors, scenes=scenes
    )
    chosen: dict[str, Any] = {"actions": actions_of(actions)}
    caveat = Caveat(
        area=area_of(area),
        selector=selector,
        acquired=window_of(acquired, "acquired"),
        finest_ground_resolution=gsd_of(gsd),
        conditions=conditions_of(origins, networks),
        **chosen,
    )
    with told():
        made, text = new_key(
            context.settings.auth.environment,
            institution,
            load_peppers(context.settings),
            label=label,
            url_allowed=url,
            expires=end_of(expires),
            now=datetime.now(UTC),
            parent_id=None if parent is None else _id_of(parent),
            role=Role.MANAGER if manager else Role.READER,
            caveat=None if caveat == UNNARROWED else caveat,
            rate=rate_of(rate),
        )
    context.change(add(made))
    messages.print(f"key {made.id} of {institution}: keep it safe, it is shown only now")
    print(text)


@key.command("rotate")
def rotate(
    command: typer.Context,
    which: _Key,
    grace: Annotated[
        str, typer.Option(help="How long the old secret still opens: hours or days, such as 12h or 7d.")
    ] = USUAL_GRACE,
) -> None:
    """Give a key a new secret and print the new key, once; its id, rights and history stay."""
    try:
        length = grace_of(grace)
    except ValueError as error:
        fail(f"--grace {grace}: {error}", USAGE)
    context, key_id = context_of(command), _id_of(which)
    with told():
        peppers = load_peppers(context.settings)
        secret, text = new_secret(context.settings.auth.environment, key_id, peppers)
    ends = datetime.now(UTC).replace(microsecond=0) + length
    context.change(rotate_key(key_id, secret, ends))
    messages.print(f"key {key_id}: the old secret opens until {ends:%Y-%m-%d %H:%M} UTC")
    print(text)


@key.command("revoke")
def revoke(command: typer.Context, which: _Key) -> None:
    """Revoke a key and all keys below it; every running worker refuses them within 5 s."""
    context, key_id = context_of(command), _id_of(which)
    changes = context.change(revoke_key(key_id, datetime.now(UTC)))
    rights = context.rights()
    below = [each for each in keys_below(rights, key_id) if rights.keys[each].revoked is None]
    messages.print(f"key {key_id} revoked" if changes else f"key {key_id} was revoked before")
    if changes and below:
        keys = "1 key below it dies" if len(below) == 1 else f"{len(below)} keys below it die"
        messages.print(f"{keys} with it: {', '.join(below)}")


@key.command("list")
def list_(
    command: typer.Context,
    institution: Annotated[str | None, typer.Argument(help="Only this one's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List keys; secrets are not kept, so they can't be listed."""
    context = context_of(command)
    rights, used = context.rights(), _last_used(context)
    rows = [
        _row(rights, each, used)
        for each in rights.keys.values()
        if institution in {None, each.institution_id}
    ]
    print_rows(rows, as_json=as_json, empty="no keys")


@key.command("show")
def show(
    command: typer.Context,
    which: _Key,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a key may, the keys above and below it, and when each of its secrets was last used."""
    context, key_id = context_of(command), _id_of(which)
    rights = context.rights()
    found = rights.keys.get(key_id)
    if found is None:
        fail(f"no key {key_id!r}")
    document = key_document(found, _last_used(context))
    document["above"] = [each.id for each in key_chain(rights, found)[1:]]
    document["below"] = keys_below(rights, key_id)
    print_document(document, as_json=as_json)


def _row(rights: PolicySnapshot, each: Key, used: LastUsed) -> dict[str, Any]:
    days = [(day, number) for (key_id, number), day in used.items() if key_id == each.id]
    last, number = max(days, default=(None, None))
    return {
        "id": each.id,
        "institution": each.institution_id,
        "label": each.label,
        "role": each.role.value,
        "in_urls": "yes" if each.url_allowed else "no",
        "narrowed": "yes" if any(k.caveat for k in key_chain(rights, each)) else "no",
        "parent": each.parent_id,
        "created": each.created.date(),
        "expires": each.expires.date() if each.expires else None,
        "last_used": last,
        "with_secret": number,
        "secrets": " ".join(_secret_text(secret) for secret in each.secrets),
        "revoked": each.revoked.isoformat(timespec="seconds") if each.revoked else None,
    }


def _secret_text(secret: KeySecret) -> str:
    """Write the number of a secret, and until when an old one still opens."""
    return str(secret.number) if secret.until is None else f"{secret.number} until {secret.until:%Y-%m-%d},"


def _last_used(context: Context) -> LastUsed:
    with told():
        return last_used(context.usage)


def _id_of(which: str) -> str:
    return read_key_id(which) or which
