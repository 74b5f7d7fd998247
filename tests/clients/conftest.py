"""A server of its own for the clients: scenes of two institutions and a public one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.clients.commands import create_keys, run_commands
from tests.clients.ways import Credential, signed
from tests.conftest import IMAGERY, Server, imagery, serving, wait_until, write_raster

REAL = {
    "aerial": ("optical/aerial/dop_rgb_cog.tif", []),
    "toulouse": ("optical/pleiades/toulouse_xs_4326.tif", ["--sensor", "pleiades"]),
}
"""Real scenes, banked where they are at hand."""

CUT_EAST = 1.4225
"""Eastern edge of a cut grant, degrees: about the middle of `texture`."""


@dataclass(frozen=True)
class Bank:
    """What is banked, and who may see it."""

    home: Path
    key: str
    """Of the institution that may see all but `elsewhere`."""
    other_key: str
    """Of the institution that may see `elsewhere` only."""
    revoked_key: str
    cut_key: str
    """Of the institution that may see `texture` only west of CUT_EAST."""
    sources: dict[str, Path]
    """Layer -> the file that was handed in."""


def texture(seed: int, height: int = 1000, width: int = 1200) -> np.ndarray:
    """Make an 8-bit RGB picture with detail everywhere, none of it repeated: (3, height, width)."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype("float32")
    detail = cv2.GaussianBlur(noise, (0, 0), 2.5) * 250 + cv2.GaussianBlur(noise, (0, 0), 12) * 500
    return np.moveaxis(np.clip(detail + 128, 1, 255), -1, 0).astype("uint8")


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    folder = tmp_path_factory.mktemp("clients")
    home = folder / "home"
    more = {"texture": ["--licence", "ours"], "elsewhere": [], "open": ["--public"]}
    sources = {
        layer: write_raster(
            folder / f"{layer}_20240517.tif", texture(seed), resolution=1.0, photometric="RGB"
        )
        for seed, layer in enumerate(more)
    }
    if IMAGERY.is_dir():
        sources |= {layer: imagery(path) for layer, (path, _) in REAL.items()}
        more |= {layer: ["--licence", "ours", *options] for layer, (_, options) in REAL.items()}
    banked = [["bank", str(path), "--collection", layer, *more[layer]] for layer, path in sources.items()]
    rights = [
        ["institution", "add", "region"],
        ["institution", "add", "other"],
        ["grant", "add", "region", "--licence", "ours"],
        ["grant", "add", "other", "--collection", "elsewhere"],
        ["institution", "add", "west"],
        ["grant", "add", "west", "--collection", "texture", "--area", f"1,43,{CUT_EAST},44"],
    ]
    run_commands(home, [*banked, *rights])
    keys = create_keys(home, ["region", "other", "region", "west"])
    run_commands(home, [["key", "revoke", keys[2]]])
    return Bank(home, *keys, sources)


@pytest.fixture(scope="session")
def server(bank: Bank) -> Iterator[Server]:
    with serving(bank.home) as running:
        yield running


@pytest.fixture(scope="session")
def credentials(bank: Bank, server: Server) -> dict[str, Credential]:
    """Give what `mine`, `other`, `cut` and `revoked` show; the last was good when it was signed."""
    (doomed,) = create_keys(bank.home, ["region"])
    wait_until(lambda: _statuses(server, doomed) == {200}, seconds=30)
    keys = {"mine": bank.key, "other": bank.other_key, "cut": bank.cut_key, "revoked": doomed}
    found = {holder: signed(server.url, key) for holder, key in keys.items()}
    run_commands(bank.home, [["key", "revoke", doomed]])
    wait_until(lambda: _statuses(server, doomed) == {401}, seconds=30)
    return found


def _statuses(server: Server, key: str) -> set[int]:
    """Ask often enough to reach every worker."""
    return {server.get("/whoami", {"X-API-Key": key}).status for _ in range(12)}
