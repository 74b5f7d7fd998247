"""A browser on the map page, and all that the page asks for and complains of."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page

from tests.conftest import Server
from tests.loaded import loaded

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)
COMMANDS = """
import json, sys
from typer.testing import CliRunner
from server.cli.main import app

printed = []
for line in json.loads(sys.argv[2]):
    line = [printed[-1] if word == "{-1}" else word for word in line]
    done = CliRunner().invoke(app, ["--home", sys.argv[1], *line])
    if done.exit_code:
        raise SystemExit(f"{line}: {done.output} {done.exception!r}")
    printed.append(done.stdout.strip())
print(json.dumps(printed))
"""
DENIED = "the server responded with a status of 401"


@dataclass
class Watched:
    """A page and all that it asked for and complained of."""

    page: Page
    server: Server
    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def ready(self, state: str = "ready") -> None:
        self.page.wait_for_selector(f"body[data-state={state}]", timeout=15_000)

    def select(self, name: str, value: str) -> None:
        self.page.select_option(f"#{name}", value)
        self.ready()

    def choose(self, layer: str) -> None:
        self.page.click(f'button[data-id="{layer}"]')
        self.page.wait_for_selector(f'body[data-layer="{layer}"]')
        self.ready()

    def layers(self) -> list[str]:
        rows = self.page.query_selector_all("button.layer")
        return [row.get_attribute("data-id") or "" for row in rows]

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def hosts(self) -> set[str]:
        parts = [urlsplit(address) for address in self.addresses]
        return {part.netloc for part in parts if part.scheme not in {"data", "blob"}}


@dataclass(frozen=True)
class Browsers:
    """A browser for each language, which keeps what it has fetched from page to page."""

    chromium: Browser
    contexts: dict[str, BrowserContext] = field(default_factory=dict)

    def context(self, locale: str) -> BrowserContext:
        if locale not in self.contexts:
            context = self.chromium.new_context(viewport={"width": 1280, "height": 800}, locale=locale)
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            context.add_init_script(
                "window.violations = [];"
                "addEventListener('securitypolicyviolation',"
                " (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI))"
            )
            self.contexts[locale] = context
        return self.contexts[locale]


def commands(home: Path, *lines: list[str]) -> list[str]:
    """Run lines of the command line in one process, which is quicker than one each; give what they print.

    `{-1}` stands for what the line before printed.
    """
    done = loaded().run(COMMANDS, str(home), json.dumps(lines))
    assert done.returncode == 0, done.stdout + done.stderr
    printed: list[str] = json.loads(done.stdout)
    return printed


Opener = Callable[..., contextlib.AbstractContextManager[Watched]]


@contextlib.contextmanager
def opened(
    browser: Browsers,
    server: Server,
    path: str,
    *,
    state: str = "ready",
    denied: bool = False,
    locale: str = "fr-FR",
) -> Iterator[Watched]:
    """Open the page; in the end nothing went to others, nothing was complained of, save 401 where denied."""
    watched = _watch(browser.context(locale), server)
    try:
        watched.page.goto(server.url + path)
        watched.ready(state)
        yield watched
        watched.page.wait_for_timeout(50)
        assert watched.hosts() == {urlsplit(server.url).netloc}
        complaints = [said for said in watched.complaints if not (denied and DENIED in said)]
        assert complaints == []
        assert watched.page.evaluate("window.violations") == []
    finally:
        watched.page.close()


def _watch(context: BrowserContext, server: Server) -> Watched:
    page = context.new_page()
    watched = Watched(page, server)
    page.on("request", lambda request: watched.addresses.append(request.url))
    page.on("websocket", lambda socket: watched.addresses.append(socket.url))
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            watched.complaints.append(message.text) if message.type in {"error", "warning"} else None
        ),
    )
    return watched
