"""Administration by HTTP: reads the request, asks `server.administration`, writes the answer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from auth.audit import Change
from auth.documents import FIELDS
from auth.edits import Edit, approve, remove, set_status
from auth.errors import InvalidRightError, UnknownIdError
from auth.models import Action, Forbid, Grant, InstitutionStatus, Kind, Right
from server.access import AccessDeniedError
from server.administration import (
    MANAGED_KINDS,
    Caller,
    Precondition,
    RightNotFoundError,
    belongs,
    find,
    known,
    on,
    shown,
    tag_of,
)
from server.answers import Answer, json_answer
from server.call import Call
from server.key_documents import LastUsed, last_used
from server.requests import BadRequestError, json_body, single
from server.right_documents import Addition, Document, read_new
from server.routing import Handler, Route

Work = Callable[[Call, Caller], Answer]
"""What a route does; it may wait for a database, so it never runs on the event loop."""

_READING = frozenset({"GET", "HEAD"})


def administered(action: Action, work: Work, *, own: bool = False) -> Handler:
    """Make a handler of work that administers.

    Args:
        action: MANAGE or OPERATE, as the route declares it.
        work: What it does.
        own: Whether it is within the caller's own institution, even where the caller is an operator.
    """

    async def handle(call: Call) -> Answer:
        decision = call.decision(action)
        if not decision.allowed:
            raise AccessDeniedError(decision.code)
        if call.request.method not in _READING:
            _known_query(call)
        realm = call.principal.institution_id if own else decision.realm
        caller = Caller(principal=call.principal, action=action, realm=realm, now=call.now)
        return await call.elsewhere(functools.partial(_work, work, call, caller))

    return handle


def _work(work: Work, call: Call, caller: Caller) -> Answer:
    """Do it with the rights as they are now: what another worker wrote a moment ago is seen here."""
    policy = call.services.knowledge.asked_anew()
    caller.still(policy)
    return work(replace(call, policy=policy), caller)


def change(call: Call, caller: Caller, edit: Edit) -> Sequence[Change]:
    """Make a change and record it."""
    with body_at_fault():
        return call.services.knowledge.change(edit, actor=caller.actor, at=caller.now)


@contextmanager
def body_at_fault() -> Iterator[None]:
    """Tell what the address names and is not there from what a body names: that is the body's fault."""
    try:
        yield
    except RightNotFoundError:
        raise
    except UnknownIdError as error:
        raise InvalidRightError(str(error)) from error


def precondition(call: Call) -> Precondition:
    """Read what the caller takes for given."""
    headers = call.request.headers
    if_match, if_none_match = (headers.get(name) for name in ("if-match", "if-none-match"))
    return Precondition(
        if_match=None if if_match is None else ",".join(if_match),
        if_none_match=None if if_none_match is None else ",".join(if_none_match),
    )


def flag(call: Call, name: str) -> bool:
    """Read a yes or no of the query; anything else is refused, so that nothing is done by mistake."""
    value = single(call.query, name)
    if value not in {None, "true", "false"}:
        raise BadRequestError(f"{name} must be true or false")
    return value == "true"


def use_of_keys(call: Call, kind: Kind) -> LastUsed:
    """Give when keys were last used, where that is shown."""
    return last_used(call.services.meter.store) if kind == "key" else {}


def location(kind: Kind, id_: str, call: Call) -> tuple[tuple[str, str], ...]:
    """Tell the address of a right that was made; it never holds a key."""
    return (("Location", f"{call.root}/admin/{FIELDS[kind]}/{id_}"),)


def right_answer(call: Call, right: Right, kind: Kind, *, created: bool = False) -> Answer:
    """Show one right, with its validator; where it is new also its address."""
    used = use_of_keys(call, kind)
    headers = location(kind, right.id, call) if created else ()
    answer = json_answer(shown(right, used), status=201 if created else 200)
    return replace(answer, etag=tag_of(right, used), headers=headers, cacheable=False)


def untagged(value: Any, *, status: int = 200) -> Answer:
    """Show what nobody keeps."""
    return json_answer(value, status=status, tagged=False)


def list_rights(kind: Kind, call: Call, caller: Caller) -> Answer:
    """Serve `GET /admin/{kind}`: those that the caller may know of, of one institution where it asks so."""
    rights: Iterable[Right] = known(call.policy, kind, caller.realm)
    institution_id = single(call.query, "institution") if kind in MANAGED_KINDS else None
    if institution_id is not None:
        rights = (right for right in rights if belongs(call.policy, right, institution_id))
    used = use_of_keys(call, kind)
    answer = json_answer({FIELDS[kind]: [shown(right, used) for right in rights]})
    return replace(answer, cacheable=False)


def read_right(kind: Kind, call: Call, caller: Caller) -> Answer:
    """Serve `GET /admin/{kind}/{id}`."""
    return right_answer(call, find(call.policy, kind, call.path["id"], caller.realm), kind)


def put_right(kind: Kind, call: Call, caller: Caller) -> Answer:
    """Serve `PUT /admin/{kind}/{id}`: the whole document."""
    document = Document(kind, call.path["id"], json_body(call.request), caller, precondition(call))
    _known_collections(call, document.right)
    change(call, caller, document.edit)
    return right_answer(call, document.right, kind, created=document.created)


def add_right(kind: Kind, call: Call, caller: Caller) -> Answer:
    """Serve `POST /admin/{kind}`: 201, or 200 and the one that says the same."""
    addition = Addition(read_new(kind, json_body(call.request), caller), caller)
    _known_collections(call, addition.right)
    changed = change(call, caller, addition.edit)
    return right_answer(call, addition.right, kind, created=bool(changed))


def remove_right(kind: Kind, call: Call, caller: Caller) -> Answer:
    """Serve `DELETE /admin/{kind}/{id}`."""
    id_ = call.path["id"]
    change(call, caller, on(kind, id_, caller, precondition(call), remove(kind, id_)))
    return Answer(status=204, cacheable=False)


def set_state(status: InstitutionStatus, call: Call, caller: Caller) -> Answer:
    """Serve `POST /admin/institutions/{id}/suspend`, `resume` and `close`."""
    return changed_answer("institution", call, caller, set_status(call.path["id"], status))


def approve_grant(call: Call, caller: Caller) -> Answer:
    """Serve `POST /admin/grants/{id}/approve`: the calling operator approves."""
    operator_id = caller.operator_id
    assert operator_id is not None, "the route is for operators"
    return changed_answer("grant", call, caller, approve(call.path["id"], operator_id))


def changed_answer(kind: Kind, call: Call, caller: Caller, edit: Edit) -> Answer:
    """Make an edit of the right that the address names, and show what it is then."""
    id_ = call.path["id"]
    changes = change(call, caller, on(kind, id_, caller, precondition(call), edit))
    right = changes[-1].right if changes else find(call.services.knowledge.rights(), kind, id_, caller.realm)
    assert right is not None, "nothing was removed"
    return right_answer(call, right, kind)


class Index:
    """Tells a caller which of some routes are open to it."""

    def __init__(self, described: Sequence[Route]) -> None:
        self._routes = tuple(described)

    def document(self, call: Call, caller: Caller) -> Answer:
        """Serve `/admin/`."""
        open_ = [route for route in self._routes if caller.realm is None or Action.MANAGE in route.actions]
        return untagged(
            {
                "institution": call.principal.institution_id,
                "operator": caller.realm is None,
                "addresses": [
                    {
                        "methods": sorted(route.methods - {"HEAD"}),
                        "path": route.path,
                        "summary": route.summary,
                    }
                    for route in open_
                ],
            }
        )


def _known_query(call: Call) -> None:
    """Refuse a parameter that a writing route does not read: a misspelt dry_run must not write."""
    read = {parameter.name for parameter in call.route.parameters if parameter.where == "query"}
    if any(name not in read | {"lang", "language"} for name, _ in call.query):
        raise BadRequestError("a parameter of the query is unknown here")


def _known_collections(call: Call, right: Right) -> None:
    """Refuse a collection that is not there, unless the right names it already.

    A forbid with a typing error would forbid nothing.
    """
    if not isinstance(right, Grant | Forbid):
        return
    held = getattr(call.policy, FIELDS["grant" if isinstance(right, Grant) else "forbid"]).get(right.id)
    there = frozenset() if held is None else held.selector.collections or frozenset()
    if (right.selector.collections or frozenset()) - there - call.index.collections.keys():
        raise InvalidRightError("selector.collections: a collection is not there: bank a scene into it first")
