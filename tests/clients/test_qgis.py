"""QGIS, without a screen: the pasted address becomes a layer that shows the scene in its place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from tests.clients.conftest import Bank
from tests.clients.pictures import Window, assert_same, decoded, warped, window_inside
from tests.conftest import Server, tool_environment

SCRIPT = Path(__file__).with_name("qgis_pictures.py")
CASES = {
    "2154_50cm": ("EPSG:2154", 17),
    "WebMercatorQuad": ("EPSG:3857", 17),
    "WebMercatorQuad_512": ("EPSG:3857", 15),
    "WorldCRS84Quad": ("OGC:CRS84", 16),
}
"""Grid -> the CRS that QGIS takes, and a level."""


@pytest.fixture(scope="session")
def python() -> str:
    """Find the Python that QGIS comes with; QGIS is large, so no machine needs to have it."""
    found = shutil.which("python3", path=os.defpath)
    if found is not None:
        asked = [found, "-c", "import qgis.core"]
        if subprocess.run(asked, capture_output=True, check=False, timeout=60).returncode == 0:
            return found
    pytest.skip("QGIS (python3-qgis) is not installed")


def uri(address: str, layer: str, grid: str, crs: str, **more: str) -> str:
    """Write a layer's source as QGIS keeps it in a project."""
    parts = {"contextualWMSLegend": "0", "crs": crs, "dpiMode": "7", "format": "image/png", "layers": layer}
    parts |= {"styles": "rgb", "tileMatrixSet": grid, **more, "url": quote(address, safe="")}
    return "&".join(f"{name}={value}" for name, value in parts.items())


def draw(python: str, folder: Path, layers: list[str], window: Window) -> list[dict[str, Any]]:
    """Draw layers over a window, each into a file of its own."""
    asked = [
        {"uri": layer, "extent": window.bounds, "size": [window.width, window.height], "file": f"{n}.png"}
        for n, layer in enumerate(layers)
    ]
    home = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [python, str(SCRIPT)],
        input=json.dumps(asked),
        cwd=folder,
        env=tool_environment(**home),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    drawn: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    assert len(drawn) == len(layers), done.stderr
    return drawn


def shown(path: Path) -> np.ndarray:
    picture = decoded(path.read_bytes())
    return picture if len(picture) == 4 else np.concatenate([picture, np.full_like(picture[:1], 255)])


@pytest.mark.parametrize("grid", CASES)
def test_the_pasted_address_shows_the_scene(
    python: str, bank: Bank, server: Server, tmp_path: Path, grid: str
) -> None:
    crs, level = CASES[grid]
    window = window_inside(bank.sources["texture"], grid, level, (256, 200))
    ways = [
        uri(f"{server.url}/wmts?key={bank.key}", "texture", grid, crs),
        uri(f"{server.url}/k/{bank.key}/wmts", "texture", grid, crs),
        uri(f"{server.url}/wmts", "texture", grid, crs, username="any", password=bank.key),
    ]
    expected = warped(bank.sources["texture"], window)
    for number, drawn in enumerate(draw(python, tmp_path, ways, window)):
        assert (drawn["valid"], drawn["errors"]) == (True, [])
        assert drawn["crs"] == crs
        picture = shown(tmp_path / f"{number}.png")
        assert_same(picture, expected, levels=3)


def test_without_the_right_key_there_is_no_layer(
    python: str, bank: Bank, server: Server, tmp_path: Path
) -> None:
    window = window_inside(bank.sources["texture"], "2154_50cm", 17, (64, 64))
    addresses = [f"/wmts{query}" for query in ("", f"?key={bank.other_key}", f"?key={bank.revoked_key}")]
    layers = [uri(f"{server.url}{address}", "texture", "2154_50cm", "EPSG:2154") for address in addresses]
    assert not any(drawn["valid"] for drawn in draw(python, tmp_path, layers, window))
    assert not list(tmp_path.glob("*.png"))
