"""The errors of auth, one root and leaves named for the fact; no status codes here.

AuthError
├── CredentialInvalidError      unknown, malformed, wrong secret
│   ├── CredentialRevokedError
│   ├── CredentialExpiredError
│   ├── CredentialNotForUrlsError   a key that may not stand in a URL stood in one
│   ├── InstitutionSuspendedError
│   └── TokenRefusedError       a token of an identity provider that does not hold
├── PolicyUnavailableError      the snapshot of rights is too old to be trusted
├── AlreadyExistsError          administration: the id is taken
├── UnknownIdError              administration: no such institution, licence, key ...
├── StillNamedError             administration: other rights name what is to go
└── InvalidRightError           administration: a right that could never mean what was meant
    └── InvalidIdError          the id breaks its grammar
"""


class AuthError(Exception):
    """Root of all errors raised by auth."""


class CredentialInvalidError(AuthError):
    """The credential opens nothing; the message never says why to the caller."""

    def __init__(self, key_id: str | None = None) -> None:
        super().__init__("invalid credential")
        self.key_id = key_id
        """Id part of the key where one could be read, for the log; the secret is never kept."""


class CredentialRevokedError(CredentialInvalidError):
    """The key was revoked."""


class CredentialExpiredError(CredentialInvalidError):
    """The key's end date has passed."""


class CredentialNotForUrlsError(CredentialInvalidError):
    """The key may not stand in a URL, and it stood in one."""


class InstitutionSuspendedError(CredentialInvalidError):
    """The institution is suspended or closed."""


class TokenRefusedError(CredentialInvalidError):
    """A token of an identity provider does not hold."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
        """One of a few words, for the log: malformed, issuer, algorithm, key, signature, audience ..."""


class PolicyUnavailableError(AuthError):
    """The snapshot of rights is too old to be trusted."""


class AlreadyExistsError(AuthError):
    """The id is taken."""

    def __init__(self, what: str, id_: str) -> None:
        super().__init__(f"{what} {id_!r} already exists")
        self.id = id_


class UnknownIdError(AuthError):
    """No such institution, licence, key or grant."""

    def __init__(self, what: str, id_: str) -> None:
        super().__init__(f"no {what} {id_!r}")
        self.id = id_


class StillNamedError(AuthError):
    """Other rights name what was to be removed."""

    def __init__(self, what: str, id_: str, named_by: str) -> None:
        super().__init__(f"{what} {id_!r} is still named by {named_by}")
        self.id = id_


class InvalidRightError(AuthError, ValueError):
    """A right that could never mean what was meant; the message says which part."""


class InvalidIdError(InvalidRightError):
    """The id breaks its grammar."""

    def __init__(self, what: str, id_: str, grammar: str) -> None:
        super().__init__(f"{what} id {id_!r} is not allowed: it must match {grammar}")
        self.id = id_
