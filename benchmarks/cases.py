"""The cases: what is asked of whom, in which order, and which bar each has."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.addresses import COLOUR, HILLSHADE, NDVI, STRETCHED, Look, address
from benchmarks.data import Scene
from benchmarks.load import Run, hammer, replay
from benchmarks.many import MANY
from benchmarks.memory import Endurance, endure
from benchmarks.servers import Engine, empty, nginx
from benchmarks.traces import Tile, Viewport, lanes, random_tiles, sessions
from benchmarks.world import World

CONNECTIONS: Final = 8
WARM_SCENE: Final = "uint16-deflate"
"""What engines have served before they meet files that they never opened."""
VISUAL_SHARE: Final = 16
"""How many times more tiles drawn ahead are asked for than others."""
NATIVE: Final = 18
"""WebMercatorQuad's zoom nearest to 0.5 m at 45 degrees."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table, or two where first and later runs differ."""

    name: str
    title: str
    kind: str
    """tiles, sessions, hit, visual, access, cold or memory."""
    scene: str
    look: Look
    bars: dict[tuple[str, str], float] = field(default_factory=dict)
    """(phase, rival) -> what our rate divided by the rival's should be at least."""
    rivals: tuple[str, ...] = ()
    zooms: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What one engine did in one run of one case."""

    case: str
    phase: str
    """warm, first, later or cold."""
    engine: str
    number: int
    """Of the paired run, from 0."""
    run: Run
    memory: tuple[int, ...]
    """Resident bytes of each worker afterwards."""


def _tiles(name: str, scene: str, look: Look, zooms: tuple[int, ...], **bars: float) -> Case:
    return Case(
        name=name,
        title=f"{scene}, {look.style}, zoom {', '.join(map(str, zooms))}, {look.extension}, no tile cache",
        kind="tiles",
        scene=scene,
        look=look,
        rivals=tuple(bars),
        zooms=zooms,
        bars={("warm", rival): bar for rival, bar in bars.items()},
    )


def _sessions(name: str, scene: str, look: Look, bars: dict[str, tuple[float, float]]) -> Case:
    return Case(
        name=name,
        title=f"{scene}, {look.style}, map sessions zoom 13 to {NATIVE}, {look.extension}, no tile cache",
        kind="sessions",
        scene=scene,
        look=look,
        rivals=tuple(bars),
        bars={
            (phase, rival): bar
            for rival, pair in bars.items()
            for phase, bar in zip(("first", "later"), pair, strict=True)
        },
    )


CASES: Final = (
    _tiles("overview-rgb", "rgb-jpeg", COLOUR, (13, 14, 15), titiler=25, mapserver=5),
    _tiles("overview-uint16", "uint16-deflate", STRETCHED, (13, 14, 15), titiler=25, mapserver=5),
    _sessions("sessions-uint16", "uint16-deflate", STRETCHED, {"titiler": (15, 25), "mapserver": (2.5, 4)}),
    _tiles("native-uint16", "uint16-deflate", STRETCHED, (NATIVE,), titiler=1.2, mapserver=1),
    _tiles("native-rgb", "rgb-jpeg", COLOUR, (NATIVE,), titiler=1.2, mapserver=1),
    _tiles("native-zstd", "uint16-zstd", STRETCHED, (NATIVE,), titiler=1.8, mapserver=1.8),
    _sessions("sessions-ndvi", "uint16-deflate", NDVI, {"titiler": (20, 20)}),
    _tiles("hillshade", "dsm", HILLSHADE, (13, 14, 15, 16, 17, NATIVE), titiler=5),
    Case(
        name="hit",
        title="a cached tile with key, licence and area check and its count",
        kind="hit",
        scene="uint16-deflate",
        look=STRETCHED,
        rivals=("empty", "nginx"),
        bars={("warm", "empty"): 0.7, ("warm", "nginx"): 0.3},
    ),
    Case(
        name="visual",
        title="random tiles drawn ahead (`bank --visual`), with key, licence and area check, from their file",
        kind="visual",
        scene="rgb-jpeg",
        look=COLOUR,
        rivals=("empty",),
        zooms=(16, 17, NATIVE),
        bars={("warm", "empty"): 0.5},
    ),
    Case(
        name="access",
        title="a cached tile with a key against the same tile of a public layer",
        kind="access",
        scene="uint16-deflate",
        look=STRETCHED,
        rivals=("flux-public",),
        bars={("warm", "flux-public"): 0.9},
    ),
    Case(
        name="cold",
        title="first tile of a file never opened, one at a time (bar on time: half of titiler's)",
        kind="cold",
        scene="cold-0",
        look=STRETCHED,
        rivals=("titiler", "mapserver"),
        bars={("cold", "titiler"): 2},
    ),
    Case(
        name="memory",
        title="what a worker holds while maps of 200 scenes are looked at for 30 minutes, tile cache on",
        kind="memory",
        scene="many",
        look=STRETCHED,
    ),
)

Take = Callable[[Measure], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is asked."""

    runs: int = 5
    tiles: int = 240
    tile_seconds: int = 3
    """Seconds for which warm tiles are asked for."""
    users: int = 8
    pans: int = 6
    view: Viewport = field(default_factory=Viewport)
    hit_seconds: int = 4
    many: int = MANY
    minutes: float = 30.0


QUICK: Final = Plan(
    runs=1,
    tiles=64,
    tile_seconds=1,
    users=8,
    pans=2,
    view=Viewport(columns=3, rows=2),
    hit_seconds=2,
    many=24,
    minutes=1.0,
)


def run_case(case: Case, world: World, plan: Plan, take: Take) -> None:
    """Run a case; each measure is given on as it is there.

    Raises:
        EngineMissingError: If an engine can't be started.
    """
    kinds = {"tiles": _run_tiles, "sessions": _run_sessions, "hit": _run_hit, "access": _run_access}
    kinds["visual"] = _run_visual
    kinds.get(case.kind, _run_cold)(case, world, plan, take)


def run_memory(world: World, plan: Plan) -> Endurance:
    """Run our server for long, and nobody else's.

    Args:
        world: Whose scenes are all looked at.
        plan: How long, and by how many.

    Raises:
        EngineMissingError: If it can't be started.
    """
    scenes = list(world.scenes.values())
    with world.engine("flux", scenes[0], STRETCHED, cache=True) as engine:
        return endure(
            engine,
            scenes,
            minutes=plan.minutes,
            users=plan.users,
            pans=plan.pans,
            view=plan.view,
            tell=world.tell,
        )


def ordered(names: Sequence[str], number: int) -> list[str]:
    """Give the engines in the order of a run: every other run backwards."""
    return list(reversed(names)) if number % 2 else list(names)


def _asked(engine: str, scene: Scene, look: Look, tiles: Sequence[Sequence[Tile]]) -> list[list[str]]:
    return [[address(engine, scene, look, tile) for tile in lane] for lane in tiles]


def _run_tiles(case: Case, world: World, plan: Plan, take: Take) -> None:
    """Ask for random tiles of all engines, which stay up between the runs: all are warm.

    At native zoom each run asks for other tiles, once, so that blocks have to be decoded; else for the same
    again and again.
    """
    scene = world.scenes[case.scene]
    is_native = case.zooms == (NATIVE,)
    names = ("flux", *case.rivals)
    with contextlib.ExitStack() as stack:
        engines = {name: stack.enter_context(world.engine(name, scene, case.look)) for name in names}
        for number in range(-1, plan.runs):  # the first is to warm up
            count = plan.tiles * 2 if is_native and number >= 0 else plan.tiles
            seed = number + 2 if is_native else 1
            tiles = lanes(random_tiles(scene.bounds, case.zooms, count, seed), CONNECTIONS)
            if number < 0:
                tiles = [lane[:6] for lane in tiles]
            for name in ordered(names, number):
                engine = engines[name]
                paths = _asked(name, scene, case.look, tiles)
                if is_native or number < 0:
                    run = replay(engine.port, paths, engine.headers)
                else:
                    run = _hammered(engine, [path for lane in paths for path in lane], plan.tile_seconds)
                if number >= 0:
                    take(_measure(case, "warm", engine, name, number=number, run=run))


def _run_sessions(case: Case, world: World, plan: Plan, take: Take) -> None:
    """Replay sessions twice against each engine, which is started anew for every run."""
    scene = world.scenes[case.scene]
    for number in range(plan.runs):
        asked = sessions(
            scene.bounds, range(13, NATIVE + 1), plan.users, plan.pans, view=plan.view, seed=number + 1
        )
        for name in ordered(("flux", *case.rivals), number):
            paths = _asked(name, scene, case.look, asked)
            with world.engine(name, scene, case.look) as engine:
                for phase in ("first", "later"):
                    run = replay(engine.port, paths, engine.headers)
                    take(_measure(case, phase, engine, name, number=number, run=run))


def _measure(case: Case, phase: str, engine: Engine, name: str, *, number: int, run: Run) -> Measure:
    return Measure(case=case.name, phase=phase, engine=name, number=number, run=run, memory=engine.memory())


def _fetch(engine: Engine, path: str) -> bytes:
    wanted = urllib.request.Request(f"http://127.0.0.1:{engine.port}{path}", headers=dict(engine.headers))
    with urllib.request.urlopen(wanted, timeout=60) as answer:  # noqa: S310 - our own machine, by http
        return answer.read()


@contextlib.contextmanager
def _hit_engines(case: Case, world: World) -> Iterator[dict[str, tuple[Engine, str]]]:
    """Run what serves one cached tile, each with the path to ask."""
    scene = world.scenes[case.scene]
    path = address("flux", scene, case.look, world.middle(scene))
    static = world.folder / "static"
    static.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        flux = stack.enter_context(world.engine("flux", scene, case.look, cache=True))
        (static / "tile.jpg").write_bytes(_fetch(flux, path))
        yield {
            "flux": (flux, path),
            "empty": (stack.enter_context(empty(static / "tile.jpg", world.folder)), "/"),
            "nginx": (stack.enter_context(nginx(static, "/tile.jpg", world.folder)), "/tile.jpg"),
        }


def _run_hit(case: Case, world: World, plan: Plan, take: Take) -> None:
    with _hit_engines(case, world) as engines:
        _hammer_all(case, plan, engines, take)


def _run_visual(case: Case, world: World, plan: Plan, take: Take) -> None:
    """Ask for tiles that were drawn ahead, and the empty handler for a body as large as their median.

    The caches may be on: no cache holds such a tile.
    """
    scene = world.scenes[case.scene]
    static = world.folder / "static"
    static.mkdir(exist_ok=True)
    tiles = random_tiles(scene.bounds, case.zooms, plan.tiles * VISUAL_SHARE, 1)
    paths = [address("flux", scene, case.look, tile) for tile in tiles]
    with contextlib.ExitStack() as stack:
        flux = stack.enter_context(world.engine("flux-visual", scene, case.look, cache=True))
        bodies = sorted((_fetch(flux, path) for path in paths[:101]), key=len)
        (static / "tile.jpg").write_bytes(bodies[len(bodies) // 2])
        nothing = stack.enter_context(empty(static / "tile.jpg", world.folder))
        engines = {"flux": (flux, paths), "empty": (nothing, ["/"])}
        for engine, asked in engines.values():
            hammer(engine.port, asked, engine.headers, connections=CONNECTIONS * 4, seconds=2)
        for number in range(plan.runs):
            for name in ordered(tuple(engines), number):
                engine, asked = engines[name]
                run = _hammered(engine, asked, plan.hit_seconds)
                take(_measure(case, "warm", engine, name, number=number, run=run))


def _run_access(case: Case, world: World, plan: Plan, take: Take) -> None:
    scene = world.scenes[case.scene]
    path = address("flux", scene, case.look, world.middle(scene))
    with (
        world.engine("flux", scene, case.look, cache=True) as keyed,
        world.engine("flux-public", scene, case.look, cache=True) as public,
    ):
        _hammer_all(case, plan, {"flux": (keyed, path), "flux-public": (public, path)}, take)


def _hammered(engine: Engine, paths: Sequence[str], seconds: int) -> Run:
    return hammer(engine.port, paths, engine.headers, connections=CONNECTIONS, seconds=seconds)


def _hammer_all(case: Case, plan: Plan, engines: dict[str, tuple[Engine, str]], take: Take) -> None:
    for engine, path in engines.values():  # each worker has the tile, and is warm
        hammer(engine.port, [path], engine.headers, connections=CONNECTIONS * 4, seconds=1)
    for number in range(plan.runs):
        for name in ordered(tuple(engines), number):
            engine, path = engines[name]
            run = _hammered(engine, [path], plan.hit_seconds)
            take(_measure(case, "warm", engine, name, number=number, run=run))


def _run_cold(case: Case, world: World, plan: Plan, take: Take) -> None:
    """Ask for the first tile of each small scene once, of engines that are new but have served another."""
    files = [scene for name, scene in world.scenes.items() if name.startswith("cold-")]
    other = world.scenes[WARM_SCENE]
    warm = lanes(random_tiles(other.bounds, (15,), 48, 3), CONNECTIONS)
    for number in range(plan.runs):
        for name in ordered(("flux", *case.rivals), number):
            with world.engine(name, other, case.look) as engine:
                replay(engine.port, _asked(name, other, case.look, warm), engine.headers)
                paths = [address(name, file, case.look, world.middle(file)) for file in files]
                run = replay(engine.port, [paths], engine.headers)
                take(_measure(case, "cold", engine, name, number=number, run=run))
