"""What no caller should send, and what no answer may be: never a 5xx, a stack, a path or an echoed name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.routing import variables
from tests.conftest import Reply
from tests.server.conftest import declared_routes

MARK = "zqmark"
"""Stands in everything that is asked for and isn't there; no answer may repeat it."""

NEVER = (
    *("Traceback", 'File "', "/tmp/", "/root", "/home", ".tif", "flux.db", "pepper", "rasterio", "GDAL"),
    *("sqlite", "s3://", "/vsi", "Error(", MARK),
)
"""Words that no answer may hold, whoever asked for what."""

ROUTES = {route.id: route for route in declared_routes()}

GOOD = {
    "layer": "open",
    "tms": "WebMercatorQuad",
    "style": "default",
    "time": "default",
    "z": "17",
    "x": "66052",
    "y": "47859",
    "i": "128.json",
    "j": "128",
    "id": "open",
    "place": "1.4178,43.606",
    "picture": "default.png",
}
ADMINISTRATION = {id_ for id_, route in ROUTES.items() if route.path.startswith(("/admin/", "/keys"))}
WHOLE_NUMBERS = {"z", "x", "y", "i", "j"}

NUMBERS = [
    *("01", "+1", "-1", "1.0", "1e3", "1_0", "%201", "1%20", "0x1", "00", "-0", "%2B1", "%31%00", "1,5"),
    *("99999999999", "9" * 40, "2147483648", "9999999999", "NaN", "inf", "", "%D9%A1", "%EF%BC%91", "%C2%B2"),
]
"""What is no number that we know, or one that is in no grid."""

NAMES = [
    *("%2e%2e", "..", ".", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%2fetc%2fpasswd", "%5c%5chost", "a%00b", "%00"),
    *(
        "%c0%af",
        "%c0%ae%c0%ae",
        "%e0%80%af",
        "%ff%fe",
        "%ed%a0%80",
        "%",
        "%zz",
        "%u0041",
        "%0d%0aX-A:b",
        "%7f",
    ),
    *(
        "%2e",
        "open%00",
        "open%2f",
        "open/",
        "open%20",
        "%20open",
        "OPEN",
        "open:",
        ":open",
        "open::a",
        "op%65n%2e",
    ),
    *("open:..", "open:open_20240517%00", "*", "%25", "%27%20or%201=1--", "{{7*7}}", "$(id)", "%3Cscript%3E"),
    *("http:%2f%2f127.0.0.1:1%2fx.tif", "%2fvsicurl%2fhttp:%2f%2fx", "file:%2f%2f%2fetc%2fpasswd", "a" * 300),
    *("é", "%E2%80%AE", "\u202e", "con", "constructor", "__proto__", "_filter"),
]
"""Layers, grids, styles and times that are none."""


def fill(path: str, values: dict[str, str]) -> str:
    """Write a route's address; the last variable of an image gets its extension."""
    for name in variables(path):
        path = path.replace(f"{{{name}}}", values[name])
    return path


def addresses() -> Iterator[tuple[str, str, str]]:
    """Give (route, variable, address) for each route with one variable attacked."""
    for route in ROUTES.values():
        names = variables(route.path)
        good = dict(GOOD)
        if route.id == "wmts_tile":
            good["x"] += ".png"
        for name in names:
            suffix = ".png" if route.id in {"wmts_tile", "xyz_tile"} and name == names[-1] else ""
            suffix = ".json" if name == "i" else suffix
            attacks = NUMBERS + NAMES if name in WHOLE_NUMBERS else NAMES
            for attack in attacks:
                yield route.id, name, fill(route.path, {**good, name: attack + suffix})


def check(reply: Reply, asked: str) -> None:
    """Hold an answer against what no answer may be."""
    assert reply.status < 500, (asked, reply.body[:300])
    assert reply.headers["x-content-type-options"] == "nosniff"
    if re.match(r"image/|text/(javascript|css)", reply.headers.get("content-type", "")):
        return
    text = reply.body.decode() + str({k: v for k, v in reply.headers.items() if k != "location"})
    found = [word for word in NEVER if word in text]
    assert not found, (asked, found, text[:300])
