"""All rights as one file, the record of their changes, and who knows of a collection, by HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from auth.audit import Change, record_document
from auth.edits import checked
from auth.snapshot import PolicySnapshot
from auth.store import examine
from server.administration import NO_PRECONDITION, Caller, RightNotFoundError, by
from server.answers import Answer, digest, json_answer
from server.call import Call
from server.requests import BadRequestError, json_body, number, single
from server.right_documents import object_of
from server.rights_difference import Application, changed
from server.rights_file import document_of_all, export, parse
from server.routes.admin import body_at_fault, change, flag, precondition, untagged
from server.visibility import set_listed, visibility

YAML = "application/yaml"
YAML_TYPES = frozenset({YAML, "application/x-yaml", "text/yaml", "application/json"})
_MOST_RECORDS = 1000
_TEXT = "text/plain; charset=utf-8"


def export_rights(call: Call, _caller: Caller) -> Answer:
    """Serve `GET /admin/rights`: without a secret, nor the hash of one."""
    form = _form(call, "yaml", "json")
    text = export(call.policy)
    if form == "json":
        answer = json_answer(document_of_all(call.policy))
    else:
        answer = Answer(body=text.encode(), media_type=f"{YAML}; charset=utf-8")
    return replace(answer, etag=_tag(text) if form == "yaml" else answer.etag, cacheable=False)


def apply_rights(call: Call, caller: Caller) -> Answer:
    """Serve `POST /admin/rights`: all of a file or nothing; a dry run only tells the difference."""
    dry, form = flag(call, "dry_run"), _form(call, "json", "text")
    application = Application(parse(_text(call)), prune=flag(call, "prune"))
    asked = precondition(call)
    tag: str | None = None

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        nonlocal tag
        if dry or asked != NO_PRECONDITION:
            tag = _tag(export(snapshot))
            asked.check(tag)
        return application.edit(snapshot)

    if dry:
        with body_at_fault():
            checked(call.services.knowledge.policy_store.snapshot(), by(caller, edit))
    else:
        change(call, caller, by(caller, edit))
    found = application.differences
    if form == "text":
        body = "".join(f"{each.line()}\n" for each in found).encode()
        answer = Answer(body=body, media_type=_TEXT, cacheable=False)
    else:
        answer = untagged(
            {
                "dry_run": dry,
                "changed": changed(found),
                "kept": len(found) - changed(found),
                "still_revoked": list(application.revived),
                "unapproved": list(application.unapproved),
                "differences": [each.document() | {"line": each.line()} for each in found],
            }
        )
    return replace(answer, etag=tag if dry else None)


def list_audit(call: Call, _caller: Caller) -> Answer:
    """Serve `GET /admin/audit`: the changes of rights, ascending, some at a time."""
    after = number(single(call.query, "after") or "0", "after")
    limit = number(single(call.query, "limit") or str(_MOST_RECORDS), "limit")
    if not 1 <= limit <= _MOST_RECORDS:
        raise BadRequestError(f"limit must be from 1 to {_MOST_RECORDS}")
    store = call.services.knowledge.policy_store
    found, (last, hash_) = store.audit(after, limit), store.audit_head()
    following = found[-1].sequence if found and found[-1].sequence < last else None
    return untagged(
        {"records": [record_document(each) for each in found], "next": following, "head": f"{last}:{hash_}"}
    )


def verify_audit(call: Call, _caller: Caller) -> Answer:
    """Serve `GET /admin/audit/verify`: whether a record was touched, or a right without one."""
    expected = single(call.query, "expect")
    noted = None
    if expected is not None:
        sequence, _, hash_ = expected.partition(":")
        noted = (number(sequence, "expect"), hash_)
    found = examine(call.services.knowledge.policy_store)
    fault = found.fault and {"sequence": found.fault.sequence, "reason": found.fault.reason}
    if fault is None and noted is not None and not found.holds(noted):
        fault = {"sequence": noted[0], "reason": "it is not the one that was noted"}
    last, hash_ = found.head
    return untagged({"verified": fault is None, "records": last, "head": f"{last}:{hash_}", "fault": fault})


def list_collections(call: Call, _caller: Caller) -> Answer:
    """Serve `GET /admin/collections`: who knows of each collection."""
    rows = [
        {
            "id": each.id,
            "licence": each.licence_id,
            "visibility": visibility(call.policy, each.id, call.now),
        }
        for _, each in sorted(call.index.collections.items())
    ]
    return untagged({"collections": rows})


def set_visibility(call: Call, caller: Caller) -> Answer:
    """Serve `PUT /admin/collections/{id}/visibility`."""
    id_ = call.path["id"]
    if id_ not in call.index.collections:
        raise RightNotFoundError("collection", id_)
    asked = object_of(json_body(call.request))
    wanted = asked.get("visibility")
    if asked.keys() != {"visibility"} or wanted not in ("listed", "hidden"):
        raise BadRequestError("the body has visibility, listed or hidden")
    edit = set_listed(id_, caller.now, listed=wanted == "listed", created_by=caller.actor)
    change(call, caller, by(caller, edit))
    state = visibility(call.services.knowledge.known_rights(), id_, caller.now)
    return untagged({"id": id_, "visibility": state})


def _form(call: Call, usual: str, other: str) -> str:
    form = single(call.query, "format") or usual
    if form not in {usual, other}:
        raise BadRequestError(f"format must be {usual} or {other}")
    return form


def _tag(text: str) -> str:
    return digest(text.encode())


def _text(call: Call) -> str:
    kind = (call.request.header("content-type") or "").partition(";")[0].strip().lower()
    if kind not in YAML_TYPES:
        raise BadRequestError(f"the body must be {YAML} or application/json")
    try:
        return call.request.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRequestError("the body is not UTF-8") from None
