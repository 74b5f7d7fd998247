"""The one frozen registry of named values, and how a folder of JSON files becomes one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Protocol, Self, TypeVar

from mosaics.errors import DataFileInvalidError
from mosaics.models import Text


class Named(Protocol):
    """What can be registered: a value with an id."""

    @property
    def id(self) -> str:
        """The name it is asked for by."""
        ...


T = TypeVar("T", bound=Named)
Document = dict[str, Any]
"""A parsed JSON object."""

BUILT_IN = Path(__file__).parent / "data"
"""Folder of the files that come with the package."""


@dataclass(frozen=True)
class Registry(Generic[T]):
    """Frozen values by id; `register` gives a new registry, never changes this one."""

    items: Mapping[str, T] = field(default_factory=dict)
    """By id, in the order of listing."""

    def __post_init__(self) -> None:
        """Copy the items, so that nobody changes them from outside, and check that keys are ids."""
        for key, value in self.items.items():
            if key != value.id:
                raise ValueError(f"{value.id!r} is registered as {key!r}")
        object.__setattr__(self, "items", MappingProxyType(dict(self.items)))

    def get(self, id_: str) -> T:
        """Give the value of that id.

        Raises:
            KeyError: If there is none; callers raise their own error from it.
        """
        return self.items[id_]

    def list(self) -> tuple[str, ...]:
        """Give all ids in order."""
        return tuple(self.items)

    def values(self) -> tuple[T, ...]:
        """Give all values in order."""
        return tuple(self.items.values())

    def register(self, values: Mapping[str, T] | None = None, /, **named: T) -> Registry[T]:
        """Give a new registry with values added, or put in the place of those with the same id.

        Args:
            values: By id.
            named: By id, for ids that are Python names.
        """
        return Registry({**self.items, **(values or {}), **named})

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, T]]]:
        """Let it be sent to another process; a view of a dictionary can't be."""
        return type(self), (dict(self.items),)

    def __contains__(self, id_: object) -> bool:
        return id_ in self.items

    def __len__(self) -> int:
        return len(self.items)


def load_registry(folder: str, parse: Callable[[Document], T], extra: Path | None = None) -> Registry[T]:
    """Read the package's files of one kind, then those of an optional folder, which add or override by id.

    Args:
        folder: `grids`, `sensors`, `styles` or `indices`.
        parse: Makes the value of a document; its ValueError, KeyError or TypeError says what is wrong.
        extra: Folder with more files; its `folder` subfolder is read where it has one, else it itself.

    Raises:
        DataFileInvalidError: If a file breaks a rule; the message names it.
    """
    registry: Registry[T] = Registry()
    registry = registry.register(_read_folder(BUILT_IN / folder, parse))
    if extra is not None:
        if not extra.is_dir():
            raise DataFileInvalidError(f"{extra} is not a folder")
        inner = extra / folder
        registry = registry.register(_read_folder(inner if inner.is_dir() else extra, parse))
    return registry


def _read_folder(folder: Path, parse: Callable[[Document], T]) -> dict[str, T]:
    """Parse each JSON file of a folder, by name."""
    values: dict[str, T] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(document, dict):
                raise TypeError("it is not a JSON object")  # noqa: TRY301 - told with the file's name below
            value = parse(document)
            if value.id != path.stem:
                raise ValueError(f"its id {value.id!r} is not its file name")  # noqa: TRY301 - told with the file's name below
        except KeyError as error:
            raise DataFileInvalidError(f"{path}: {error.args[0]} is missing") from error
        except (ValueError, TypeError, OSError) as error:
            raise DataFileInvalidError(f"{path}: {error}") from error
        values[value.id] = value
    return values


def check_keys(document: Mapping[str, Any], required: frozenset[str], optional: frozenset[str]) -> None:
    """Refuse an object with keys missing or unknown.

    Raises:
        ValueError: Naming them.
    """
    missing, unknown = required - document.keys(), document.keys() - required - optional
    if missing:
        raise ValueError(f"missing: {', '.join(sorted(missing))}")
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")


def parse_text(document: Any) -> Text:
    """Read a text in both languages.

    Raises:
        ValueError: If it is not exactly {"fr": ..., "en": ...}, neither empty.
    """
    if not isinstance(document, dict) or document.keys() != {"fr", "en"}:
        raise ValueError('a text must be {"fr": "...", "en": "..."}')
    if not all(isinstance(text, str) and text.strip() for text in document.values()):
        raise ValueError("a text must not be empty")
    return Text(fr=document["fr"], en=document["en"])


def parse_source(document: Any) -> tuple[str, ...]:
    """Read where numbers come from: one sentence or several.

    Raises:
        ValueError: If nothing is said.
    """
    sources = (document,) if isinstance(document, str) else tuple(document)
    if not sources or not all(isinstance(source, str) and source.strip() for source in sources):
        raise ValueError("source must say where the numbers come from")
    return sources
