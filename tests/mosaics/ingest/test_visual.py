"""Drawing a scene's tiles ahead: each level as the tile path draws it, whole or not at all."""

from __future__ import annotations

import dataclasses
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import rasterio
import shapely
from rio_cogeo.cogeo import cog_validate

from mosaics.catalog.memory import MemoryCatalog
from mosaics.compose import compose
from mosaics.encode import DEFAULT_QUALITY, Quality, encode
from mosaics.errors import IngestError, SceneUnreadableError
from mosaics.fast import FastReader
from mosaics.filters import EVERYTHING
from mosaics.grids import find_grid, load_grids
from mosaics.ingest.bank import Bank
from mosaics.ingest.options import BankOptions
from mosaics.ingest.sandbox import Sandbox
from mosaics.ingest.visual import VisualMaker, aligned_tiles
from mosaics.item import scene_from_item
from mosaics.layers import ANY_TIME, Layer
from mosaics.models import Bounds, Collection, EncodedTile, Picture, Raster, Scene, Text, Visual
from mosaics.read import RioTilerReader
from mosaics.resolve import RENDERER_VERSION, ResolvedTile, resolve
from mosaics.sensors import load_sensors
from mosaics.stored import StoredBlocks
from mosaics.styles import load_styles
from mosaics.tiff.blocks import BlockCache
from mosaics.visual import stored_block
from tests.mosaics.ingest.conftest import silent

SENSORS, STYLES = load_sensors(), load_styles()
GRID = find_grid(load_grids(), "WebMercatorQuad")
RNG = np.random.default_rng(3)
NOTHING = Text(fr="", en="")
SIZE = 600, 700
"""Rows and columns of 2 m: 4 x 5 tiles at zoom 16."""


@dataclasses.dataclass(frozen=True)
class Home:
    """A banked scene and what draws it."""

    catalog: MemoryCatalog
    root: Path
    ids: tuple[str, str]

    def maker(self, image_format: Literal["jpg", "webp"] = "jpg", **more: Any) -> VisualMaker:
        values: dict[str, Any] = {
            "home_data": self.root,
            "catalog": self.catalog,
            "styles": STYLES,
            "grid": GRID,
            "reader": FastReader(reference=RioTilerReader(), blocks=BlockCache(50_000_000)),
            "image_format": image_format,
            "quality": DEFAULT_QUALITY,
        }
        return VisualMaker(**{**values, **more})

    def make(self, *arguments: Any, **more: Any) -> str:
        return self.maker(*arguments, **more).make(*self.ids, silent)

    @property
    def scene(self) -> Scene:
        item = self.catalog.item(*self.ids)
        assert item is not None
        return scene_from_item(item, root=self.root, sequence=7)

    @property
    def visual(self) -> Visual:
        assert self.scene.visual is not None
        return self.scene.visual

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in (self.root / "visuals").rglob("*") if path.name != self.ids[0])

    def resolved(self, z: int, x: int, y: int) -> ResolvedTile:
        scene = self.scene
        collection = Collection(id=scene.collection_id, title=NOTHING, description=NOTHING)
        return resolve(
            Layer.of("a", (scene,), collection=collection, single=True),
            EVERYTHING,
            GRID.frame(z, x, y),
            ground_resolution=1e9,
            span=ANY_TIME,
            style_id=None,
            styles=STYLES,
        )

    def tiles(self) -> Iterator[tuple[int, int, int]]:
        """Give all tiles of the companion's zooms that the scene touches."""
        bounds = self.scene.footprint.bounds
        for z in range(self.visual.zooms[0], self.visual.zooms[1] + 1):
            found = GRID.tiles(Bounds(*bounds), z)
            assert found is not None
            for y in range(found.min_row, found.max_row + 1):
                for x in range(found.min_col, found.max_col + 1):
                    yield z, x, y


@pytest.fixture
def home(tmp_path: Path, sandbox: Sandbox, make_image: Callable[..., Path]) -> Home:
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    waves = [120 + 100 * np.sin(rows / (20 + 9 * band)) * np.cos(columns / 31) for band in range(3)]
    values = np.stack(waves).astype("uint8") + 1
    values[:, :250, :150] = 0
    path = make_image(values, "rgb.tif", nodata=0, photometric="RGB")
    catalog = MemoryCatalog()
    bank = Bank(home_data=tmp_path / "home", catalog=catalog, sensors=SENSORS, styles=STYLES, sandbox=sandbox)
    result = bank.bank_file(path, BankOptions(collection_id="c"), silent)
    return Home(catalog, (tmp_path / "home").resolve(), (result.collection_id, result.scene_id))


def drawn(home: Home, tile: ResolvedTile, image_format: Any) -> tuple[Picture, EncodedTile]:
    reader = FastReader(reference=RioTilerReader(), blocks=BlockCache(50_000_000))
    picture, _ = compose(tile, reader, lambda _error: None)
    return picture, encode(picture, image_format)


@pytest.mark.parametrize("image_format", ["jpg", "webp"])
def test_each_block_is_what_the_tile_path_makes(home: Home, image_format: Literal["jpg", "webp"]) -> None:
    assert home.make(image_format) == "made"
    stored = StoredBlocks(roots=(home.root,))
    found = {"whole": 0, "part": 0}
    for place in home.tiles():
        tile = home.resolved(*place)
        picture, expected = drawn(home, tile, image_format)
        block = stored_block(tile, image_format, DEFAULT_QUALITY)
        if block is None:
            assert not tile.contributions
            continue
        given = stored.read(block)
        if not picture.alpha.any():
            assert given is None
            continue
        assert given is not None
        assert given.data == expected.data
        assert given.media_type == expected.media_type
        found["whole" if picture.alpha.all() else "part"] += 1
    assert min(found.values()) > 2
    assert home.visual.zooms[1] - home.visual.zooms[0] == 2


def test_gdal_shows_the_whole_picture(home: Home) -> None:
    home.make()
    path = home.visual.href
    assert cog_validate(path, strict=True, quiet=True)[0]
    for level in range(3):
        options = {"overview_level": level - 1} if level else {}
        with rasterio.open(path, **options) as source:
            assert (source.width, source.height) == (
                home.visual.columns * 256 * 2 ** (2 - level),
                home.visual.rows * 256 * 2 ** (2 - level),
            )
            shown, mask = np.moveaxis(source.read(), 0, -1).astype(int), source.dataset_mask() > 0
            side = 256 * source.res[0]
            seen = np.zeros(mask.shape, dtype=bool)
            for z, x, y in home.tiles():
                if z != home.visual.zooms[1] - level:
                    continue
                picture, _ = drawn(home, home.resolved(z, x, y), "jpg")
                frame = GRID.frame(z, x, y).bounds
                row = round((source.bounds.top - frame.top) / side) * 256
                column = round((frame.left - source.bounds.left) / side) * 256
                part = slice(row, row + 256), slice(column, column + 256)
                valid = picture.alpha > 0
                assert (mask[part] == valid).all()
                seen[part] = True
                if valid.all():
                    difference = np.abs(shown[part] - picture.rgb)
                    assert difference.mean() < 3
            assert not mask[~seen].any()


def test_again_changes_nothing(home: Home) -> None:
    home.make()
    (path,), sequence = home.files, home.catalog.changes(0).sequence
    before = path.stat()
    assert home.make() == "unchanged"
    assert home.files == [path]
    assert path.stat() == before
    assert home.catalog.changes(0).sequence == sequence


@pytest.mark.parametrize("what", ["format", "quality", "style", "renderer", "source", "file", "missing"])
def test_what_is_no_longer_as_it_would_be_made_is_made_anew(home: Home, what: str) -> None:
    home.make()
    (path,) = home.files
    before = home.visual
    more: dict[str, Any] = {}
    if what == "format":
        more["image_format"] = "webp"
    elif what == "quality":
        more["quality"] = Quality(jpg=60)
    elif what == "style":
        style = STYLES.get(before.style_id)
        more["styles"] = STYLES.register({style.id: dataclasses.replace(style, rescale=((0.0, 200.0),) * 3)})
    elif what == "renderer":
        item = home.catalog.item(*home.ids)
        assert item is not None
        item["assets"]["visual"]["flux:renderer_version"] = RENDERER_VERSION - 1
        home.catalog.put_scene("c", item, item["properties"]["flux:digest"])
    elif what == "source":
        Path(home.scene.href).touch()
    elif what == "file":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    assert home.make(**more) == "made"
    assert home.make(**more) == "unchanged"
    assert home.files == [Path(home.visual.href)]
    if what in {"format", "quality", "style"}:
        assert home.visual.href != before.href


def test_the_item_says_what_it_was_made_with(home: Home) -> None:
    home.make()
    item = home.catalog.item(*home.ids)
    assert item is not None
    asset = item["assets"]["visual"]
    visual = home.visual
    assert asset["roles"] == ["visual"]
    assert asset["href"].startswith("visuals/c/rgb.")
    assert asset["file:size"] == Path(visual.href).stat().st_size
    assert (visual.style_id, visual.style_digest) == ("rgb", STYLES.get("rgb").digest)
    assert visual.source_generation == home.scene.generation
    with rasterio.open(visual.href) as source:
        assert list(source.transform[:6]) == pytest.approx(asset["proj:transform"])
        assert [source.height, source.width] == asset["proj:shape"]
    item["assets"]["data"]["bands"][0]["flux:percentiles"]["98"] += 1
    assert scene_from_item(item, root=home.root, sequence=7).visual is None


def test_a_full_disk_leaves_nothing(home: Home) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = home.catalog.item(*home.ids)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        with pytest.raises(IngestError, match="no space left"):
            home.make()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert home.files == []
    assert home.catalog.item(*home.ids) == before


class Failing:
    """A reader that fails at the n-th read."""

    def __init__(self, error: BaseException, after: int = 9) -> None:
        self.inner = RioTilerReader()
        self.error, self.left = error, after

    def read(self, *arguments: Any) -> Raster:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return self.inner.read(*arguments)


@pytest.mark.parametrize(
    ("error", "raised"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (SceneUnreadableError("rgb"), IngestError)],
    ids=["interrupted", "unreadable"],
)
def test_what_ends_early_leaves_what_was_there(
    home: Home, error: BaseException, raised: type[BaseException]
) -> None:
    home.make()
    before, (path,) = home.catalog.item(*home.ids), home.files
    with pytest.raises(raised):
        home.make(quality=Quality(jpg=50), reader=Failing(error))
    assert home.files == [path]
    assert home.catalog.item(*home.ids) == before


def test_a_catalogue_that_fails_leaves_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> int:
        raise OSError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(home.catalog, "put_scene", fail)
        with pytest.raises(OSError, match="gone"):
            home.make()
    assert home.files == []
    assert home.make() == "made"


def test_a_scene_that_changes_meanwhile_gets_none(home: Home) -> None:
    class Touching(Failing):
        def read(self, *arguments: Any) -> Raster:
            Path(arguments[0].href).touch()
            return self.inner.read(*arguments)

    with pytest.raises(IngestError, match="changed"):
        home.make(reader=Touching(RuntimeError()))
    assert home.files == []
    assert home.scene.visual is None


def test_levels_begin_and_end_together(home: Home) -> None:
    scene = home.scene
    aligned = aligned_tiles(GRID, scene)
    assert aligned.columns <= 2
    assert aligned.rows <= 2
    assert aligned.zooms[1] == GRID.zoom_for(scene.ground_resolution, scene.footprint.centroid.y)
    finer = GRID.tiles(Bounds(*scene.footprint.bounds), aligned.zooms[0] + 1)
    assert finer is not None
    assert max(finer.max_col - finer.min_col, finer.max_row - finer.min_row) >= 2


def test_scenes_that_have_no_such_tiles_are_refused_by_name(home: Home) -> None:
    scene = home.scene
    pole = dataclasses.replace(scene, footprint=shapely.box(0, 86, 1, 89))
    turn = shapely.union_all([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179, 1)])
    with pytest.raises(IngestError, match="outside"):
        aligned_tiles(GRID, pole)
    with pytest.raises(IngestError, match="too many tiles"):
        aligned_tiles(GRID, dataclasses.replace(scene, footprint=turn))
    with pytest.raises(IngestError, match="not the usual one"):
        aligned_tiles(find_grid(load_grids(), "2154_50cm"), scene)
