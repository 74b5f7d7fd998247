"""The lines of the ROUTES table that administer: `/admin/` and `/keys`."""

from __future__ import annotations

import functools
from typing import Any, Final

from auth.documents import FIELDS, KINDS
from auth.models import Action, InstitutionStatus, Kind
from server.administration import MANAGED_KINDS
from server.routes import admin, admin_keys, admin_mosaics, admin_rights
from server.routes.admin import Work, administered
from server.routes.schemas import NAMES
from server.routing import Body, Parameter, Route

_MANAGE: Final = frozenset({Action.MANAGE})
_OPERATE: Final = frozenset({Action.OPERATE})
_ID: Final = Parameter(name="id", where="path", description="Its id.", required=True)
_IF_MATCH: Final = Parameter(
    name="If-Match", where="header", description="ETag that was read: 412 if it changed since."
)
_IF_NONE_MATCH: Final = Parameter(
    name="If-None-Match", where="header", description="`*`: 412 if it is there already."
)
_REFUSED: Final = (
    (401, "A manager's or an operator's key is needed."),
    (403, "Not yours to administer."),
)
_NO_SUCH: Final = (404, "No such id, or one of another institution.")
_CHANGED: Final = (412, "It is not what you have read.")
_TAKEN: Final = (409, "The id is taken, or others name it.")
_INVALID: Final = ((400, "A malformed body or parameter."), (422, "What can't be; it says why."))
_STATES: Final = {
    "suspend": (InstitutionStatus.SUSPENDED, "Suspend an institution: all its keys open nothing."),
    "resume": (InstitutionStatus.ACTIVE, "Make a suspended or closed institution active again."),
    "close": (InstitutionStatus.CLOSED, "Close an institution; its record and its usage stay."),
}


def admin_routes() -> tuple[Route, ...]:
    """Give all routes that administer."""
    kinds = tuple(route for kind in KINDS for route in _kind_routes(kind))
    described = (
        *kinds,
        *_state_routes(),
        *_key_routes(),
        *_own_key_routes(),
        *_whole_routes(),
        *_mosaic_routes(),
    )
    return (
        _route(
            "admin",
            "GET /admin/",
            Action.MANAGE,
            admin.Index(described).document,
            "What the caller may administer, and where.",
            gives="Administration",
        ),
        *described,
    )


def _route(
    id_: str,
    request: str,
    action: Action,
    work: Work,
    summary: str,
    *,
    parameters: tuple[Parameter, ...] = (),
    answers: tuple[tuple[int, str], ...] = ((200, "A document."),),
    own: bool = False,
    **more: Any,
) -> Route:
    """Give one line; what it may answer to a caller that does not administer goes without saying."""
    method, _, path = request.partition(" ")
    variables = (_ID,) if "{id}" in path else ()
    found = {**dict(answers), **dict(_REFUSED)}
    if variables:
        found = {**found, 404: _NO_SUCH[1]}
    if method != "GET":
        found |= dict(_INVALID)
    return Route(
        id=id_,
        path=path,
        methods=frozenset({"GET", "HEAD"}) if method == "GET" else frozenset({method}),
        actions=frozenset({action}),
        handler=administered(action, work, own=own),
        summary=summary,
        parameters=(*variables, *parameters),
        answers=tuple(sorted(found.items())),
        **more,
    )


def _kind_routes(kind: Kind) -> tuple[Route, ...]:
    """Give list, reading, writing and removing of a kind."""
    name, many, schema = kind, FIELDS[kind], NAMES[kind]
    reading = Action.MANAGE if kind in MANAGED_KINDS else Action.OPERATE
    writing = Action.MANAGE if kind == "key" else Action.OPERATE
    of_one = Parameter(name="institution", where="query", description="Only what concerns this one.")
    whose = "a manager's own institution's, an operator's all" if kind in MANAGED_KINDS else "for operators"
    there = f"/admin/{many}/{{id}}"
    made = () if kind == "key" else ((201, "It was not there before."),)
    put = _route(
        f"admin_put_{name}",
        f"PUT {there}",
        writing,
        functools.partial(admin.put_right, kind),
        f"Put a {name}, the whole document; GET gives what PUT takes."
        + (" Its secrets, institution and place stay; a key is made by POST." if kind == "key" else ""),
        parameters=(_IF_MATCH, _IF_NONE_MATCH),
        answers=((200, "What it is now."), *made, _CHANGED, _TAKEN),
        body=Body(schema=schema),
        gives=schema,
    )
    remove = _route(
        f"admin_remove_{name}",
        f"DELETE {there}",
        Action.OPERATE,
        functools.partial(admin.remove_right, kind),
        f"Remove a {name} that nothing else names; for operators.",
        parameters=(_IF_MATCH,),
        answers=((204, "Removed."), _CHANGED, _TAKEN),
    )
    found = (
        _route(
            f"admin_{many}",
            f"GET /admin/{many}",
            reading,
            functools.partial(admin.list_rights, kind),
            f"All {many}; {whose}.",
            parameters=(of_one,) if kind in MANAGED_KINDS else (),
            gives=f"{schema}List",
        ),
        _route(
            f"admin_{name}",
            f"GET {there}",
            reading,
            functools.partial(admin.read_right, kind),
            f"One {name}.",
            gives=schema,
        ),
        put,
        remove,
    )
    return found if kind not in {"grant", "forbid", "membership"} else (*found, _adding(kind))


def _adding(kind: Kind) -> Route:
    many, schema = FIELDS[kind], NAMES[kind]
    more = " The caller is the first to approve a crisis grant." if kind == "grant" else ""
    return _route(
        f"admin_add_{kind}",
        f"POST /admin/{many}",
        Action.OPERATE,
        functools.partial(admin.add_right, kind),
        f"Add a {kind}; its id is made of its content.{more}",
        answers=((200, "One that says the same was there."), (201, "Added."), _TAKEN),
        body=Body(schema=f"New{schema}"),
        gives=schema,
    )


def _state_routes() -> tuple[Route, ...]:
    states = tuple(
        _route(
            f"admin_{word}",
            f"POST /admin/institutions/{{id}}/{word}",
            Action.OPERATE,
            functools.partial(admin.set_state, status),
            summary,
            parameters=(_IF_MATCH,),
            answers=((200, "What it is now."), _CHANGED),
            gives="Institution",
        )
        for word, (status, summary) in _STATES.items()
    )
    return (
        *states,
        _route(
            "admin_approve",
            "POST /admin/grants/{id}/approve",
            Action.OPERATE,
            admin.approve_grant,
            "Approve a crisis grant: it holds once two different operators have.",
            parameters=(_IF_MATCH,),
            answers=((200, "What it is now."), _CHANGED),
            gives="Grant",
        ),
    )


def _key_routes() -> tuple[Route, ...]:
    told = "The key, told once."
    return (
        _route(
            "admin_add_key",
            "POST /admin/keys",
            Action.MANAGE,
            admin_keys.make_key,
            "Make a key; a manager's stand below another key of its institution, its own where it says none.",
            answers=((201, told),),
            body=Body(schema="NewKey"),
            gives="MadeKey",
        ),
        _route(
            "admin_rotate_key",
            "POST /admin/keys/{id}/rotate",
            Action.MANAGE,
            admin_keys.rotate,
            "Give a key a new secret; the old one opens until the grace ends.",
            parameters=(_IF_MATCH,),
            answers=((200, told), _CHANGED),
            body=Body(schema="Rotation", required=False),
            gives="MadeKey",
        ),
        _route(
            "admin_revoke_key",
            "POST /admin/keys/{id}/revoke",
            Action.MANAGE,
            admin_keys.revoke,
            "Revoke a key for good, with all keys below it.",
            parameters=(_IF_MATCH,),
            answers=((200, "What it is now."), _CHANGED),
            gives="Key",
        ),
    )


def _own_key_routes() -> tuple[Route, ...]:
    told = "The key, told once."
    return (
        _route(
            "keys",
            "GET /keys",
            Action.MANAGE,
            functools.partial(admin.list_rights, "key"),
            "The keys of the caller's own institution, and when they were last used.",
            gives="KeyList",
            own=True,
        ),
        _route(
            "add_key",
            "POST /keys",
            Action.MANAGE,
            admin_keys.make_own_key,
            "Make a key below the one that is shown: narrower, and it dies with it.",
            answers=((201, told),),
            body=Body(schema="NewKey"),
            gives="MadeKey",
            own=True,
        ),
        _route(
            "rotate_key",
            "POST /keys/{id}/rotate",
            Action.MANAGE,
            admin_keys.rotate,
            "Give a key of the own institution a new secret; the old one opens until the grace ends.",
            parameters=(_IF_MATCH,),
            answers=((200, told), _CHANGED),
            body=Body(schema="Rotation", required=False),
            gives="MadeKey",
            own=True,
        ),
        _route(
            "revoke_key",
            "DELETE /keys/{id}",
            Action.MANAGE,
            admin_keys.revoke,
            "Revoke a key of the own institution for good, with all keys below it.",
            parameters=(_IF_MATCH,),
            answers=((200, "What it is now."), _CHANGED),
            gives="Key",
            own=True,
        ),
    )


def _mosaic_routes() -> tuple[Route, ...]:
    """Give reading and writing of named mosaics; for operators."""
    there = "/admin/mosaics/{id}"
    return (
        _route(
            "admin_mosaics",
            "GET /admin/mosaics",
            Action.OPERATE,
            admin_mosaics.list_mosaics,
            "All named mosaics; for operators.",
            gives="MosaicList",
        ),
        _route(
            "admin_mosaic",
            f"GET {there}",
            Action.OPERATE,
            admin_mosaics.read_mosaic,
            "One named mosaic.",
            gives="Mosaic",
        ),
        _route(
            "admin_put_mosaic",
            f"PUT {there}",
            Action.OPERATE,
            admin_mosaics.put_mosaic,
            "Put a named mosaic, all of it but what has a usual value; GET gives what PUT takes.",
            parameters=(_IF_MATCH, _IF_NONE_MATCH),
            answers=((200, "What it is now."), (201, "It was not there before."), _CHANGED, _TAKEN),
            body=Body(schema="Mosaic"),
            gives="Mosaic",
        ),
        _route(
            "admin_remove_mosaic",
            f"DELETE {there}",
            Action.OPERATE,
            admin_mosaics.remove_mosaic,
            "Remove a named mosaic; its scenes stay.",
            parameters=(_IF_MATCH,),
            answers=((204, "Removed."), _CHANGED),
        ),
    )


def _whole_routes() -> tuple[Route, ...]:
    """Give what concerns all rights at once; for operators."""
    form = Parameter(name="format", where="query", description="yaml or json.")
    return (
        _route(
            "admin_rights",
            "GET /admin/rights",
            Action.OPERATE,
            admin_rights.export_rights,
            "All rights as one YAML file for review in git; no secret, no hash of one.",
            parameters=(form,),
            answers=((200, "The file."),),
            gives="Rights",
        ),
        _route(
            "admin_apply_rights",
            "POST /admin/rights",
            Action.OPERATE,
            admin_rights.apply_rights,
            "Bring the rights to what a file says, all of it or nothing, and tell the difference.",
            parameters=(
                Parameter(name="dry_run", where="query", description="true: only tell the difference."),
                Parameter(name="prune", where="query", description="true: also remove what the file lacks."),
                Parameter(name="format", where="query", description="json or text, one line a right."),
                _IF_MATCH,
            ),
            answers=((200, "The difference."), _CHANGED, _TAKEN),
            body=Body(schema="Rights", media_types=tuple(sorted(admin_rights.YAML_TYPES))),
            gives="Application",
        ),
        _route(
            "admin_audit",
            "GET /admin/audit",
            Action.OPERATE,
            admin_rights.list_audit,
            "Who changed which right, when, and into what.",
            parameters=(
                Parameter(name="after", where="query", description="Only records with a greater number."),
                Parameter(name="limit", where="query", description="At most so many, up to 1000."),
            ),
            gives="AuditRecords",
        ),
        _route(
            "admin_verify_audit",
            "GET /admin/audit/verify",
            Action.OPERATE,
            admin_rights.verify_audit,
            "Whether no record was touched, and the rights are what the records say.",
            parameters=(
                Parameter(name="expect", where="query", description="A head that was noted, NUMBER:HASH."),
            ),
            gives="AuditVerified",
        ),
        _route(
            "admin_collections",
            "GET /admin/collections",
            Action.OPERATE,
            admin_rights.list_collections,
            "All collections, and whether everybody may know of them.",
            gives="Collections",
        ),
        _route(
            "admin_put_visibility",
            "PUT /admin/collections/{id}/visibility",
            Action.OPERATE,
            admin_rights.set_visibility,
            "List a collection for everybody, or take that back.",
            answers=((200, "What it is now."),),
            body=Body(schema="Visibility"),
            gives="CollectionVisibility",
        ),
    )
