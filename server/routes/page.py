"""The map page and its files; built by `npm run build` in server/viewer, served as they are."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from server.answers import Answer, digest, json_answer
from server.call import Call
from server.errors import RouteNotFoundError

DIST = Path(__file__).parents[1] / "viewer" / "dist"

PAGE_FILES = ("app.js", "app.css", "licences.txt")
"""What the page loads, from beside itself."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


@dataclass(frozen=True)
class Page:
    """The built files, read once; a request can only name one of them."""

    folder: Path = DIST

    @cached_property
    def _files(self) -> dict[str, tuple[bytes, str]]:
        found = {}
        for path in sorted(self.folder.glob("*")) if self.folder.is_dir() else ():
            if path.is_file():
                kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                charset = "; charset=utf-8" if kind.startswith("text/") else ""
                found[path.name] = (path.read_bytes(), kind + charset)
        return found

    async def index(self, call: Call) -> Answer:
        """Serve `/`: the page to browsers, the landing document to programs."""
        if "text/html" not in (call.request.header("accept") or ""):
            return _landing(call)
        if "index.html" not in self._files:
            return Answer(
                status=503,
                body=b"The map page is not built: run scripts/setup.\n",
                media_type="text/plain; charset=utf-8",
                cacheable=False,
            )
        return replace(self._answer("index.html", (("Vary", "Accept"),)), by_address=False)

    async def file(self, name: str, _call: Call) -> Answer:
        """Serve one of PAGE_FILES."""
        if name not in self._files:
            raise RouteNotFoundError
        return self._answer(name, ())

    def _answer(self, name: str, headers: tuple[tuple[str, str], ...]) -> Answer:
        body, media_type = self._files[name]
        return Answer(
            body=body,
            media_type=media_type,
            etag=digest(body),
            headers=(*headers, ("Content-Security-Policy", CONTENT_SECURITY_POLICY)),
            by_address=True,
        )


def _landing(call: Call) -> Answer:
    """Say what is served here."""
    service = call.services.settings.service
    links = [
        {"rel": "self", "href": call.href("")},
        {"rel": "layers", "href": call.href("layers"), "type": "application/json"},
        {"rel": "wmts", "href": call.href("wmts"), "type": "application/xml"},
        {"rel": "service-desc", "href": call.href("openapi.json"), "type": "application/json"},
    ]
    title = service.title_en if call.language == "en" else service.title_fr
    return json_answer({"title": title, "language": quote(call.language), "links": links})
