"""Optional words of deliveries become values, or nothing where templates hold something else."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from mosaics.products.xml import instant, plain, text_of, whole_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2008-03-10T13:32:20.5Z", datetime(2008, 3, 10, 13, 32, 20, 500000, tzinfo=UTC)),
        ("2008-03-10T13:32:20", datetime(2008, 3, 10, 13, 32, 20, tzinfo=UTC)),
        ("2008-03-10T15:32:20+02:00", datetime(2008, 3, 10, 13, 32, 20, tzinfo=UTC)),
        ("rawDataStartTime", None),
        ("", None),
        (None, None),
    ],
)
def test_instants_are_of_utc(text: str | None, found: datetime | None) -> None:
    assert instant(text) == found


@pytest.mark.parametrize(
    ("text", "found"), [("7", 7), ("1.0E0", 1), ("1.5", None), ("nan", None), ("x", None)]
)
def test_whole_numbers_are_whole(text: str, found: int | None) -> None:
    root = ET.fromstring(f"<a><b>{text}</b></a>")
    assert whole_of(root, "b") == found
    assert whole_of(root, "c") is None


def test_names_lose_their_spaces() -> None:
    root = plain(ET.fromstring('<x:a xmlns:x="urn:x"><!-- kept --><b xmlns="urn:y">1</b></x:a>'))
    assert (root.tag, text_of(root, "b")) == ("a", "1")
