"""What commands that bring scenes in do and say about who may see them."""

from __future__ import annotations

from datetime import UTC, datetime

from auth.edits import add, add_by_content
from auth.models import PUBLIC, Action, Licence
from auth.reach import EVERYWHERE, Selector
from auth.rules import new_grant
from server.cli.context import Context, messages


def make_licence(context: Context, licence: str) -> None:
    """Make a licence that is not there yet, and say so."""
    if licence in context.policy.snapshot().licences:
        return
    context.change(add(Licence(id=licence, title=licence)))
    messages.print(f"licence {licence} made")


def publish(context: Context, collections: set[str]) -> None:
    """Grant collections to everybody."""
    for collection_id in sorted(collections):
        selector = Selector(collections=frozenset({collection_id}))
        grant = new_grant(PUBLIC, selector, area=EVERYWHERE, now=datetime.now(UTC))
        context.change(add_by_content(grant))
        messages.print(f"collection {collection_id} is public")


def warn_of_public(context: Context, banked: set[str]) -> None:
    """Say so when a scene was brought into a collection that everybody sees."""
    for given in context.rights().grants.values():
        if given.grantee == PUBLIC and Action.TILE in given.actions and given.selector.licences is None:
            for collection_id in sorted(banked & (given.selector.collections or banked)):
                messages.print(
                    f"collection {collection_id} is public: everybody sees what was banked into it",
                    style="yellow",
                )
