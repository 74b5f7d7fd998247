"""The frozen registry and the loading of its files."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError, dataclass

import pytest

from mosaics import registry as registry_module
from mosaics.errors import DataFileInvalidError
from mosaics.models import Text
from mosaics.registry import Registry, check_keys, load_registry, parse_source, parse_text
from mosaics.styles import load_styles


@dataclass(frozen=True)
class Thing:
    id: str
    size: int = 0


def parse(document):
    check_keys(document, frozenset({"id", "size"}), frozenset())
    return Thing(id=document["id"], size=document["size"])


@pytest.fixture
def built_in(tmp_path, monkeypatch):
    folder = tmp_path / "built-in"
    (folder / "things").mkdir(parents=True)
    monkeypatch.setattr(registry_module, "BUILT_IN", folder)
    write(folder / "things", Thing("a", 1), Thing("b", 2))
    return folder / "things"


def write(folder, *things):
    folder.mkdir(exist_ok=True)
    for thing in things:
        (folder / f"{thing.id}.json").write_text(json.dumps({"id": thing.id, "size": thing.size}))


def test_register_gives_a_new_registry_and_leaves_the_old_one():
    first = Registry({"a": Thing("a")})
    second = first.register({"b-c": Thing("b-c")}, a=Thing("a", 5))
    assert first.list() == ("a",)
    assert first.get("a").size == 0
    assert second.list() == ("a", "b-c")
    assert second.values() == (Thing("a", 5), Thing("b-c"))
    assert "b-c" in second
    assert len(second) == 2


def test_nobody_changes_a_registry():
    source = {"a": Thing("a")}
    registry = Registry(source)
    source["b"] = Thing("b")
    assert registry.list() == ("a",)
    with pytest.raises(TypeError):
        registry.items["b"] = Thing("b")
    with pytest.raises(FrozenInstanceError):
        registry.items = {}


def test_a_value_stands_under_its_own_id():
    with pytest.raises(ValueError, match="'a' is registered as 'b'"):
        Registry({"b": Thing("a")})


def test_an_unknown_id_is_a_key_error():
    with pytest.raises(KeyError):
        Registry().get("a")


@pytest.mark.parametrize("nested", [True, False])
def test_an_extra_folder_adds_and_overrides(built_in, tmp_path, nested):
    extra = tmp_path / "extra"
    extra.mkdir()
    write(extra / "things" if nested else extra, Thing("b", 20), Thing("c", 3))
    registry = load_registry("things", parse, extra)
    assert [(thing.id, thing.size) for thing in registry.values()] == [("a", 1), ("b", 20), ("c", 3)]
    assert load_registry("things", parse).get("b").size == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"id": "x", "size": 1, "colour": 2}', "unknown: colour"),
        ('{"id": "x"}', "missing: size"),
        ('{"id": "y", "size": 1}', "is not its file name"),
        ("[]", "not a JSON object"),
        ("{", "Expecting"),
        ('{"size": 1}', "missing: id"),
    ],
)
def test_a_file_that_breaks_a_rule_is_named(built_in, text, says):
    (built_in / "x.json").write_text(text)
    with pytest.raises(DataFileInvalidError, match=f"x\\.json: .*{says}"):
        load_registry("things", parse)


def test_an_extra_folder_that_is_none_is_told(built_in, tmp_path):
    with pytest.raises(DataFileInvalidError, match="is not a folder"):
        load_registry("things", parse, tmp_path / "nowhere")


def test_texts_and_sources():
    assert parse_text({"fr": "Été", "en": "Summer"}) == Text(fr="Été", en="Summer")
    assert parse_source("a") == ("a",)
    assert parse_source(["a", "b"]) == ("a", "b")
    for wrong in ("Été", {"fr": "Été"}, {"fr": "Été", "en": " "}, {"fr": "Été", "en": "S", "de": "S"}):
        with pytest.raises(ValueError, match="text"):
            parse_text(wrong)
    for nothing in ("", [], ["a", " "]):
        with pytest.raises(ValueError, match="source"):
            parse_source(nothing)


def test_a_registry_may_be_sent_to_another_process():
    styles = load_styles()
    assert pickle.loads(pickle.dumps(styles)).items == styles.items
