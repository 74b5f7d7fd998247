"""Where `bank` has files read: what is said of a cluster that can't be used, and who needs dask."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import typer

from mosaics.ingest.sandbox import Sandbox
from server.cli.runners import runners
from tests.conftest import ROOT
from tests.server.conftest import run_all
from tests.syntax import tree_of

CLUSTER = {"mosaics.ingest.cluster", "mosaics.ingest.cluster_link", "mosaics.ingest.cluster_worker"}


def test_without_a_scheduler_files_are_read_here() -> None:
    for jobs, wanted in ((None, 1), (3, 3)):
        with runners(None, jobs) as (make, at_once), make() as runner:
            assert isinstance(runner, Sandbox)
            assert 1 <= runner.threads <= 4
            assert at_once == wanted


@pytest.mark.parametrize(
    "address",
    [
        "host:8786",
        "http://host:8786",
        "ucx://host:1",
        "tcp://host",
        "tcp://h:1/x",
        "inproc://1/2",
        "tcp://a b:1",
        "",
    ],
)
def test_other_addresses_are_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, runners(address, None):
        pass
    assert caught.value.exit_code == 2
    assert "is not like tls://scheduler.example.org:8786" in capsys.readouterr().err


def test_the_extra_to_install_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    for name in CLUSTER:
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(typer.Exit) as caught, runners("tcp://127.0.0.1:8786", None):
        pass
    assert caught.value.exit_code == 2
    assert "pip install 'dinamis-flux[cluster]'" in capsys.readouterr().err


def test_the_option_is_in_the_help(tmp_path: Path) -> None:
    (shown,) = run_all(tmp_path / "home", ["bank", "--help"])
    assert shown.status == 0
    assert "--scheduler" in shown.stdout
    assert "same paths" in " ".join(shown.stdout.replace("│", " ").split())


def imports(path: Path) -> tuple[set[str], set[str]]:
    """Give the modules that a module imports when it is loaded, and all that it may import."""
    tree = tree_of(path)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    at_once, ever = set[str](), set[str]()
    for node in ast.walk(tree):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        ever.update(names)
        if id(node) not in inside:
            at_once.update(names)
    return at_once, ever


def test_dask_is_loaded_for_a_scheduler_only() -> None:
    users, lenders = set(), set()
    for path in (
        path for package in ("auth", "mosaics", "server") for path in (ROOT / package).rglob("*.py")
    ):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        at_once, ever = imports(path)
        if any(each.partition(".")[0] in {"dask", "distributed"} for each in ever):
            users.add(name)
        if name not in CLUSTER and ever & CLUSTER:
            lenders.add(name)
            assert not at_once & CLUSTER, name
    assert users == CLUSTER
    assert lenders == {"server.cli.runners"}
