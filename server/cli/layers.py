"""`dinamis-flux layers`: what is banked, and who may see it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from auth.decision import ANONYMOUS, Principal, PrincipalKind
from auth.errors import UnknownIdError
from auth.models import PUBLIC, Action
from auth.policy import decide
from auth.snapshot import PolicySnapshot
from mosaics.filters import EVERYTHING
from mosaics.finding import list_layers
from server.access import scene_filter
from server.cli.context import context_of, print_rows, told


def layers(
    command: typer.Context,
    institution: Annotated[
        str | None,
        typer.Option("--for", help="Only what this institution may see; `public` for everybody."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the layers: collections with their scenes, dates and styles."""
    context = context_of(command)
    snapshot, index = context.rights(), context.index
    with told():
        seen = EVERYTHING
        if institution is not None:
            principal = _principal(snapshot, institution)
            seen = scene_filter(decide(snapshot, principal, Action.CATALOGUE, datetime.now(UTC)))
    rows = [
        {
            "id": layer.id,
            "title": layer.title.fr,
            "scenes": len(layer),
            "dates": f"{layer.times[0]} .. {layer.times[-1]}" if layer.times else None,
            "resolution_m": round(layer.ground_resolution, 2),
            "styles": " ".join(layer.styles),
            "licences": list(layer.licences) or None,
            "extent": " ".join(f"{v:.4f}" for v in layer.bounds),
        }
        for layer in list_layers(index, seen)
    ]
    print_rows(rows, as_json=as_json, empty="no layers")


def _principal(snapshot: PolicySnapshot, institution: str) -> Principal:
    if institution == PUBLIC:
        return ANONYMOUS
    if institution not in snapshot.institutions:
        raise UnknownIdError("institution", institution)
    return Principal(kind=PrincipalKind.INSTITUTION, institution_id=institution)
