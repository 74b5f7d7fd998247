"""One browser for all tests of the map page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import sync_playwright

from tests.conftest import need_program
from tests.viewer.browsing import ARGUMENTS, Browsers


@pytest.fixture(scope="session")
def browser() -> Iterator[Browsers]:
    program = need_program("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield Browsers(chromium)
        chromium.close()
