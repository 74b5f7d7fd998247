"""Where the files of scenes lie: in folders of this machine, or below prefixes of an S3-compatible store."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_SCHEME: Final = "s3://"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PART: Final = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9._-]+/")
"""A part of a key and the slash behind it; one of dots alone would mean another place."""


@dataclass(frozen=True, slots=True)
class ObjectAddress:
    """An object of the store, written `s3://BUCKET/KEY`."""

    bucket: str
    """3 to 63 lower-case letters, digits, hyphens and dots."""
    key: str
    """Letters, digits, dot, hyphen and underscore, in parts between single slashes."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            ValueError: If it is none; the message says why.
        """
        bucket, key = _split(text)
        if not key or not _is_plain(f"{key}/"):
            raise ValueError(f"use s3://BUCKET/KEY, the key of {_PLAIN_WORDS}")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """Its name without what is before the last slash."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class ObjectPrefix:
    """The objects of a bucket whose keys begin alike, written `s3://BUCKET/` or `s3://BUCKET/PREFIX/`."""

    bucket: str
    """As an address has it."""
    prefix: str
    """Parts with a slash behind each; empty: the whole bucket."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a prefix; like a folder it ends with a slash, written or not.

        Raises:
            ValueError: If it is none; the message says why.
        """
        bucket, prefix = _split(text)
        prefix += "/" if prefix and not prefix.endswith("/") else ""
        if not _is_plain(prefix):
            raise ValueError(f"use s3://BUCKET/PREFIX/, the prefix of {_PLAIN_WORDS}")
        return cls(bucket, prefix)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.prefix}"

    def holds(self, address: ObjectAddress) -> bool:
        """Tell whether an object lies below it."""
        return address.bucket == self.bucket and address.key.startswith(self.prefix)


DataRoot = Path | ObjectPrefix
"""A folder or prefix below which scenes may be opened."""

_PLAIN_WORDS: Final = "letters, digits, dots, hyphens and underscores between single slashes"


def is_object(href: str) -> bool:
    """Tell whether a scene lies in the store rather than on this machine."""
    return href.startswith(_SCHEME)


def lies_below(href: str, roots: Iterable[DataRoot]) -> bool:
    """Tell whether a scene's file lies below one of the roots.

    Args:
        href: A path, whose links are followed, or the address of an object.
        roots: Folders, resolved, and prefixes.
    """
    if is_object(href):
        try:
            address = ObjectAddress.parse(href)
        except ValueError:
            return False
        return any(isinstance(root, ObjectPrefix) and root.holds(address) for root in roots)
    path = Path(href).resolve()
    return any(isinstance(root, Path) and path.is_relative_to(root) for root in roots)


def _split(text: str) -> tuple[str, str]:
    """Give the bucket and what is behind its slash."""
    bucket, _, rest = text.removeprefix(_SCHEME).partition("/")
    if not is_object(text) or _BUCKET.fullmatch(bucket) is None or ".." in bucket:
        raise ValueError("no bucket of an S3-compatible store: use s3://BUCKET/...")
    return bucket, rest


def _is_plain(parts: str) -> bool:
    place = 0
    while place < len(parts):
        found = _PART.match(parts, place)
        if found is None:
            return False
        place = found.end()
    return True
