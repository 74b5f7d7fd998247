"""How a caller makes a key, or gives one a new secret; the only places where a key's text exists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from auth.audit import Change
from auth.credentials import Peppers, new_key, new_secret
from auth.documents import right_of
from auth.edits import Edit, put, rotate_key
from auth.errors import AlreadyExistsError, InvalidRightError
from auth.models import UNNARROWED, Key
from auth.reach import written_instant
from auth.snapshot import PolicySnapshot
from server.access import AccessDeniedError
from server.administration import Caller, Precondition, by, on
from server.key_documents import USUAL_GRACE, grace_of
from server.right_documents import NO_SECRET, check_rate, object_of, refuse_said

_MADE_HERE: Final = frozenset({"id", "created", "revoked", "secrets"})
_ID: Final = "00000000"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mint:
    """What makes secrets."""

    environment: str
    """Which installation keys are for, such as live."""
    peppers: Peppers


class NewKey:
    """A key to be made. A manager's stand below a key of its institution, and are narrower than that one.

    An institution's own keys are made by operators: what a grant withholds from keys below (`delegable`) a
    manager could otherwise open, and its keys would outlive the one that it manages by.
    """

    def __init__(self, body: object, caller: Caller, mint: Mint, *, below: str | None) -> None:
        """Read a document.

        Args:
            body: A key's document without what is made here. Of `url_allowed`, `expires` and `rate` it has
                what the key above it has, where it does not say.
            caller: Who makes it.
            mint: What makes its secret.
            below: The key above it, where the document does not say; None: none.

        Raises:
            InvalidRightError: If the document is none of a key.
            AccessDeniedError: If it is for an institution that the caller does not manage.
        """
        document = object_of(body)
        refuse_said("key", document, _MADE_HERE)
        self._said = frozenset(document)
        self._caller = caller
        usual: dict[str, Any] = {"label": "", "url_allowed": True, "parent_id": below}
        if caller.realm is not None:
            usual["institution_id"] = caller.realm
            if document.get("institution_id", caller.realm) != caller.realm:
                raise AccessDeniedError("not_manager")
        made = {"id": _ID, "created": written_instant(caller.now), "secrets": [NO_SECRET]}
        read = cast("Key", right_of("key", usual | document | made))
        if caller.realm is not None and read.parent_id is None:
            raise InvalidRightError("key: parent_id: a manager's key stands below another: say which")
        if read.expires is not None and read.expires <= caller.now:
            raise InvalidRightError("key: a key must end after it begins")
        self.key, self.text = new_key(
            mint.environment,
            read.institution_id,
            mint.peppers,
            url_allowed=read.url_allowed,
            now=caller.now,
            label=read.label,
            expires=read.expires,
            parent_id=read.parent_id,
            role=read.role,
            caveat=None if read.caveat == UNNARROWED else read.caveat,
            rate=read.rate,
        )

    @property
    def edit(self) -> Edit:
        """Put the key; `key` is what was put, once it was."""
        return by(self._caller, self._edit)

    def _edit(self, snapshot: PolicySnapshot) -> Iterable[Change]:
        if self.key.id in snapshot.keys:
            raise AlreadyExistsError("key", self.key.id)
        parent = snapshot.keys.get(self.key.parent_id or "")
        if self._caller.realm is not None and (parent is None or parent.institution_id != self._caller.realm):
            raise InvalidRightError("key: parent_id: there is no such key")
        if parent is not None:
            inherited = {
                name: getattr(parent, name) for name in ("expires", "rate") if name not in self._said
            }
            if "url_allowed" not in self._said:
                inherited["url_allowed"] = parent.url_allowed
            self.key = replace(self.key, **inherited)
            check_rate(parent, self.key)
        return put(self.key)(snapshot)


class Rotation:
    """A new secret for a key."""

    def __init__(
        self, key_id: str, body: object, caller: Caller, mint: Mint, precondition: Precondition
    ) -> None:
        """Read how long the old secret still opens.

        Args:
            key_id: Which key.
            body: `{"grace": "7d"}`, in hours or days.
            caller: Who rotates it.
            mint: What makes the secret.
            precondition: What the caller takes the key to be.

        Raises:
            InvalidRightError: If the body is another.
        """
        asked = object_of(body)
        grace = asked.get("grace", USUAL_GRACE)
        if asked.keys() - {"grace"} or not isinstance(grace, str):
            raise InvalidRightError("the body has grace, written 12h or 7d")
        try:
            length = grace_of(grace)
        except ValueError as error:
            raise InvalidRightError(f"grace: {error}") from None
        secret, self.text = new_secret(mint.environment, key_id, mint.peppers)
        ends = caller.now.replace(microsecond=0) + length
        self.edit: Edit = on("key", key_id, caller, precondition, rotate_key(key_id, secret, ends))
