"""What the documents say is what the code does: settings, commands, routes, the way of a tile, links."""

from __future__ import annotations

import ast
import importlib
import json
import re
import runpy
from pathlib import Path

import pytest

from mosaics.sensors import load_sensors
from mosaics.styles import load_styles
from tests.conftest import ROOT
from tests.syntax import tree_of

MADE = runpy.run_path(str(ROOT / "scripts" / "make_docs.py"), run_name="make_docs")
PAGE = runpy.run_path(str(ROOT / "scripts" / "sensors_page.py"), run_name="sensors_page")
PACKAGES = ("auth", "mosaics", "server")
MODULES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if "node_modules" not in path.parts
)
LONGEST = 450
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")])


@pytest.mark.parametrize("name", ["settings.md", "commands.md", "routes.md", "sensors.md"])
def test_the_committed_file_is_the_generated_one(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == MADE["files"]()[name], (
        "run scripts/make_docs.py"
    )


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    leaves = dict(MADE["leaves"]())
    assert len(leaves) > 20
    for name in leaves:
        row = next((line for line in text.splitlines() if f"| `{MADE['variable'](name)}` |" in line), None)
        assert row is not None, name
        assert all(len(cell.strip()) > 2 for cell in row.strip("|").split(" | ")), row


def test_a_setting_without_a_line_of_its_own_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "undocumented.py").write_text(
        "from pydantic import BaseModel\n\n"
        "class Group(BaseModel):\n    a: int = 1\n    '''Said.'''\n    b: int = 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyError, match="b"):
        MADE["attributes"](importlib.import_module("undocumented").Group)


def test_every_sensor_is_documented_and_says_what_it_was_tested_on() -> None:
    text = (ROOT / "docs" / "sensors.md").read_text(encoding="utf-8")
    rows = PAGE["tried"](load_sensors())
    for sensor in load_sensors().values():
        assert f"| `{sensor.id}` |" in text
        assert f"`--sensor {sensor.id}`" in text
        for said in rows[sensor.id].values():
            assert f": {said}.\n" in text
    for style in load_styles().values():
        assert f"| `{style.id}` | " in text


def test_a_sensor_without_a_row_of_its_own_is_found(tmp_path: Path) -> None:
    sensors = load_sensors()
    rows = {name: {"built": "something"} for name in sensors.list()}
    table = tmp_path / "tested.json"
    for change, words in (
        ({"new": {"built": "x"}}, "rows of no sensor: new"),
        ({"pleiades": {}}, "pleiades must say some of"),
        ({"pleiades": {"built": " "}}, "pleiades must say some of"),
        ({"pleiades": {"seen": "x"}}, "pleiades must say some of"),
    ):
        table.write_text(json.dumps(rows | change))
        with pytest.raises(KeyError, match=words):
            PAGE["tried"](sensors, table)
    table.write_text(json.dumps({name: row for name, row in rows.items() if name != "dsm"}))
    with pytest.raises(KeyError, match="says nothing of dsm"):
        PAGE["tried"](sensors, table)
    table.write_text(json.dumps(rows))
    assert PAGE["tried"](sensors, table) == rows


def test_every_command_and_option_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    whole = MADE["typer"].main.get_command(MADE["app"])
    sections = dict(re.findall(r"^## `([^`]+)`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    found = list(MADE["commands"](whole, ("dinamis-flux",)))
    assert {" ".join(words) for words, _ in found} == set(sections)
    for words, command in found:
        section = sections[" ".join(words)]
        assert command.help, words
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option == "--help" or f"`{option}`" in section, (words, option)


def test_every_route_is_documented() -> None:
    text = (ROOT / "docs" / "routes.md").read_text(encoding="utf-8")
    for route in MADE["all_routes"]():
        assert f"## `{route.path}`" in text
        assert route.summary in text
        for parameter in route.parameters:
            assert f"`{parameter.name}`" in text


def test_every_command_and_option_of_the_readme_exists() -> None:
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs/guides").glob("*.md"))
    )
    whole = MADE["typer"].main.get_command(MADE["app"])
    known = {" ".join(words[1:]): command for words, command in MADE["commands"](whole, ("dinamis-flux",))}
    lines = [
        line
        for line in re.findall(r"^(?:\$ )?dinamis-flux (.+)$", text, re.MULTILINE)
        if "[OPTIONS]" not in line
    ]
    assert len(lines) > 5
    for line in lines:
        words = re.sub(r"^--home \S+ ", "", line.partition("#")[0]).split()
        two, one = " ".join(words[:2]), words[0]
        command = known.get(two) or known.get(one)
        assert command is not None, line
        options = {
            option for parameter in command.params for option in parameter.opts + parameter.secondary_opts
        }
        asked = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert asked <= options, (line, asked - options)


def way_of_one_tile() -> list[str]:
    """Give the names in the third column of the table in ARCHITECTURE.md."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("## The way of one tile")[2].partition("\n\n| #")[2].partition("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) >= 10
    return [name for row in rows for name in re.findall(r"`([A-Za-z_.]+)`", row[2])]


def definitions() -> dict[str, set[str]]:
    """Give all functions, classes and methods, each with its dotted name, by its last part."""
    found: dict[str, set[str]] = {}

    def collect(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.setdefault(node.name, set()).add(f"{prefix}.{node.name}")
                if isinstance(node, ast.ClassDef):
                    collect(node.body, f"{prefix}.{node.name}")

    for path in MODULES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        dotted = ".".join(part for part in parts if part != "__init__")
        found.setdefault(parts[-1], set()).add(dotted)
        collect(tree_of(path).body, dotted)
    return found


@pytest.mark.parametrize("name", way_of_one_tile())
def test_every_function_on_the_way_of_a_tile_exists(name: str) -> None:
    found = definitions()
    parts = name.split(".")
    if name in {"cache.get", "cache.put"}:  # the Protocol is named after what it is
        parts = ["TileCache", parts[-1]]
    ends = found.get(parts[-1], set())
    assert any(f".{whole}".endswith("." + ".".join(parts)) for whole in ends), (name, ends)


def test_every_room_that_the_architecture_names_exists_and_none_is_left_out() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = text.partition("## The rooms")[2].partition("\n## ")[0]
    unsaid = set()
    for package in PACKAGES:
        section = re.search(rf"^\*\*{package}\*\*(.*?)(?=^\*\*|\Z)", rooms, re.MULTILINE | re.DOTALL)
        assert section is not None
        names = set(re.findall(r"`([a-z0-9_/*]+)`", section[1])) | set(
            re.findall(r"\b[a-z0-9_]+\b", section[1])
        )
        modules = {p.stem for p in (ROOT / package).glob("*.py")} - {
            "__init__",
            "__main__",
            "errors",
            "migrate",
        }
        unsaid |= {f"{package}.{module}" for module in modules - names}
    assert not unsaid


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_long_and_each_opens_with_a_sentence(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    if "migrations" not in path.parts:
        said = ast.get_docstring(tree_of(path))
        assert said
        assert said.splitlines()[0].endswith((".", ";", ":"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_names_a_folder_of_a_machine(path: Path) -> None:
    assert not re.search(r"/(?:root|home|work|Users)/\w", path.read_text(encoding="utf-8"))
