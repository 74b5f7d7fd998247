"""Keys by HTTP: made, given a new secret and revoked, below `/admin/keys` and, for one's own, `/keys`."""

from __future__ import annotations

from dataclasses import replace

from auth.edits import revoke_key
from auth.models import Key, Right
from server.administration import Caller, shown
from server.answers import Answer, json_answer
from server.call import Call
from server.new_keys import Mint, NewKey, Rotation
from server.requests import json_body
from server.routes.admin import change, changed_answer, location, precondition, use_of_keys


def make_key(call: Call, caller: Caller) -> Answer:
    """Serve `POST /admin/keys`: a manager's stand below its own key, an operator's below the one it says."""
    return _made(call, caller, below=None if caller.realm is None else call.principal.key_id)


def make_own_key(call: Call, caller: Caller) -> Answer:
    """Serve `POST /keys`: a key below the one that is shown."""
    return _made(call, caller, below=call.principal.key_id)


def rotate(call: Call, caller: Caller) -> Answer:
    """Serve `POST .../{id}/rotate`: a new secret; the old one opens until the grace ends."""
    body = json_body(call.request) if call.request.body else {}
    rotation = Rotation(call.path["id"], body, caller, _mint(call), precondition(call))
    (made,) = change(call, caller, rotation.edit)
    return _told(rotation.text, made.right, call)


def revoke(call: Call, caller: Caller) -> Answer:
    """Serve `POST /admin/keys/{id}/revoke` and `DELETE /keys/{id}`: for good, with all keys below it."""
    return changed_answer("key", call, caller, revoke_key(call.path["id"], caller.now))


def _made(call: Call, caller: Caller, *, below: str | None) -> Answer:
    new = NewKey(json_body(call.request), caller, _mint(call), below=below)
    change(call, caller, new.edit)
    return _told(new.text, new.key, call, created=True)


def _told(text: str, key: Right | None, call: Call, *, created: bool = False) -> Answer:
    """Tell the text of a key, the only time that it is told."""
    assert isinstance(key, Key), "a key was made"
    document = shown(key, use_of_keys(call, "key"))
    answer = json_answer({"key": text, "document": document}, status=201 if created else 200, tagged=False)
    return replace(answer, headers=location("key", key.id, call)) if created else answer


def _mint(call: Call) -> Mint:
    return Mint(environment=call.services.settings.auth.environment, peppers=call.services.peppers)
