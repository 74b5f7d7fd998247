"""Addresses of objects and prefixes: one way to write each, and nothing that leads elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosaics.places import ObjectAddress, ObjectPrefix, is_object, lies_below


@pytest.mark.parametrize("text", ["s3://abc/a.tif", "s3://a-b.c1/2024/05/IMG_1.tif", "s3://abc/..a/b"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(ObjectAddress.parse(text)) == text
    assert is_object(text)


WRONG = [
    "", "s3:", "s3://", "s3://abc", "s3://abc/", "s3:/abc/a", "S3://abc/a", "https://abc/a", "/abc/a", "a/b",
    "s3://ab/a", "s3://ABC/a", "s3://-bc/a", "s3://a..b/a", "s3://abc:9000/a", "s3://user@abc/a",
    "s3://abc//a", "s3://abc/a//b", "s3://abc/a/", "s3://abc/./a", "s3://abc/a/../b", "s3://abc/..", "s3://abc/.",
    "s3://abc/a b", "s3://abc/a?b", "s3://abc/a#b", "s3://abc/a%2e", "s3://abc/é", "s3://abc/a\n", "s3://abc/a\x00",
    "s3://abc/\\a", "s3://abc/a*",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_address_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="use s3://"):
        ObjectAddress.parse(text)
    assert not lies_below(text, (ObjectPrefix("abc", ""), ObjectPrefix("ABC", "")))


def test_a_prefix_is_like_a_folder() -> None:
    assert ObjectPrefix.parse("s3://abc") == ObjectPrefix.parse("s3://abc/") == ObjectPrefix("abc", "")
    assert ObjectPrefix.parse("s3://abc/x/y") == ObjectPrefix.parse("s3://abc/x/y/")
    assert str(ObjectPrefix.parse("s3://abc/x")) == "s3://abc/x/"
    for text in ("s3://", "s3://abc//", "s3://abc/x/../", "s3://abc/x//y", "/srv"):
        with pytest.raises(ValueError, match="use s3://"):
            ObjectPrefix.parse(text)


@pytest.mark.parametrize(
    ("href", "below"),
    [
        ("s3://abc/x/a.tif", True),
        ("s3://abc/x/y/a.tif", True),
        ("s3://abc/xy/a.tif", False),
        ("s3://abc/x", False),
        ("s3://abc/x/../y/a.tif", False),
        ("s3://abcd/x/a.tif", False),
        ("s3://whole/a.tif", True),
        ("s3://other/a.tif", False),
    ],
)
def test_what_lies_below_a_prefix(tmp_path: Path, href: str, below: bool) -> None:
    roots = (tmp_path.resolve(), ObjectPrefix.parse("s3://abc/x/"), ObjectPrefix.parse("s3://whole"))
    assert lies_below(href, roots) is below


def test_a_path_never_lies_below_a_prefix_nor_an_object_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not lies_below("s3://abc/a.tif", (Path.cwd(), Path("/")))
    assert not lies_below(str(tmp_path / "a.tif"), (ObjectPrefix.parse("s3://abc"),))
    assert lies_below(str(tmp_path / "a.tif"), (tmp_path.resolve(),))
