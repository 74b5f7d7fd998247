"""Runs QGIS without a screen, in a profile of its own, over connections and layers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from tests.clients.pictures import Window, decoded
from tests.conftest import tool_environment

SCRIPT = Path(__file__).with_name("qgis_session.py")


@dataclass(frozen=True, kw_only=True)
class QgisLayer:
    """A layer's source as QGIS keeps it in a project, and what to draw of it."""

    uri: str
    window: Window
    login: str | None = None
    """Name of the login whose `authcfg` it gets."""


@dataclass(frozen=True, kw_only=True)
class QgisWork:
    """What is to be done in one session."""

    logins: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Name -> user and password, kept in the authentication database."""
    connections: Sequence[tuple[str, str | None]] = ()
    """Address and login of WMS/WMTS connections of the browser panel."""
    layers: Sequence[QgisLayer] = ()


@dataclass(frozen=True, kw_only=True)
class QgisResult:
    """What came of it, in the order of the work."""

    methods: list[str]
    """Kinds of login that this QGIS knows."""
    connections: list[list[str] | None]
    """Names that the browser panel lists; None: it shows an error."""
    layers: list[dict[str, Any]]
    pictures: list[np.ndarray | None]
    """uint8, (4, height, width); None where the layer is not valid."""


def find_qgis() -> str:
    """Find the Python that QGIS comes with; without it skip, or fail where CI promises that it is there."""
    found = shutil.which("python3", path=os.defpath)
    if found is not None:
        asked = [found, "-c", "import qgis.core"]
        if subprocess.run(asked, capture_output=True, check=False, timeout=60).returncode == 0:
            return found
    message = "QGIS (python3-qgis, qgis-providers) is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def run_qgis(folder: Path, work: QgisWork) -> QgisResult:
    """Do work in a new profile; the folder gets the pictures."""
    folder.chmod(0o700)
    asked = {
        "logins": work.logins,
        "connections": [{"url": address, "login": login} for address, login in work.connections],
        "layers": [
            {
                "uri": layer.uri,
                "login": layer.login,
                "extent": layer.window.bounds,
                "size": [layer.window.width, layer.window.height],
                "file": f"{number}.png",
            }
            for number, layer in enumerate(work.layers)
        ],
    }
    home = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [find_qgis(), str(SCRIPT), str(folder / "profile")],
        input=json.dumps(asked),
        cwd=folder,
        env=tool_environment(**home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    files = [folder / f"{number}.png" for number in range(len(work.layers))]
    return QgisResult(
        methods=found["methods"],
        connections=found["connections"],
        layers=found["layers"],
        pictures=[_shown(file) if file.is_file() else None for file in files],
    )


def wmts_uri(address: str, layer: str, grid: str, crs: str, **more: str) -> str:
    """Write the source of a layer of a WMTS."""
    parts = {"contextualWMSLegend": "0", "crs": crs, "dpiMode": "7", "format": "image/png", "layers": layer}
    return _uri(parts | {"styles": "rgb", "tileMatrixSet": grid, **more, "url": quote(address, safe="")})


def xyz_uri(template: str, **more: str) -> str:
    """Write the source of a layer of XYZ tiles."""
    parts = {"type": "xyz", "zmin": "0", "zmax": "18", **more, "url": quote(template, safe="")}
    return _uri(parts)


def _uri(parts: Mapping[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in parts.items())


def _shown(path: Path) -> np.ndarray:
    picture = decoded(path.read_bytes())
    return picture if len(picture) == 4 else np.concatenate([picture, np.full_like(picture[:1], 255)])
