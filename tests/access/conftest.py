"""Fixtures of other folders that the tests of access use."""

from tests.server.conftest import started

__all__ = ["started"]
