"""Reads XML of deliveries, which strangers may have written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from mosaics.products.delivery import DeliveryUnreadableError

Element = ET.Element

_LARGEST: Final = 64_000_000
"""Bytes of a metadata file; the largest known have less than one million."""


def parse_xml(path: Path) -> Element:
    """Parse a metadata file, without entities of its own: no delivery has any, and some are bombs.

    Raises:
        DeliveryUnreadableError: If it is no XML that is read here.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise DeliveryUnreadableError(f"{path.name}: it is too large for metadata")
        text = path.read_bytes()
        _refuse_entities(text, path)
        return ET.fromstring(text)  # noqa: S314 - without entities there is nothing to expand
    except expat.ExpatError as error:
        raise DeliveryUnreadableError(
            f"{path.name}: it is no well-formed XML (line {error.lineno}); copy it again"
        ) from error
    except (LookupError, ValueError, ET.ParseError) as error:
        raise DeliveryUnreadableError(
            f"{path.name}: it is in an encoding or form that is not read here"
        ) from error
    except OSError as error:
        raise DeliveryUnreadableError(f"{path.name}: it can't be read: {error.strerror}") from error


def _refuse_entities(text: bytes, path: Path) -> None:
    """Refuse a document type, by the parser itself: looking for its bytes would miss other encodings."""

    def refuse(*_: object) -> None:
        raise DeliveryUnreadableError(f"{path.name}: it defines entities, which no product does")

    parser = expat.ParserCreate(namespace_separator="}")  # as ElementTree: so it finds unbound prefixes too
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(text, True)  # noqa: FBT003 - its second argument has no name


def text_of(element: Element | None, path: str) -> str | None:
    """Give the text of the first element of a path; None where there is none or it is empty."""
    found = None if element is None else element.find(path)
    text = (found.text or "").strip() if found is not None else ""
    return text or None


def number_of(element: Element | None, path: str) -> float | None:
    """Give the number of the first element of a path; None where there is none: templates hold words."""
    text = text_of(element, path)
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole_of(element: Element | None, path: str) -> int | None:
    """Give the whole number of the first element of a path; None where there is none."""
    value = number_of(element, path)
    return int(value) if value is not None and value == int(value) else None


def instant_of(element: Element | None, path: str) -> datetime | None:
    """Give the instant of the first element of a path, in UTC; None where there is none."""
    return instant(text_of(element, path))


def instant(text: str | None) -> datetime | None:
    """Give an instant written as ISO 8601, UTC where it names no zone; None where it is none."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if found is None:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def plain(root: Element) -> Element:
    """Take the name spaces off: they change from version to version, the names do not.

    Args:
        root: Of a document; it is changed.

    Returns:
        The same element.
    """
    for each in root.iter():
        if isinstance(each.tag, str):
            each.tag = each.tag.rpartition("}")[2]
    return root


def descendants(element: Element, name: str) -> Iterator[Element]:
    """Give all elements of a name, however deep: profiles put them at different places."""
    return element.iter(name)


def inside(folder: Path, href: str | None, named_in: Path) -> Path:
    """Give a file that a delivery names; it must lie in the delivery.

    Args:
        folder: Of the file that names it.
        href: As it stands there.
        named_in: The file, for the error.

    Raises:
        DeliveryUnreadableError: If it would lead elsewhere.
    """
    if (
        not href
        or "://" in href
        or Path(href).is_absolute()
        or ".." in Path(href).parts
        or "\\" in href
        or "\0" in href
    ):
        raise DeliveryUnreadableError(f"{named_in.name}: it names a file outside the delivery")
    path = folder / href
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DeliveryUnreadableError(f"{named_in.name}: {Path(href).name} leads out of the delivery")
    return path
