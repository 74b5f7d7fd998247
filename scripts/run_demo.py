"""What scripts/demo does once all is installed: bank, grant, make a key, print the addresses, serve."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / ".venv" / "bin" / "dinamis-flux"
INSTITUTION = "demo"
LICENCE = "demo-synthetique"
SAMPLES = (
    ("SYNTHETIC_PHR1B_*.tif", "pleiades-demo", "multispectral", "2025-08-24T10:58:00"),
    ("SYNTHETIC_PHR1A_*.tif", "pleiades-demo", "multispectral", "2026-05-12T11:05:00"),
    ("SYNTHETIC_DSM_*.tif", "mns-demo", "dsm", "2026-05-12T11:05:00"),
    ("SYNTHETIC_SAR_*.tif", "sar-demo", "sar-amplitude", "2026-05-18T05:45:00"),
    ("SYNTHETIC_NIGHT_*.tif", "nuit-demo", "night-lights", "2026-05-20T22:10:00"),
)
"""Pattern of the files, collection, sensor and acquisition.

The optical scenes are banked as plain multispectral images: they look like Pléiades products, but Pléiades'
copyright line must not stand under pictures that no satellite took.
"""
TITLES = {
    "pleiades-demo": ("Optique 50 cm, type Pléiades (synthèse)", "Optical 50 cm, Pléiades-like (synthetic)"),
    "mns-demo": ("Modèle numérique de surface (synthèse)", "Digital surface model (synthetic)"),
    "sar-demo": ("Radar 1 m (synthèse)", "Radar 1 m (synthetic)"),
    "nuit-demo": ("Lumières nocturnes (synthèse)", "Night lights (synthetic)"),
}
"""French and English title of each collection."""
CREDIT = "Image de synthèse / synthetic image"
READY_SECONDS = 120.0
GUIDE = """
Le service est prêt. Dans QGIS : Couche > Ajouter une couche > WMS/WMTS, avec l'adresse WMTS ; ou XYZ Tiles,
avec une adresse XYZ. La page MAP s'ouvre dans un navigateur. La clé fait partie des adresses ; Ctrl-C arrête.
The service is ready. In QGIS: Layer > Add Layer > WMS/WMTS, with the address WMTS; or XYZ Tiles, with an
address XYZ. MAP opens in a browser. The key is part of the addresses; Ctrl-C stops the server.
"""


class Flux:
    """Runs the project's command line over one home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *arguments: str | Path, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command and give what it printed; its messages go on to standard error unless `quiet`."""
        return subprocess.run(
            [PROGRAM, "--home", self.home, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quiet else None,
            text=True,
            check=False,
        )

    def must(self, *arguments: str | Path) -> str:
        """Run a command that has to succeed; where it fails, end with its message and status."""
        done = self.run(*arguments, quiet=True)
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr, end="")
            sys.exit(done.returncode)
        return done.stdout

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """Give what a listing command lists."""
        return json.loads(self.must(*arguments, "--json") or "[]")


def tell(message: str) -> None:
    """Say what is going on."""
    print(f"demo: {message}", file=sys.stderr, flush=True)


def bank(flux: Flux, paths: Sequence[Path], *options: str) -> int:
    """Bank files, name those that are refused, and give how many were not."""
    done = flux.run("bank", *paths, *options, "--json")
    try:
        outcomes = json.loads(done.stdout)
    except json.JSONDecodeError:
        sys.exit(done.returncode or 1)
    kept = [outcome for outcome in outcomes if outcome["status"] != "refused"]
    for outcome in kept:
        tell(f"{outcome['status']}: {Path(outcome['path']).name} -> {outcome['layer']}")
    return len(kept)


def bank_samples(flux: Flux) -> None:
    """Make the synthetic scenes, once, and bank them, once."""
    folder = flux.home / "samples"
    banked = folder / ".banked"
    if banked.exists():
        return
    tell("making the synthetic sample scenes (about 20 s)")
    subprocess.run([sys.executable, ROOT / "scripts" / "make_samples.py", folder], check=True)
    flux.must(
        *("licence", "add", LICENCE, "--title", "Images de synthèse de la démonstration"),
        *("--attribution", CREDIT),
    )
    for pattern, collection, sensor, acquired in SAMPLES:
        options = (
            "--collection",
            collection,
            "--sensor",
            sensor,
            "--licence",
            LICENCE,
            "--datetime",
            acquired,
        )
        if not bank(flux, sorted(folder.glob(pattern)), *options):
            sys.exit(1)
    for collection, (french, english) in TITLES.items():
        titles = ("--title-fr", french, "--title-en", english)
        flux.must("collection", "set", collection, *titles, "--attribution", CREDIT)
    banked.touch()


def grant_all(flux: Flux) -> list[str]:
    """Let the institution see every collection there is, and give the ids of their layers, finest first."""
    layers = [row["id"] for row in sorted(flux.rows("layers"), key=lambda row: row["resolution_m"])]
    flux.must("institution", "add", INSTITUTION, "--name", "Institution de démonstration")
    granted = {c for row in flux.rows("grant", "list", INSTITUTION) for c in row["collections"] or ()}
    missing = [option for layer in layers if layer not in granted for option in ("--collection", layer)]
    if missing:
        flux.must("grant", "add", INSTITUTION, *missing)
    return layers


def key_of(flux: Flux) -> str:
    """Give the demo's key, that of an earlier run while it is good: pasted addresses go on working."""
    file = flux.home / "demo-key"
    if file.exists():
        key = file.read_text().strip()
        good = {row["id"] for row in flux.rows("key", "list", INSTITUTION) if not row["revoked"]}
        if good & set(key.split("_")):
            return key
        file.unlink()
    key = flux.must("key", "create", INSTITUTION, "--label", "demo").strip()
    file.touch(mode=0o600)
    file.write_text(key + "\n")
    return key


def free_port(port: int) -> int:
    """Check that nothing listens on a port and give it; for 0 find a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            tell(f"le port {port} est pris : choisissez-en un autre avec --port ({error.strerror})")
            tell(f"port {port} can't be used: choose another with --port")
            sys.exit(1)
        return int(probe.getsockname()[1])


def port_number(text: str) -> int:
    """Read a TCP port."""
    if not 0 <= int(text) <= 65535:
        raise ValueError(text)
    return int(text)


def is_ready(port: int) -> bool:
    """Ask the server whether it can serve."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/health/ready", timeout=10) as answer:
            return answer.status == 200
    except (OSError, urllib.error.HTTPError):
        return False


def announce(server: int, port: int, layers: Sequence[str], key: str) -> None:
    """Wait until the server (a process id) is ready, then print the addresses."""
    deadline = time.monotonic() + READY_SECONDS
    while not is_ready(port):
        os.kill(server, 0)
        if time.monotonic() > deadline:
            tell(f"not ready after {READY_SECONDS:.0f} s; its messages above tell why")
            return
        time.sleep(0.1)
    os.kill(server, 0)
    base = f"http://127.0.0.1:{port}"
    tiles = [f"XYZ {base}/tiles/{layer}/WebMercatorQuad/{{z}}/{{x}}/{{y}}.png?key={key}" for layer in layers]
    print(GUIDE, f"WMTS {base}/wmts?key={key}", *tiles, f"MAP {base}/?key={key}", sep="\n", flush=True)


def serve(flux: Flux, port: int, workers: int | None, layers: Sequence[str], key: str) -> NoReturn:
    """Become the server, so that signals reach it; a grandchild, that it need not know, prints addresses."""
    server = os.getpid()
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            with contextlib.suppress(ProcessLookupError):  # the server ended, and said why
                announce(server, port, layers, key)
        os._exit(0)
    os.waitpid(child, 0)
    arguments = [str(PROGRAM), "--home", str(flux.home), "serve", "--port", str(port)]
    if workers is not None:
        arguments += ["--workers", str(workers)]
    os.execv(PROGRAM, arguments)  # noqa: S606 - the project's own program, with numbers and a folder


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Bank scenes and serve them.")
    parser.add_argument("--port", type=port_number, default=8000, help="TCP port, 0 for a free one (8000)")
    parser.add_argument("--workers", type=int, help="worker processes")
    parser.add_argument("paths", type=Path, nargs="*", metavar="PATH", help="GeoTIFFs, or folders of them")
    given = parser.parse_args()
    flux = Flux(Path(os.environ.get("FLUX_HOME") or ROOT / "demo-home").absolute())
    port = free_port(given.port)
    flux.home.mkdir(parents=True, exist_ok=True)
    if not given.paths:
        bank_samples(flux)
    elif bank(flux, given.paths) == 0:
        sys.exit(1)
    layers = grant_all(flux)
    serve(flux, port, given.workers, layers, key_of(flux))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
