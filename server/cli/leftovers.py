"""`dinamis-flux leftovers`: files in the home that no scene has."""

from __future__ import annotations

from typing import Annotated

import typer

from mosaics.ingest.leftovers import Leftover, find_leftovers, remove_leftovers
from server.cli.context import context_of, messages, print_rows, told

_MEBIBYTE = 1 << 20


def leftovers(
    command: typer.Context,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List files in the home that no scene in the catalogue has, and remove them with --remove.

    Banking that was killed between bringing a file to its place and cataloguing it leaves such files; so do
    scenes that were taken out. They are served to nobody. While something banks, the list may name a file
    that is about to be catalogued; --remove waits for its turn, and takes none of these. Tiles drawn ahead
    are left for a day.
    """
    context = context_of(command)
    with told():
        act = remove_leftovers if remove else find_leftovers
        found = act(context.settings.data, context.catalog)
    print_rows([_row(each) for each in found], as_json=as_json, empty="no leftovers")
    if found:
        size = sum(each.size for each in found) / _MEBIBYTE
        done = "removed" if remove else "left; --remove takes them away"
        messages.print(f"{len(found)} files, {size:.1f} MiB {done}", markup=False)


def _row(leftover: Leftover) -> dict[str, object]:
    return {
        "path": str(leftover.path),
        "bytes": leftover.size,
        "written": leftover.written.isoformat(timespec="seconds"),
    }
