"""What decides is pure: time comes in through an argument, and nothing else comes in at all."""

import ast

import pytest

from tests.conftest import ROOT
from tests.syntax import tree_of

DECIDING = (
    "auth/policy.py",
    "auth/reach.py",
    "auth/models.py",
    "auth/decision.py",
    "auth/snapshot.py",
    "auth/rules.py",
    "auth/edits.py",
    "auth/signing.py",
    "mosaics/filters.py",
    "server/access.py",
)
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "time_ns", "localtime", "gmtime"}
OUTSIDE = {"os", "time", "random", "secrets", "socket", "sqlalchemy", "threading"}


def test_the_list_finds_a_clock():
    assert reads_a_clock(ast.parse("from datetime import datetime\nx = datetime.now()"))
    assert not reads_a_clock(ast.parse("def f(now):\n    return g(now)"))


def reads_a_clock(tree):
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(isinstance(func, ast.Attribute) and func.attr in CLOCKS for func in calls)


@pytest.mark.parametrize("path", DECIDING)
def test_time_enters_a_decision_through_the_clock_argument_only(path):
    tree = tree_of(ROOT / path)
    assert not reads_a_clock(tree)
    for node in ast.walk(tree):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.partition(".")[0] for name in names} & OUTSIDE
