"""All rights as one YAML file, for review in git: written in a stable order, compared and applied whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

from auth.audit import Change
from auth.documents import FIELDS, KINDS, document_of, right_of
from auth.edits import Edit
from auth.errors import InvalidRightError
from auth.models import Key, Kind, Right
from auth.snapshot import PolicySnapshot

LARGEST_FILE: Final = 30_000_000
"""Characters."""

VERSION: Final = 1
"""Of the file's form; it stands in it as `rights: 1`."""

_HEAD: Final = "# All rights of a dinamis-flux installation. See `dinamis-flux rights --help`.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One right that is not as the file says."""

    sign: Literal["+", "~", "-"]
    """Added, changed or removed by applying the file."""
    kind: Kind
    id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    def line(self) -> str:
        """Write it for a person."""
        if self.before is None or self.after is None:
            told = self.after or self.before or {}
            return f"{self.sign} {self.kind} {self.id}: {_told(told)}"
        parts = [
            f"{name} {_short(self.before.get(name))} -> {_short(self.after.get(name))}"
            for name in sorted(self.before.keys() | self.after.keys())
            if self.before.get(name) != self.after.get(name)
        ]
        return f"{self.sign} {self.kind} {self.id}: {'; '.join(parts)}"


def export(snapshot: PolicySnapshot, *, with_secrets: bool = False) -> str:
    """Write all rights as YAML; without the hashes of keys unless they are asked for."""
    parts = [_HEAD, f"rights: {VERSION}\n"]
    for kind in KINDS:
        held = getattr(snapshot, FIELDS[kind])
        documents = [_exported(held[id_], with_secrets=with_secrets) for id_ in sorted(held)]
        if documents:
            parts.append("\n" + _dump({FIELDS[kind]: documents}))
    return "".join(parts)


def parse(text: str, snapshot: PolicySnapshot) -> dict[tuple[Kind, str], Right]:
    """Read a file of rights.

    Args:
        text: YAML, or JSON.
        snapshot: The rights as they are: keys that the file gives without secrets keep theirs.

    Raises:
        InvalidRightError: If it is malformed, says something unknown, or names one right twice; the message
            says where.
    """
    document = _load(text)
    if document.get("rights") != VERSION:
        raise InvalidRightError(f"the file must say `rights: {VERSION}`")
    unknown = document.keys() - {"rights", *FIELDS.values()}
    if unknown:
        raise InvalidRightError(f"the file has an unknown part: {min(map(str, unknown))}")
    found: dict[tuple[Kind, str], Right] = {}
    for kind in KINDS:
        entries = document.get(FIELDS[kind]) or []
        if not isinstance(entries, list):
            raise InvalidRightError(f"{FIELDS[kind]} must be a list")
        for place, entry in enumerate(entries, start=1):
            try:
                right = right_of(kind, _with_kept_secrets(kind, entry, snapshot))
            except InvalidRightError as error:
                raise InvalidRightError(f"{FIELDS[kind]}, entry {place}: {error}") from None
            if (kind, right.id) in found:
                raise InvalidRightError(f"{FIELDS[kind]}, entry {place}: {right.id} stands there twice")
            found[kind, right.id] = right
    return found


def differences(
    snapshot: PolicySnapshot, wanted: Mapping[tuple[Kind, str], Right], *, prune: bool
) -> tuple[Difference, ...]:
    """Compare the rights with what a file says.

    Args:
        snapshot: The rights as they are.
        wanted: What `parse` gave.
        prune: Whether what the file lacks is to go.
    """
    found = []
    for kind in KINDS:
        held: Mapping[str, Right] = getattr(snapshot, FIELDS[kind])
        ids = held.keys() | {id_ for of, id_ in wanted if of == kind}
        for id_ in sorted(ids):
            before, after = held.get(id_), wanted.get((kind, id_))
            if before == after or (after is None and not prune):
                continue
            found.append(
                Difference(
                    sign="+" if before is None else "-" if after is None else "~",
                    kind=kind,
                    id=id_,
                    before=None if before is None else _exported(before, with_secrets=False),
                    after=None if after is None else _exported(after, with_secrets=False),
                )
            )
    return tuple(found)


def apply(text: str, *, prune: bool) -> Edit:
    """Make the edit that brings the rights to what a file says.

    Puts come before removals, what is named before what names it, so that each step fits the rest.

    Raises, when run:
        InvalidRightError: If the file is wrong, or what it says does not fit.
    """

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        wanted = parse(text, snapshot)
        for (kind, id_), right in wanted.items():
            yield Change(kind=kind, id=id_, right=right)
        for kind in reversed(KINDS) if prune else ():
            for id_ in sorted(getattr(snapshot, FIELDS[kind]).keys(), reverse=True):
                if (kind, id_) not in wanted:
                    yield Change(kind=kind, id=id_, right=None)

    return edit


def _exported(right: Right, *, with_secrets: bool) -> dict[str, Any]:
    document = document_of(right)
    if isinstance(right, Key) and not with_secrets:
        del document["secrets"]
    return document


def _with_kept_secrets(kind: Kind, entry: Any, snapshot: PolicySnapshot) -> Any:
    if kind != "key" or not isinstance(entry, dict) or "secrets" in entry:
        return entry
    known = snapshot.keys.get(str(entry.get("id")))
    if known is None:
        raise InvalidRightError(
            f"key {entry.get('id')!r} is not there, and a file without secrets can't make it: "
            "`dinamis-flux key create` does"
        )
    return {**entry, "secrets": document_of(known)["secrets"]}


class _NoAliases(yaml.SafeLoader):
    """Reads YAML without anchors and aliases, which make small files large, and without double names."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases are not read", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = [key.value for key, _ in node.value if isinstance(key.value, str)]
        twice = next((key for key, _ in node.value if names.count(key.value) > 1), None)
        if twice is not None:
            raise yaml.MarkedYAMLError(
                problem=f"{twice.value!r} stands there twice", problem_mark=twice.start_mark
            )
        return super().construct_mapping(node, deep=deep)


# dates stay text: the documents of rights read them themselves, and strictly
_NoAliases.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _load(text: str) -> dict[str, Any]:
    if len(text) > LARGEST_FILE:
        raise InvalidRightError(f"the file has more than {LARGEST_FILE // 10**6} million characters")
    try:
        document = yaml.load(text, Loader=_NoAliases)  # noqa: S506 - a SafeLoader that reads less
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidRightError(f"the file is no YAML: {where}{error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidRightError(f"the file is no YAML: {type(error).__name__}") from None
    if not isinstance(document, dict):
        raise InvalidRightError("the file must be a mapping of lists, as `rights export` writes it")
    return document


class _Flow(dict[str, Any]):
    """A mapping that is written on one line: a GeoJSON geometry."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Flow,
    lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True),
)


def _dump(document: dict[str, list[dict[str, Any]]]) -> str:
    shaped = {name: [_shaped(entry) for entry in entries] for name, entries in document.items()}
    return yaml.dump(shaped, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10**9)


def _shaped(entry: Any) -> Any:
    if isinstance(entry, dict):
        if "coordinates" in entry:
            return _Flow({name: _lists(value) for name, value in entry.items()})
        return {name: _shaped(value) for name, value in entry.items()}
    return [_shaped(value) for value in entry] if isinstance(entry, list | tuple) else entry


def _lists(value: Any) -> Any:
    return [_lists(each) for each in value] if isinstance(value, list | tuple) else value


def _told(document: Mapping[str, Any]) -> str:
    hidden = {"id", "created", "created_by"}
    return ", ".join(f"{name} {_short(value)}" for name, value in document.items() if name not in hidden)


def _short(value: Any) -> str:
    if isinstance(value, dict) and "coordinates" in value:
        return f"a {value['type']}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} {_short(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return " ".join(_short(part) for part in value) or "none"
    return "not said" if value is None else str(value)
