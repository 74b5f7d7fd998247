"""Which of DIMAP's documents a file is, by its root element and its profile, whatever it is called."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from xml.parsers import expat

DimapKind = Literal["volume", "dataset", "scene", "internal", "part"]
"""volume and dataset: of DIMAP 2; scene: DIMAP 1 of SPOT; internal: CNES' own format of Pléiades; part: what
belongs to one of them (RPC, LUT, strip, lineage) or is of a family that is not read here."""

_ENDINGS: Final = frozenset({".xml", ".dim"})
_HEAD: Final = 8192
"""Bytes in which a document says what it is; real ones do within 700."""
_DATASET: Final = "PRODUCT"
_SCENE: Final = re.compile(r"SPOT.*", re.IGNORECASE)
"""Profiles of DIMAP 1; one may be empty. Other families' (SNAP's BEAM-DATAMODEL) are not read here."""


@dataclass(kw_only=True, slots=True)
class _Head:
    """What was read so far of a document's head."""

    path: list[str] = field(default_factory=list)
    """Names of the open elements."""
    said: dict[str, str] = field(default_factory=dict)
    """Texts by names of elements, joined by slashes."""
    is_whole: bool = False
    """The element that identifies the document is closed."""


class _EnoughError(Exception):
    """Nothing more is asked of a document."""


def may_be_dimap(path: Path) -> bool:
    """Tell whether a file ends as such documents do."""
    return path.suffix.lower() in _ENDINGS


def dimap_kind(path: Path) -> DimapKind | None:
    """Tell which of DIMAP's documents a file is.

    Args:
        path: A file; only those that end in .xml or .dim are opened, and only their first bytes read.

    Returns:
        None if it is none, or does not say so at its beginning.
    """
    if not may_be_dimap(path):
        return None
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD)
    except OSError:
        return None
    head = _read(start)
    return _kind(head.said) if head.is_whole else None


def _read(start: bytes) -> _Head:
    """Read up to the end of the first element that identifies a document."""
    head = _Head()

    def begin(name: str, _: object) -> None:
        head.path.append(name.rpartition(":")[2])
        head.said["/".join(head.path)] = ""

    def text(found: str) -> None:
        head.said["/".join(head.path)] += found

    def end(_: str) -> None:
        head.is_whole = len(head.path) == 2 and head.path[1] in {"Metadata_Identification", "Metadata_Id"}
        head.path.pop()
        if head.is_whole:
            raise _EnoughError

    def refuse(*_: object) -> None:
        raise _EnoughError  # no product has a document type; whoever parses it whole says so

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, refuse
    with suppress(_EnoughError, expat.ExpatError, LookupError, ValueError):
        parser.Parse(start, False)  # noqa: FBT003 - its second argument has no name
    return head


def _kind(said: dict[str, str]) -> DimapKind | None:
    """Tell the kind by the texts of the identifying element."""
    texts = {name: text.strip() for name, text in said.items()}
    root, identity = next((name.split("/") for name in texts if name.count("/") == 1), ("", ""))

    def of(name: str) -> str | None:
        return texts.get(f"{root}/{identity}/{name}")

    form, profile, part = of("METADATA_FORMAT"), of("METADATA_PROFILE") or "", of("METADATA_SUBPROFILE")
    if root == "PHR_Dimap_Document" and form == "DIMAP_PHR":
        return "internal"
    if root != "Dimap_Document" or form != "DIMAP":
        return None
    if identity == "Metadata_Id":
        return "scene" if not profile or _SCENE.fullmatch(profile) else "part"
    if profile == "VOLUME":
        return "volume"
    return "dataset" if part == _DATASET else "part" if part else None
