"""`dinamis-flux rights` and `audit`: all rights as one file, and the record of their changes."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from auth.audit import record_document
from auth.edits import checked
from auth.store import examine
from server.cli.context import FAILED, USAGE, context_of, fail, messages, print_rows, told
from server.rights_difference import Application, changed
from server.rights_file import LARGEST_FILE, export, parse

rights = typer.Typer(help="All rights as one YAML file, for review in git.", no_args_is_help=True)
audit = typer.Typer(help="The record of every change of rights.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@rights.command("export")
def rights_export(
    command: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Where to write it. [default: standard output]")] = None,
    with_secrets: Annotated[
        bool,
        typer.Option("--with-secrets", help="Also the hashes of keys, to move an installation; not for git."),
    ] = False,
) -> None:
    """Write all rights as YAML."""
    text = export(context_of(command).rights(), with_secrets=with_secrets)
    if file is None:
        print(text, end="")
        return
    with told():
        file.write_text(text, encoding="utf-8")
    messages.print(f"rights written to {file}", markup=False)


@rights.command("apply")
def rights_apply(
    command: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file as `rights export` writes it; - for standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the difference.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Also remove what the file lacks.")] = False,
    as_json: _Json = False,
) -> None:
    """Bring the rights to what a file says, all of it or nothing, and print the difference."""
    context = context_of(command)
    with told():
        wanted = parse(_text(file))
    applied = Application(wanted, prune=prune)
    if dry_run:
        with told():
            checked(context.policy.snapshot(), applied.edit)
    else:
        context.change(applied.edit)
    found = applied.differences
    if as_json:
        print(json.dumps([each.document() for each in found], ensure_ascii=False, indent=1))
    else:
        for each in found:
            print(each.line())
    for key_id in applied.revived:
        messages.print(f"key {key_id} stays revoked, though the file does not say so", style="yellow")
    for grant_id in applied.unapproved:
        said = f"grant {grant_id}: a file brings no approvals; each operator gives one by `grant approve`"
        messages.print(said, style="yellow")
    count, kept = changed(found), len(found) - changed(found)
    done = "would be changed" if dry_run else "changed"
    messages.print(f"{count} rights {done}" if count else "nothing to do")
    if kept:
        messages.print(f"{kept} rights that the file lacks are kept: --prune removes them")


@audit.command("list")
def audit_list(
    command: typer.Context,
    since: Annotated[int, typer.Option(help="Only records with a greater number.")] = 0,
    limit: Annotated[int, typer.Option(help="At most so many, the oldest first.", min=1)] = 1000,
    as_json: _Json = False,
) -> None:
    """List the changes of rights: who changed what, when, and into what."""
    with told():
        found = context_of(command).policy.audit(since, limit)
    rows = [record_document(each) for each in found]
    if not as_json:
        rows = [{name: row[name] for name in row if name not in {"document", "hash"}} for row in rows]
    print_rows(rows, as_json=as_json, empty="no changes")


@audit.command("verify")
def audit_verify(
    command: typer.Context,
    expect: Annotated[
        str | None,
        typer.Option(help="A head that was noted before, NUMBER:HASH: that record must still be the same."),
    ] = None,
) -> None:
    """Check that no record was touched, and that the rights are what the records say.

    Prints the number and hash of the last record: noted elsewhere, they show later that none was taken away.
    """
    with told():
        found = examine(context_of(command).policy)
    fault, head = found.fault, found.head
    if fault is not None:
        where = f"record {fault.sequence}" if fault.sequence else "the rights"
        fail(f"{where}: {fault.reason}", FAILED)
    if expect is not None:
        number, _, hash_ = expect.partition(":")
        if not number.isdecimal():
            fail(f"--expect {expect}: it is written NUMBER:HASH", USAGE)
        if not found.holds((int(number), hash_)):
            fail(f"record {number}: it is not the one that was noted", FAILED)
    messages.print(f"{head[0]} records, none touched")
    print(f"{head[0]}:{head[1]}")


def _text(file: Path) -> str:
    """Read a file, or standard input, no further than a file of rights may be long."""
    with contextlib.ExitStack() as stack:
        source = sys.stdin if str(file) == "-" else stack.enter_context(file.open(encoding="utf-8-sig"))
        return source.read(LARGEST_FILE + 1)
