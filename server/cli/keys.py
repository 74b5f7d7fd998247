"""`dinamis-flux key`: makes, lists and revokes keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from auth.credentials import new_key, read_key_id
from server.cli.context import context_of, messages, print_rows, told
from server.pepper import load_peppers

key = typer.Typer(help="Keys of institutions and operators.", no_args_is_help=True)


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
) -> None:
    """Make a key and print it, alone and once: it can't be shown again."""
    context = context_of(command)
    with told():
        end = expires.replace(tzinfo=UTC) if expires else None
        made, text = new_key(
            context.settings.auth.environment,
            institution,
            load_peppers(context.settings),
            label=label,
            url_allowed=url,
            expires=end,
            now=datetime.now(UTC),
        )
        context.policy.add_key(made)
    messages.print(f"key {made.id} of {institution}: keep it safe, it is shown only now")
    print(text)


@key.command("revoke")
def revoke(
    command: typer.Context,
    which: Annotated[str, typer.Argument(metavar="KEY", help="The key, or its id (its third part).")],
) -> None:
    """Revoke a key; every running worker refuses it within 5 s."""
    with told():
        key_id = read_key_id(which) or which
        done = context_of(command).policy.revoke_key(key_id, datetime.now(UTC))
    messages.print(f"key {key_id} revoked" if done else f"key {key_id} was revoked before")


@key.command("list")
def list_(
    command: typer.Context,
    institution: Annotated[str | None, typer.Argument(help="Only this one's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List keys; secrets are not kept, so they can't be listed."""
    with told():
        found = context_of(command).policy.snapshot().keys.values()
    rows = [
        {
            "id": k.id,
            "institution": k.institution_id,
            "label": k.label,
            "in_urls": "yes" if k.url_allowed else "no",
            "created": k.created.date(),
            "expires": k.expires.date() if k.expires else None,
            "revoked": k.revoked.isoformat(timespec="seconds") if k.revoked else None,
        }
        for k in found
        if institution in {None, k.institution_id}
    ]
    print_rows(rows, as_json=as_json, empty="no keys")
