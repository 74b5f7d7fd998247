"""All rights as one YAML file, for review in git: written in a stable order, read strictly, applied whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import yaml

from auth.audit import Change
from auth.documents import FIELDS, KINDS, document_of, right_of
from auth.errors import InvalidRightError
from auth.models import Grant, GrantKind, Key, KeySecret, Kind, Right
from auth.rules import approvals_held
from auth.snapshot import PolicySnapshot

LARGEST_FILE: Final = 30_000_000
"""Characters."""

VERSION: Final = 1
"""Of the file's form; it stands in it as `rights: 1`."""

_HEAD: Final = "# All rights of a dinamis-flux installation. See `dinamis-flux rights --help`.\n"
_ODD_ENDS: Final = frozenset("\r\x85\u2028\u2029")
_NO_SECRET: Final = KeySecret(number=1, hmac=bytes(32), pepper_version=1)
_LONGEST_ECHO: Final = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class RightsFile:
    """What a file says."""

    rights: Mapping[tuple[Kind, str], Right]
    """By kind and id, those that others name first. A key without secrets has one that opens nothing."""
    bare_keys: frozenset[str]
    """Ids of the keys that the file gives without secrets."""

    def wanted(self, snapshot: PolicySnapshot) -> Mapping[tuple[Kind, str], Right]:
        """Give the rights of the file, with what no file changes.

        Keys without secrets have those that they have, revoked ones stay so, and crisis grants have the
        approvals that they have.

        Args:
            snapshot: The rights as they are.

        Raises:
            InvalidRightError: If a key without secrets is not there; it names all of them.
        """
        unknown = sorted(self.bare_keys - snapshot.keys.keys())
        if unknown:
            raise InvalidRightError(
                f"keys {', '.join(unknown)} are not there, and a file without secrets can't make them: "
                "make them with `dinamis-flux key create`, or export with --with-secrets"
            )
        found = dict(self.rights)
        for key_id in self.bare_keys:
            key = cast("Key", found["key", key_id])
            found["key", key_id] = replace(key, secrets=snapshot.keys[key_id].secrets)
        for key_id in self.revived(snapshot):
            key = cast("Key", found["key", key_id])
            found["key", key_id] = replace(key, revoked=snapshot.keys[key_id].revoked)
        for grant in self._crises():
            found["grant", grant.id] = replace(grant, approvals=approvals_held(snapshot, grant))
        return found

    def unapproved(self, snapshot: PolicySnapshot) -> tuple[str, ...]:
        """Give the ids of crisis grants with approvals that the file says and that nobody gave.

        Whoever writes a file would approve in the name of others; so a grant keeps the approvals that were
        given to exactly what it says, and a file brings none.
        """
        return tuple(
            grant.id
            for grant in self._crises()
            if not set(grant.approvals) <= set(approvals_held(snapshot, grant))
        )

    def _crises(self) -> list[Grant]:
        return [
            right
            for right in self.rights.values()
            if isinstance(right, Grant) and right.kind is GrantKind.CRISIS
        ]

    def revived(self, snapshot: PolicySnapshot) -> tuple[str, ...]:
        """Give the ids of revoked keys that the file says are not; they stay revoked.

        An older file would open them again, and revoking is for good.
        """
        return tuple(
            right.id
            for right in self.rights.values()
            if isinstance(right, Key)
            and right.revoked is None
            and right.id in snapshot.keys
            and snapshot.keys[right.id].revoked is not None
        )


def export(snapshot: PolicySnapshot, *, with_secrets: bool = False) -> str:
    """Write all rights as YAML; without the hashes of keys unless they are asked for."""
    parts = [_HEAD, f"rights: {VERSION}\n"]
    for kind in KINDS:
        held = getattr(snapshot, FIELDS[kind])
        documents = [exported(held[id_], with_secrets=with_secrets) for id_ in sorted(held)]
        if documents:
            parts.append("\n" + _dump({FIELDS[kind]: documents}))
    return "".join(parts)


def document_of_all(snapshot: PolicySnapshot) -> dict[str, Any]:
    """Give all rights as `export` writes them, without secrets, for programs that read JSON."""
    held = {FIELDS[kind]: getattr(snapshot, FIELDS[kind]) for kind in KINDS}
    lists = {name: [exported(rights[id_]) for id_ in sorted(rights)] for name, rights in held.items()}
    return {"rights": VERSION, **lists}


def exported(right: Right, *, with_secrets: bool = False) -> dict[str, Any]:
    """Write one right as it stands in the file."""
    document = document_of(right)
    if isinstance(right, Key) and not with_secrets:
        del document["secrets"]
    return document


def parse(text: str) -> RightsFile:
    """Read a file of rights.

    Args:
        text: YAML, or JSON.

    Raises:
        InvalidRightError: If it is malformed, says something unknown, or names one right twice; the message
            says where.
    """
    document = _load(text)
    if document.get("rights") != VERSION:
        raise InvalidRightError(f"the file must say `rights: {VERSION}`")
    unknown = sorted(str(part) for part in document if part not in {"rights", *FIELDS.values()})
    if unknown:
        raise InvalidRightError(f"the file has an unknown part: {unknown[0][:_LONGEST_ECHO]}")
    rights: dict[tuple[Kind, str], Right] = {}
    bare: set[str] = set()
    for kind in KINDS:
        entries = document.get(FIELDS[kind]) or []
        if not isinstance(entries, list):
            raise InvalidRightError(f"{FIELDS[kind]} must be a list")
        for place, entry in enumerate(entries, start=1):
            where = f"{FIELDS[kind]}, entry {place}{_called(entry)}"
            right, is_bare = _read(kind, entry, where)
            if (kind, right.id) in rights:
                raise InvalidRightError(f"{where}: the id stands there twice")
            rights[kind, right.id] = right
            if is_bare:
                bare.add(right.id)
    return RightsFile(rights=rights, bare_keys=frozenset(bare))


def changes_to(
    snapshot: PolicySnapshot, wanted: Mapping[tuple[Kind, str], Right], *, prune: bool
) -> Iterator[Change]:
    """Give the changes that bring the rights to what a file says, in an order in which each step fits.

    Puts come before removals; what is named comes before what names it when put, and after when removed.

    Args:
        snapshot: The rights as they are.
        wanted: What the file says.
        prune: Whether what the file lacks is to go.
    """
    for kind in KINDS:
        rights = [right for (of, _), right in wanted.items() if of == kind]
        puts = _key_puts(snapshot, cast("list[Key]", rights)) if kind == "key" else rights
        for right in puts:
            yield Change(kind=kind, id=right.id, right=right)
    for kind in reversed(KINDS) if prune else ():
        held: Iterable[Right] = getattr(snapshot, FIELDS[kind]).values()
        if kind == "key":
            held = reversed(_parents_first(cast("Iterable[Key]", held)))
        for right in held:
            if (kind, right.id) not in wanted:
                yield Change(kind=kind, id=right.id, right=None)


def _key_puts(snapshot: PolicySnapshot, keys: list[Key]) -> Iterator[Key]:
    """Put parents first; one that is new and revoked is so only once the keys below it are there."""
    parents = {key.parent_id for key in keys}
    dead = []
    for key in _parents_first(keys):
        if key.revoked is not None and key.id in parents and key.id not in snapshot.keys:
            dead.append(key)
            yield replace(key, revoked=None)
        else:
            yield key
    yield from dead


def _parents_first(keys: Iterable[Key]) -> list[Key]:
    by_id = {key.id: key for key in keys}
    ordered: dict[str, Key] = {}
    for lowest in by_id.values():
        above: list[Key] = []
        key: Key | None = lowest
        while key is not None and key.id not in ordered and key not in above:
            above.append(key)
            key = by_id.get(key.parent_id or "")
        ordered.update((each.id, each) for each in reversed(above))
    return list(ordered.values())


def _called(entry: Any) -> str:
    id_ = entry.get("id") if isinstance(entry, dict) else None
    return f" ({id_[:_LONGEST_ECHO]})" if isinstance(id_, str) else ""


def _read(kind: Kind, entry: Any, where: str) -> tuple[Right, bool]:
    """Read one entry, and tell whether it is a key without secrets."""
    bare = kind == "key" and isinstance(entry, dict) and "secrets" not in entry
    try:
        return right_of(kind, {**entry, "secrets": [_NO_SECRET]} if bare else entry), bare
    except InvalidRightError as error:
        raise InvalidRightError(f"{where}: {error}") from None


class _Loader(yaml.SafeLoader):
    """Reads YAML without anchors and aliases, which make small files large, and without double names."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call] # untyped in its stubs
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases are not read", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for name, _ in node.value:
            if name.value == "<<" or not isinstance(name.value, str):
                raise yaml.MarkedYAMLError(problem="names are words", problem_mark=name.start_mark)
            if name.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{name.value[:_LONGEST_ECHO]!r} stands there twice", problem_mark=name.start_mark
                )
            seen.add(name.value)
        return super().construct_mapping(node, deep=deep)


# dates stay text: the documents of rights read them themselves, and strictly
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _load(text: str) -> dict[str, Any]:
    if len(text) > LARGEST_FILE:
        raise InvalidRightError(f"the file has more than {LARGEST_FILE // 10**6} million characters")
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader that reads less
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        what = " ".join(word for word in (error.context, error.problem) if word)
        raise InvalidRightError(f"the file is no YAML: {where}{what}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidRightError(f"the file is no YAML: line {line}: {error.reason}") from None
    except RecursionError:
        raise InvalidRightError("the file is no YAML of rights: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidRightError(f"the file is no YAML: {type(error).__name__}") from None
    if not isinstance(document, dict):
        raise InvalidRightError("the file must be a mapping of lists, as `rights export` writes it")
    return document


class _Flow(dict[str, Any]):
    """A mapping that is written on one line: a GeoJSON geometry."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _words(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Write text; line ends that are not of Unix are lost unless they are escaped."""
    style = '"' if _ODD_ENDS.intersection(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _words)
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
