"""What a file of rights would change, told so that a person can review it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import shapely
from shapely.geometry import shape

from auth.audit import Change
from auth.documents import FIELDS, KINDS
from auth.models import Kind, Right
from auth.reach import new_area
from auth.snapshot import PolicySnapshot
from server.rights_file import RightsFile, changes_to, exported

Sign = Literal["+", "~", "-", "="]
"""Added, changed, removed; or not in the file and kept."""

_HIDDEN: Final = frozenset({"id", "created", "created_by"})
_LONG: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One right that is not as the file says."""

    sign: Sign
    kind: Kind
    id: str
    before: Mapping[str, Any] | None
    """Its document, as the file would hold it; None: there is none."""
    after: Mapping[str, Any] | None

    def line(self) -> str:
        """Write it for a person."""
        head = f"{self.sign} {self.kind} {self.id}"
        if self.sign == "=":
            return f"{head}: not in the file, kept (--prune removes it)"
        if self.before is None or self.after is None:
            return f"{head}{_told(self.after or self.before or {})}"
        names = [*self.before, *(name for name in self.after if name not in self.before)]
        parts = [
            f"{_word(name)} {_value(name, self.before.get(name))} -> {_value(name, self.after.get(name))}"
            for name in names
            if self.before.get(name) != self.after.get(name)
        ]
        return f"{head}: {'; '.join(parts) or 'its secrets'}"

    def document(self) -> dict[str, Any]:
        """Write it for programs."""
        return {
            "sign": self.sign,
            "kind": self.kind,
            "id": self.id,
            "before": self.before,
            "after": self.after,
        }


def differences(
    snapshot: PolicySnapshot, wanted: Mapping[tuple[Kind, str], Right], *, prune: bool
) -> tuple[Difference, ...]:
    """Compare the rights with what a file says.

    Args:
        snapshot: The rights as they are.
        wanted: What the file says.
        prune: Whether what the file lacks is to go.

    Returns:
        By kind and id; what the file lacks is among them, removed or kept.
    """
    found = []
    for kind in KINDS:
        held: Mapping[str, Right] = getattr(snapshot, FIELDS[kind])
        ids = held.keys() | {id_ for of, id_ in wanted if of == kind}
        for id_ in sorted(ids):
            before, after = held.get(id_), wanted.get((kind, id_))
            if before == after:
                continue
            sign: Sign = "+" if before is None else "~" if after is not None else "-" if prune else "="
            found.append(
                Difference(
                    sign=sign,
                    kind=kind,
                    id=id_,
                    before=None if before is None else exported(before),
                    after=None if after is None else exported(after),
                )
            )
    return tuple(found)


class Application:
    """Brings the rights to what a file says, and tells what that changed."""

    def __init__(self, file: RightsFile, *, prune: bool) -> None:
        self._file = file
        self._prune = prune
        self.differences: tuple[Difference, ...] = ()
        """Of the last run of the edit."""
        self.revived: tuple[str, ...] = ()
        """Keys that stay revoked though the file does not say so."""
        self.unapproved: tuple[str, ...] = ()
        """Crisis grants whose approvals in the file nobody gave."""

    def edit(self, snapshot: PolicySnapshot) -> Iterator[Change]:
        """Give the changes, as an edit of rights.

        Raises:
            InvalidRightError: If the file can't be applied to these rights.
        """
        wanted, self.revived = self._file.wanted(snapshot), self._file.revived(snapshot)
        self.unapproved = self._file.unapproved(snapshot)
        self.differences = differences(snapshot, wanted, prune=self._prune)
        return changes_to(snapshot, wanted, prune=self._prune)


def changed(found: Iterable[Difference]) -> int:
    """Count the rights that are changed, not those that are only kept."""
    return sum(each.sign != "=" for each in found)


def _told(document: Mapping[str, Any]) -> str:
    """Tell what a right says, to whom first: ` sdis31: collections spot, actions tile, area everywhere`."""
    whom = document.get("grantee") or document.get("institution_id")
    parts = [
        f"{_word(name)} {_value(name, value)}".strip()
        for name, value in document.items()
        if name not in _HIDDEN and name not in {"grantee", "institution_id"}
    ]
    return f"{f' {whom}' if whom else ''}: {', '.join(parts)}"


def _word(name: str) -> str:
    return "" if name == "selector" else name


def _value(name: str, value: Any) -> str:
    if value is None:
        return _unsaid(name)
    if isinstance(value, dict) and "coordinates" in value:
        return _area(value)
    if isinstance(value, dict) and value.keys() <= {"ground_resolution", "times_pan"}:
        said = ((value.get("times_pan"), "xpan"), (value.get("ground_resolution"), " m"))
        return ",".join(f"{number:g}{unit}" for number, unit in said if number is not None)
    if isinstance(value, dict):
        inner = ", ".join(f"{part} {_value(part, inner)}" for part, inner in value.items())
        return inner if name == "selector" else f"({inner})"
    if isinstance(value, list | tuple):
        return " ".join(_value("", part) for part in value) or "none"
    text = ("no", "yes")[value] if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def _unsaid(name: str) -> str:
    """Tell what it means that a field is not said."""
    return {
        "holder": "native",
        "public": "off",
        "partner": "off",
        "selector": "any scene",
        "acquired": "any time",
        "valid": "always",
        "finest_ground_resolution": "native",
        "actions": "the usual ones",
        "delegable": "depth 1",
        "status": "active",
        "role": "reader",
    }.get(name, "not said")


def _area(geometry: Mapping[str, Any]) -> str:
    """Tell an area apart from others: where it is, how many vertices, and a digest."""
    area = new_area(shapely.to_wkb(shape(geometry)))
    outline = shapely.from_wkb(area.wkb)
    west, south, east, north = outline.bounds
    return (
        f"{area.digest} ({shapely.get_num_coordinates(outline)} vertices within "
        f"{west:.4f},{south:.4f},{east:.4f},{north:.4f})"
    )
