"""What a run of the benchmark needs at hand: scenes, homes that banked them, engines that serve them."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import servers
from benchmarks.addresses import COLOUR, STRETCHED, Look, address, mapfile
from benchmarks.data import Scene
from benchmarks.traces import Tile, random_tiles


@dataclass(frozen=True, kw_only=True)
class World:
    """Made once a run."""

    work: Path
    """Kept between runs: scenes and titiler's environment."""
    folder: Path
    """Of this run: homes, logs, configurations."""
    scenes: dict[str, Scene]
    key: str
    """Opens the keyed home."""
    visual_key: str = ""
    """Opens the home whose tiles were drawn ahead; empty where there is none."""
    tell: Callable[[str], None]

    @property
    def keyed(self) -> Path:
        """The home whose layers a licence guards."""
        return self.folder / "keyed"

    @property
    def visual(self) -> Path:
        """The home whose tiles were drawn ahead, guarded by a licence too."""
        return self.folder / "visual"

    @property
    def public(self) -> Path:
        """The home whose layers everybody sees."""
        return self.folder / "public"

    def middle(self, scene: Scene) -> Tile:
        """Give a tile inside a scene."""
        return random_tiles(scene.bounds, [16], 1, 0)[0]

    @contextlib.contextmanager
    def engine(self, name: str, scene: Scene, look: Look, *, cache: bool = False) -> Iterator[servers.Engine]:
        """Run flux, titiler or mapserver until the block ends."""
        ready = address(name, scene, look, self.middle(scene))
        data = scene.path.parent
        if name == "flux":
            context = servers.flux(self.keyed, data, ready, self.folder, key=self.key, cache=cache)
        elif name == "flux-visual":
            ready = address("flux", scene, look, self.middle(scene))
            context = servers.flux(self.visual, data, ready, self.folder, key=self.visual_key, cache=cache)
        elif name == "flux-public":
            ready = address("flux", scene, look, self.middle(scene))
            context = servers.flux(self.public, data, ready, self.folder, cache=cache)
        elif name == "titiler":
            context = servers.titiler(self.work, ready, self.folder)
        else:
            shown = [(s, COLOUR if s.sensor == "rgb" else STRETCHED) for s in self.scenes.values()]
            context = servers.mapserver(
                mapfile([(s, look) for s, look in shown if s.sensor != "dsm"]), ready, self.folder
            )
        with context as engine:
            yield engine


def bank(
    home: Path, scenes: dict[str, Scene], *, public: bool, tell: Callable[[str], None], visual: bool = False
) -> str:
    """Bank the scenes into a home and give a key that opens them, by a licence and an area."""
    if not public:
        for command in (
            ("licence", "add", "bench", "--title", "Benchmark"),
            ("institution", "add", "bench"),
            ("grant", "add", "bench", "--licence", "bench", "--area", str(_area(home.parent))),
        ):
            _flux(home, scenes, *command)
    for collection, together in _collections(scenes).items():
        tell(f"banking {collection}{' for everybody' if public else ''}")
        options = ["--collection", collection, "--sensor", together[0].sensor, "--datetime", "2026-05-12"]
        options += ["--visual"] if visual else []
        options += ["--public"] if public else ["--licence", "bench"]
        paths = [str(scene.path) for scene in together]
        for outcome in json.loads(_flux(home, scenes, "bank", *paths, *options, "--json")):
            if not outcome.get("in_place", True):
                tell(f"  note: it was converted, not served in place: {outcome}")
    return "" if public else _flux(home, scenes, "key", "create", "bench").strip()


def _collections(scenes: dict[str, Scene]) -> dict[str, list[Scene]]:
    found: dict[str, list[Scene]] = {}
    for scene in scenes.values():
        found.setdefault(scene.collection, []).append(scene)
    return found


def _area(folder: Path) -> Path:
    """Write the area of the grant: wide, so that it contains the scenes but has to be looked at."""
    path = folder / "area.geojson"
    ring = [[-179.0, -60.0], [179.0, -60.0], [179.0, 60.0], [-179.0, 60.0], [-179.0, -60.0]]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    return path


def _flux(home: Path, scenes: dict[str, Scene], *command: str) -> str:
    data = next(iter(scenes.values())).path.parent
    done = subprocess.run(
        [servers.PROGRAM, "--home", home, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**servers.plain_environment(), "FLUX_DATA_ROOTS": str(data)},
    )
    if done.returncode != 0:
        raise servers.EngineMissingError(f"dinamis-flux {' '.join(command)}: {done.stderr[-1000:]}")
    return done.stdout
