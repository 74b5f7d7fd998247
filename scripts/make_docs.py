"""Writes docs/settings.md, commands.md, routes.md and sensors.md from the code and data that they describe.

`scripts/make_docs.py` writes the files; `scripts/make_docs.py --check` only tells which differ (status 1).
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import typer.main
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from sensors_page import sensors_page

from server import settings
from server.cli.main import app
from server.metrics import Metrics
from server.routes.health import Readiness
from server.routes.table import routes
from server.routing import Route
from server.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs"
GENERATED = "<!-- Made by scripts/make_docs.py; change the code instead. -->"
PREFIX = "FLUX_"
TYPES = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "`true` or `false`",
    "Path": "path",
    "Root": "data root",
    "DirectoryPath": "existing folder",
    "SecretStr": "secret",
    "IPvAnyNetwork": "network",
    "IssuerSettings": "table",
}
"""What a setting's type is called."""
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "min_length": "at least"}

SETTINGS = f"""# Settings

{GENERATED}

Options of the command line win over `{PREFIX}*` variables, which win over `{settings.CONFIG_FILE}` in the
home folder. In a variable the names of group and setting are joined by two underscores, and lists are written
as JSON: `{PREFIX}DATA_ROOTS='["/srv/imagery"]'`, data roots also joined by colons. Wrong values and unknown
names are refused by name, with status 2. `SIGHUP` makes a running server read them anew, whole or not at
all; the port stays.

```toml
data_roots = ["/srv/imagery"]

[http]
public_url = "https://flux.example.org"
workers = 4
```
"""

COMMANDS = f"""# Commands

{GENERATED}

Results go to standard output, messages and progress to standard error. The exit status is 0, 1 (failed) or
2 (usage). Every command has `--help`.
"""

ROUTES = f"""# Routes

{GENERATED}

Everything below takes `GET`, `HEAD` and `OPTIONS` where it names no other method. Each address also stands
below `/k/{{key}}/`, with the key in the path, and below `/public/`, where credentials are ignored and only
public layers answer. *Action* is what has to be granted for at least a part of the answer; `open` needs
nothing, `manage` a manager or an operator, `operate` an operator. `/openapi.json` says the same to programs,
with the schemas of bodies and answers, but for the page's own files.
"""


def settings_page() -> str:
    """Describe all settings."""
    parts = [SETTINGS, *_group("", Settings)]
    for name, field in Settings.model_fields.items():
        if _is_group(field):
            parts += _group(name, cast("type[BaseModel]", field.annotation))
    parts += _table("auth.issuers", settings.IssuerSettings)
    return "\n".join(parts) + "\n"


def leaves() -> Iterator[tuple[str, FieldInfo]]:
    """Give every setting by its dotted name."""
    for name, field in Settings.model_fields.items():
        if _is_group(field):
            for inner, leaf in cast("type[BaseModel]", field.annotation).model_fields.items():
                yield f"{name}.{inner}", leaf
        else:
            yield name, field


def variable(name: str) -> str:
    """Give the environment variable of a setting."""
    return PREFIX + name.replace(".", "__").upper()


def _is_group(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _group(group: str, model: type[BaseModel]) -> list[str]:
    written = attributes(model)
    rows = []
    for name, field in model.model_fields.items():
        if _is_group(field):
            continue
        whole = f"{group}.{name}" if group else name
        annotation, said = written[name]
        cells = (f"`{name}`", f"`{variable(whole)}`", _type(annotation, field), _default(field), _cell(said))
        rows.append(f"| {' | '.join(cells)} |")
    title = [f"## `[{group}]`", "", inspect.getdoc(model) or ""] if group else ["## At the top"]
    return [*title, "", "| name | variable | type | default | meaning |", "|---|---|---|---|---|", *rows, ""]


def _table(name: str, model: type[BaseModel]) -> list[str]:
    """Describe what each of a list of tables holds."""
    written = attributes(model)
    rows = []
    for inner, field in model.model_fields.items():
        annotation, said = written[inner]
        default = "needed" if field.is_required() else _default(field)
        rows.append(f"| `{inner}` | {_type(annotation, field)} | {default} | {_cell(said)} |")
    title = [f"## `[[{name}]]`", "", inspect.getdoc(model) or ""]
    also = f"In a variable all of them are one JSON list: `{variable(name)}='[{{\"issuer\": ..., ...}}]'`."
    return [*title, "", also, "", "| name | type | default | meaning |", "|---|---|---|---|", *rows, ""]


def attributes(model: type[BaseModel]) -> dict[str, tuple[str, str]]:
    """Read type and docstring of each attribute of a class, as they are written.

    Raises:
        KeyError: If an attribute has no docstring.
    """
    tree = ast.parse(inspect.getsource(model))
    body = cast("ast.ClassDef", tree.body[0]).body
    found = {}
    for line, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            text = below.value if isinstance(below, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                found[line.target.id] = ast.unparse(line.annotation), " ".join(text.value.split())
    missing = [n for n, f in model.model_fields.items() if n not in found and not _is_group(f)]
    if missing:
        raise KeyError(f"{model.__name__} says nothing of {', '.join(missing)}")
    return found


def _type(written: str, field: FieldInfo) -> str:
    """Say a type, as the class writes it, in words for people."""
    plain = written.removesuffix(" | None")
    if plain.startswith("Annotated["):  # says how it is read, not what it is
        plain = plain.removeprefix("Annotated[").rpartition(", ")[0]
    if plain.startswith("Literal["):
        words = " or ".join(f"`{value}`" for value in ast.literal_eval(plain.removeprefix("Literal")))
    elif plain.startswith("tuple[Literal["):
        inner = plain.removeprefix("tuple[Literal").removesuffix(", ...]")
        words = "list of " + ", ".join(f"`{value}`" for value in ast.literal_eval(inner))
    elif plain.startswith("tuple["):
        words = "list of " + TYPES[plain.removeprefix("tuple[").removesuffix(", ...]")] + "s"
    else:
        words = TYPES[plain]
    limits = [
        f"{said} {getattr(bound, name)}" + (" characters" if name == "min_length" else "")
        for bound in field.metadata
        for name, said in LIMITS.items()
        if getattr(bound, name, None) is not None
    ]
    patterns = [f"`{bound.pattern}`" for bound in field.metadata if getattr(bound, "pattern", None)]
    return _cell(", ".join([words, *limits, *patterns]))


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value in ((), ""):
        return "none"
    assert not isinstance(value, SecretStr), "a secret has no default"
    if isinstance(value, tuple):
        return ", ".join(f"`{part}`" for part in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def commands_page() -> str:
    """Describe all commands."""
    whole = typer.main.get_command(app)
    parts = [COMMANDS]
    for words, command in commands(whole, ("dinamis-flux",)):
        parts += [f"## `{' '.join(words)}`", ""]
        parts += [_help(command), ""]
        shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
        if not hasattr(command, "commands"):
            arguments = [_argument(p) for p in command.params if p.param_type_name == "argument"]
            options = ["[OPTIONS]"] if len(arguments) < len(shown) else []
            parts += ["```", " ".join([*words, *options, *arguments]), "```", ""]
        if shown:
            parts += ["| | |", "|---|---|", *(f"| {_parameter(p)} | {_cell(_said(p))} |" for p in shown), ""]
    return "\n".join(parts).rstrip() + "\n"


def commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give each command and group with its words, groups first."""
    yield words, command
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from commands(inner, (*words, name))


def _help(command: Any) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _argument(argument: Any) -> str:
    name = argument.metavar or (argument.name or "").strip("_").upper()
    return name if argument.required else f"[{name}]"


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_argument(parameter)}`"
    names = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(f"`{name}`" for name in names)


def _said(parameter: Any) -> str:
    said = str(getattr(parameter, "help", None) or "")
    if parameter.secondary_opts:
        chosen = parameter.opts if parameter.default else parameter.secondary_opts
        said += f" [default: {chosen[0]}]"
    envvar = getattr(parameter, "envvar", None)
    return f"{said} Also `{envvar}`." if envvar else said


def routes_page() -> str:
    """Describe all routes."""
    parts = [ROUTES]
    for route in all_routes():
        method = "" if "GET" in route.methods else f" *Method*: `{', '.join(sorted(route.methods))}`."
        said = f"{route.summary}{method} *Action*: {_actions(route)}."
        parts += [f"## `{route.path}`", "", said, ""]
        if route.protocol == "ows":
            parts += ["Errors are OWS exception reports.", ""]
        if route.parameters:
            parts += ["| parameter | in | |", "|---|---|---|"]
            parts += [f"| `{p.name}` | {p.where} | {_cell(p.description)} |" for p in route.parameters]
            parts += [""]
        if route.answers:
            parts += ["| status | |", "|---|---|"]
            parts += [f"| {status} | {_cell(meaning)} |" for status, meaning in route.answers]
            parts += [""]
    return "\n".join(parts).rstrip() + "\n"


def all_routes() -> tuple[Route, ...]:
    """Give the ROUTES table, without a server behind it."""
    return routes(Metrics(None), Readiness(cast("Any", None)))


def _actions(route: Route) -> str:
    return ", ".join(sorted(action.value for action in route.actions))


def files() -> dict[str, str]:
    """Give the text of each file by its name."""
    return {
        "settings.md": settings_page(),
        "commands.md": commands_page(),
        "routes.md": routes_page(),
        "sensors.md": sensors_page(GENERATED),
    }


def main() -> int:
    """Write the files, or compare them."""
    check = "--check" in sys.argv[1:]
    different = 0
    for name, text in files().items():
        path = FOLDER / name
        if check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                print(f"docs/{name} differs from the code")
                different = 1
        else:
            path.write_text(text, encoding="utf-8")
    return different


if __name__ == "__main__":
    sys.exit(main())
