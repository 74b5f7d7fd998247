"""XML of strangers: what is well-formed is read, what could be a bomb is not, in whatever encoding."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mosaics.products.delivery import DeliveryUnreadableError
from mosaics.products.xml import instant, parse_xml, plain, text_of, whole_of


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "a.xml").write_bytes(text.encode(encoding))
    return folder / "a.xml"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_encodings_are_read_and_entities_are_not(tmp_path: Path, encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding.upper()}"?>'
    assert parse_xml(written(tmp_path, f"{head}<a>é</a>", encoding)).text == "é"
    bomb = f'{head}<!DOCTYPE a [<!ENTITY b "ccc">]><a>&b;</a>'
    with pytest.raises(DeliveryUnreadableError, match="defines entities"):
        parse_xml(written(tmp_path, bomb, encoding))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<?xml version="1.0" encoding="foo"?><a/>', "encoding"),
        ('<?xml version="1.0" encoding="utf-7"?><a/>', "encoding"),
        ("<a>\n<b></a>", r"no well-formed XML \(line 2\)"),
        ("", "no well-formed XML"),
        ("<a>\n\n<b:c/></a>", r"no well-formed XML \(line 3\)"),
        (
            '<?xml version="1.0" encoding="cp037"?><a/>'.encode("cp037").decode("latin-1"),
            "no well-formed XML",
        ),
    ],
)
def test_what_is_not_read_is_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DeliveryUnreadableError, match=words):
        parse_xml(written(tmp_path, text))


def test_name_spaces_are_taken_off(tmp_path: Path) -> None:
    root = parse_xml(written(tmp_path, '<a xmlns="urn:x" xmlns:y="urn:y"><!-- c --><y:b>1</y:b></a>'))
    assert text_of(root, "b") is None
    assert text_of(plain(root), "b") == "1"


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
