"""Says what `bank` would do, and does nothing."""

from __future__ import annotations

import json
from typing import Any

from mosaics.errors import IngestError
from mosaics.ingest.bank import Bank
from mosaics.ingest.options import BankOptions
from mosaics.places import ObjectAddress
from server.cli.banking import Job, Outcome
from server.cli.context import messages


def print_plans(
    bank: Bank, jobs: list[Job], refused: list[Outcome], options: BankOptions, *, as_json: bool
) -> int:
    """Print what would become of each job.

    Args:
        bank: What would bank them.
        jobs: The jobs.
        refused: What was refused before it became a job, which was told.
        options: What is known of the jobs.
        as_json: For programs; otherwise for people.

    Returns:
        How many would be refused.
    """
    rows: list[dict[str, Any]] = [{"path": str(each.path), "refused": each.reason} for each in refused]
    rows += [_row(bank, job, options) for job in jobs]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for row in rows:
            print(_words(row))
    return sum("refused" in row for row in rows)


def _row(bank: Bank, job: Job, options: BankOptions) -> dict[str, Any]:
    row: dict[str, Any] = {"path": str(job.path)}
    try:
        if isinstance(job.path, ObjectAddress):
            return row | {"product": "an object: it is looked at when it is banked"}
        return row | bank.plan(job.path, job.delivery, options)
    except IngestError as error:
        messages.print(f"refused {error}", style="red", markup=False, soft_wrap=True)
        return row | {"refused": str(error)}


def _words(row: dict[str, Any]) -> str:
    if "refused" in row:
        return f"{row['path']}\n  refused: {row['refused']}"
    lines = [row["path"], f"  {row.get('platform') or row['product']}: {row['product']}"]
    lines += [f"  {name}: {row[name]}" for name in ("acquired", "copyright", "layer") if row.get(name)]
    for group in row.get("groups", ()):
        width, height = group["size"]
        bands = ", ".join(group["bands"])
        lines.append(f"  {group['name']}: {width} x {height}, {bands}; {', '.join(group['steps'])}")
    return "\n".join(lines)
