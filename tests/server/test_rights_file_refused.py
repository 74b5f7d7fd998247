"""A file of rights that is wrong, or too large, is refused and the place is named."""

from __future__ import annotations

import pytest

from auth.errors import InvalidRightError
from server.rights_file import parse

POLYGON = """rights: 1
grants:
- id: g
  grantee: a
  created: 2026-01-01T00:00:00Z
  area: {{type: Polygon, coordinates: [{}]}}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a mapping"),
        ("- a\n", "must be a mapping"),
        ("institutions: []\n", "must say `rights: 1`"),
        ("rights: 2\n", "must say `rights: 1`"),
        ("rights: 1\nusers: []\n", "unknown part: users"),
        ("rights: 1\ngroups: {a: 1}\n", "groups must be a list"),
        ("rights: 1\ngroups: a\n", "groups must be a list"),
        ("rights: 1\ngroups: [a]\n", "groups, entry 1: "),
        ("rights: 1\ngroups:\n- id: a\n  name: b\n  colour: red\n", "groups, entry 1 (a): group: colour"),
        (
            "rights: 1\ngroups:\n- {id: a, name: b}\n- {id: a, name: b}\n",
            "entry 2 (a): the id stands there tw",
        ),
        ("rights: 1\ngroups:\n- {id: a, id: b, name: c}\n", "line 3, column 11: 'id' stands there twice"),
        ("rights: 1\nrights: 1\n", "line 2, column 1: 'rights' stands there twice"),
        ("rights: 1\ngroups:\n- &x {id: a, name: b}\n- *x\n", "line 3, column 3: anchors and aliases"),
        ("rights: 1\ngroups:\n- <<: {id: a}\n  name: b\n", "line 3, column 3: names are words"),
        ("rights: 1\n? [a]\n: b\n", "names are words"),
        ("rights: 1\ngroups: !!python/object/apply:os.getcwd []\n", "line 2, column 9: could not determine"),
        ("rights: 1\ngroups: [\n", "line 3, column 1: "),
        ("rights: 1\n\tgroups: []\n", "line 2, column 1: "),
        ("rights: 1\n\ngroups: \x00\n", "line 3: special characters"),
        ("rights: 1\n---\nrights: 1\n", "expected a single document"),
        ("rights: 1\ngroups: " + "[" * 5000, "nested too deeply"),
        (
            "rights: 1\nkeys:\n- {id: short, institution_id: a, url_allowed: true, label: '', created: x}\n",
            "(short)",
        ),
        ("rights: 1\ngrants:\n- {id: g, grantee: a, created: 2026-01-01T00:00:00Z}\n", "(g): grant: area"),
        (
            "rights: 1\ngrants:\n- {id: g, grantee: a, area: everywhere, created: 2026-01-01}\n",
            "grants, entry 1 (g): grant: created",
        ),
        (
            POLYGON.format("[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]"),
            "not a valid polygon",
        ),
        (
            POLYGON.format("[[652000, 6860000], [653000, 6860000], [653000, 6861000], [652000, 6860000]]"),
            "longitude and latitude",
        ),
        (
            "rights: 1\nforbids:\n- {id: f, area: everywhere, reason: r, created: never}\n",
            "(f): forbid: created",
        ),
    ],
)
def test_a_wrong_file_is_refused_and_the_place_is_named(text: str, said: str) -> None:
    with pytest.raises(InvalidRightError) as refused:
        parse(text)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 500


def test_small_files_that_would_grow_large_are_refused_at_once() -> None:
    bomb = "rights: 1\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    with pytest.raises(InvalidRightError, match="line 2, column 4: anchors"):
        parse(bomb)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.rights_file.LARGEST_FILE", 100)
    with pytest.raises(InvalidRightError, match="million characters"):
        parse("rights: 1\n" + "# x\n" * 50)


def test_a_long_wrong_word_is_not_echoed_whole() -> None:
    with pytest.raises(InvalidRightError) as refused:
        parse("rights: 1\n" + "x" * 5000 + ": 1\n")
    assert len(str(refused.value)) < 200
