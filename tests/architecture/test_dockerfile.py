"""The Dockerfile fits the tree: what it copies is there, what it runs can run, and nobody is root."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OF_THE_IMAGE = {
    "node": {"npm"},
    "python": {"apt-get", "install", "python", "rm", "useradd"},
}
"""Programs that are in a base image; everything else that runs has to be made by an earlier step."""


def instructions() -> list[tuple[str, str]]:
    """Give (instruction, arguments), lines joined and comments dropped."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


STEPS = instructions()


def stages() -> list[list[tuple[str, str]]]:
    """Split the steps at each FROM."""
    found: list[list[tuple[str, str]]] = []
    for step in STEPS:
        if step[0] == "FROM":
            found.append([])
        found[-1].append(step)
    return found


def copied() -> list[tuple[str, bool]]:
    """Give the source of each COPY, and whether it comes from this tree (else from a stage)."""
    found = []
    for name, rest in STEPS:
        if name in {"COPY", "ADD"}:
            words = shlex.split(rest)
            plain = [word for word in words if not word.startswith("--")]
            from_tree = not any(word.startswith("--from=") for word in words)
            found += [(source, from_tree) for source in plain[:-1]]
    return found


@pytest.mark.parametrize("source", [source for source, from_tree in copied() if from_tree])
def test_what_is_copied_is_in_the_tree_and_in_the_build_context(source):
    assert (ROOT / source).exists()
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    assert any(source == rule or source.startswith(rule + "/") for rule in kept)
    dropped = [rule for rule in rules if rule and rule[0] not in "!#*"]
    assert not any(fnmatch.fnmatch(source, rule) for rule in dropped)


def test_what_is_copied_from_a_stage_is_made_there():
    names = {rest.split()[-1] for name, rest in STEPS if name == "FROM" and " AS " in rest}
    used = {match for name, rest in STEPS if name == "COPY" for match in re.findall(r"--from=(\S+)", rest)}
    assert used == names
    assert [source for source, from_tree in copied() if not from_tree] == [
        "/src/server/viewer/dist",
        "/opt/flux",
    ]


def test_programs_that_run_are_in_the_base_image_or_made_before():
    checked = 0
    for stage in stages():
        image = stage[0][1].split(":")[0]
        made = set(OF_THE_IMAGE[image])
        for name, rest in stage:
            if name != "RUN":
                continue
            for command in rest.split("&&"):
                words = shlex.split(command)
                assert words[0] in made, words[0]
                checked += 1
                if words[:3] == ["python", "-m", "venv"]:
                    made |= {f"{words[3]}/bin/{program}" for program in ("pip", "python")}
    assert checked >= 6


def test_npm_scripts_that_run_exist():
    scripts = json.loads((ROOT / "server" / "viewer" / "package.json").read_text(encoding="utf-8"))["scripts"]
    asked = [word for name, rest in STEPS if name == "RUN" for word in re.findall(r"npm run (\S+)", rest)]
    assert asked
    assert set(asked) <= set(scripts)


def test_the_program_started_is_the_one_that_the_project_installs():
    entry = next(json.loads(rest) for name, rest in STEPS if name == "ENTRYPOINT")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\n{entry[0]} = "server.__main__:main"\n' in project


def test_it_does_not_run_as_root():
    users = [rest for name, rest in stages()[-1] if name == "USER"]
    assert users
    assert users[-1].split(":")[0] not in {"root", "0"}


def test_it_says_whether_it_is_healthy():
    check = next(rest for name, rest in stages()[-1] if name == "HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/health/ready" in command[2]


def test_the_port_and_the_volume_are_those_of_the_program():
    last = dict(stages()[-1])
    assert last["EXPOSE"] == "8000"
    assert last["VOLUME"] == "/data"
    assert "FLUX_HOME=/data" in " ".join(rest for name, rest in stages()[-1] if name == "ENV")
