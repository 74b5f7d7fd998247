"""Makes the overviews of a layer: what is as it was stays, what is made takes its place whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import shapely
from pyproj import CRS, Transformer

from mosaics.catalog.base import Catalog
from mosaics.catalog.index import CatalogIndex
from mosaics.catalog.overview import (
    NUMBERS,
    Overview,
    definition_of,
    number_band,
    overview_document,
)
from mosaics.errors import IngestError
from mosaics.filters import EVERYTHING
from mosaics.finding import find_layer
from mosaics.geodesy import lonlat_transformer
from mosaics.grids import MERCATOR, Grid
from mosaics.ingest.digests import file_sha256
from mosaics.ingest.runner import Runner
from mosaics.ingest.source import Progress
from mosaics.ingest.turn import one_at_a_time
from mosaics.ingest.wide.job import BLOCK_SIDE, WIDE_PROFILE, Before, Blocks, Job, Written
from mosaics.ingest.wide.plan import Bucket, Plan, plan_of
from mosaics.ingest.wide.write import sizes_below, write
from mosaics.ingest.workplace import flush_folder, temporary_folder
from mosaics.item import ItemFacts, scene_to_item
from mosaics.item_assets import COG_MEDIA_TYPE, DATA, SHA256_MULTIHASH, AssetFacts, href_of
from mosaics.layers import Layer
from mosaics.models import Band, Scene
from mosaics.tiff.scene_files import Sources

GRID: Final = "WebMercatorQuad"
"""Of whose levels overviews have the pixels."""
FOLDER: Final = "overviews"
"""In the home's data."""
_MOST_LARGER: Final = 4
"""How many times as large as its scenes an overview may be; blocks where nothing is take next to nothing."""
_STATISTICS: Final[dict[str, Callable[[list[float]], Any]]] = {
    "minimum": min,
    "maximum": max,
    **dict.fromkeys(("p2", "p50", "p98", "p999"), np.median),
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one overview."""

    name: str
    status: Literal["made", "unchanged", "removed", "failed"]
    scenes: int = 0
    composed: int = 0
    """Blocks that were made of scenes."""
    copied: int = 0
    """Blocks that are as they were."""
    unread: tuple[str, ...] = ()
    """Scenes that could not be read, and are not in it."""
    reason: str = ""
    """Why it failed."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What there is to do for a layer."""

    layer: Layer
    plan: Plan
    known: dict[str, Overview]
    """The overviews that it has, by name."""

    @property
    def unchanged(self) -> tuple[Bucket, ...]:
        """Those that are as they should be."""
        return tuple(each for each in self.plan.buckets if self._is_as_now(each))

    @property
    def changed(self) -> tuple[Bucket, ...]:
        """Those that have to be made."""
        return tuple(each for each in self.plan.buckets if not self._is_as_now(each))

    @property
    def needless(self) -> tuple[str, ...]:
        """Names of overviews that should be no more."""
        return tuple(sorted(self.known.keys() - {each.name for each in self.plan.buckets}))

    def _is_as_now(self, bucket: Bucket) -> bool:
        known = self.known.get(bucket.name)
        return (
            known is not None
            and known.zoom == self.plan.zoom
            and known.definition == definition_of(self.layer.mosaic)
            and np.array_equal(known.tokens, bucket.tokens)
            and all(Path(file.href).is_file() for file in (known.scene, known.numbers))
        )


@dataclass(frozen=True, kw_only=True)
class OverviewMaker:
    """Makes the overviews of layers."""

    root: Path
    """The home's data folder."""
    catalog: Catalog
    grid: Grid
    sources: Sources
    now: Callable[[], datetime]
    """UTC."""

    @contextmanager
    def turn(self, layer_id: str) -> Iterator[None]:
        """Wait until no other process makes overviews of a layer.

        Files that no overview has go first: of a killed run, and those that the last run replaced, which
        nobody reads any more.
        """
        folder = self._folder(layer_id)
        with one_at_a_time(folder):
            documents = self.catalog.overviews(layer_id).values()
            known = {asset["href"] for each in documents for asset in each["item"]["assets"].values()}
            for path in folder.glob("*.tif"):
                if href_of(str(path), self.root.resolve()) not in known:
                    with suppress(OSError):
                        path.unlink()
            yield

    def work(self, index: CatalogIndex, layer_id: str) -> Work:
        """Say what there is to do for a layer.

        Args:
            index: The catalogue, read when it was this process's turn.
            layer_id: A collection or a mosaic.

        Raises:
            LayerNotFoundError: If there is no such collection or mosaic.
            IngestError: If its pixels are chosen in a way that overviews can't show.
        """
        layer = find_layer(index, layer_id, EVERYTHING)
        mosaic = layer.mosaic
        if layer.single:
            raise IngestError(f"{layer_id} is one scene, which has overviews of its own")
        if mosaic is not None and mosaic.pixel_selection != "first":
            raise IngestError(
                f"{layer_id} shows the {mosaic.pixel_selection} of all scenes at a place, which needs all of "
                "them: overviews are for mosaics that show the first (`mosaic set --pixels first`)"
            )
        if mosaic is not None and mosaic.cloud_mask:
            raise IngestError(
                f"{layer_id} leaves clouds out, which its overviews would show: they are for mosaics without "
                "--cloud-mask"
            )
        known = index.overviews.get(layer_id, {})
        return Work(layer=layer, plan=plan_of(layer, self.grid, tuple(known.values())), known=known)

    def make(self, work: Work, bucket: Bucket, runner: Runner, report: Progress) -> Outcome:
        """Make one overview and register it; what was there before holds until then.

        Args:
            work: What it is part of.
            bucket: Its scenes.
            runner: Where it is written.
            report: Told of progress.
        """
        folder = self._folder(work.layer.id)
        try:
            with temporary_folder(folder, bucket.name) as temporary:
                job = self._job(work, bucket, temporary)
                grows = partial(sizes_below, temporary)
                written: Written = runner.run(bucket.name, write, job, report=report, grows=grows)
                self._keep(work, bucket, job, written)
        except IngestError as error:
            return Outcome(name=bucket.name, status="failed", scenes=len(bucket.members), reason=str(error))
        return Outcome(
            name=bucket.name,
            status="made",
            scenes=len(bucket.members) - len(written.unread),
            composed=written.composed,
            copied=written.copied,
            unread=tuple(job.scenes[place].id for place in written.unread),
        )

    def remove(self, work: Work, name: str) -> Outcome:
        """Take an overview away that should be no more; its files go with the next run."""
        self.catalog.remove_overview(work.layer.id, name)
        return Outcome(name=name, status="removed")

    def _folder(self, layer_id: str) -> Path:
        return self.root.resolve() / FOLDER / layer_id

    def _job(self, work: Work, bucket: Bucket, folder: Path) -> Job:
        scenes = tuple(replace(scene, visual=None) for scene in map(_scene_of, bucket.members))
        boxes = _mercator(np.array([place.bounds for place in bucket.members]))
        blocks = self._blocks(boxes, work.plan.zoom)
        known = work.known.get(bucket.name)
        can_go_on = (
            known is not None
            and known.zoom == work.plan.zoom
            and known.definition == definition_of(work.layer.mosaic)
            and all(Path(file.href).is_file() for file in (known.scene, known.numbers))
        )
        first = scenes[0]
        return Job(
            name=bucket.name,
            scenes=scenes,
            boxes=boxes,
            is_new=~np.isin(bucket.tokens, known.tokens) if known is not None else np.ones(len(boxes), bool),
            blocks=blocks,
            reduction=WIDE_PROFILE.reduction(first.kind, has_palette=bool(first.colormap)),
            sources=self.sources,
            folder=folder,
            before=_before(known, bucket, blocks) if known is not None and can_go_on else None,
        )

    def _blocks(self, boxes: Any, zoom: int) -> Blocks:
        """Give the blocks around boxes, in metres of Web Mercator."""
        matrix, side = self.grid.matrix(zoom), BLOCK_SIDE
        (left, top), span = matrix.origin, matrix.cell_size * side
        column, row = int((boxes[:, 0].min() - left) // span), int((top - boxes[:, 3].max()) // span)
        last_column, last_row = (boxes[:, 2].max() - left) // span, (top - boxes[:, 1].min()) // span
        column, columns, row, rows = _aligned(column, int(last_column) + 1, row, int(last_row) + 1)
        return Blocks(
            origin=(left, top),
            cell=matrix.cell_size,
            side=side,
            column=column,
            row=row,
            columns=columns,
            rows=rows,
        )

    def _keep(self, work: Work, bucket: Bucket, job: Job, written: Written) -> None:
        """Bring the files to where they stay, and register them; they go again if that fails."""
        folder = self._folder(work.layer.id)
        targets: list[tuple[Path, str, int]] = []
        try:
            for path, ending in ((written.colours, ""), (written.numbers, ".numbers")):
                sha256 = file_sha256(path, bucket.name, lambda _: None)
                size = path.stat().st_size
                target = folder / f"{bucket.name}.{sha256[:12]}{ending}.tif"
                path.replace(target)
                targets.append((target, sha256, size))
            flush_folder(folder)
            tokens = bucket.tokens
            tokens[list(written.unread)] = 0
            overview, item = self._described(work, bucket, job, targets)
            document = overview_document(replace(overview, tokens=tokens), item)
            self.catalog.put_overview(work.layer.id, bucket.name, document)
        except OSError as error:
            raise IngestError(f"{bucket.name}: it can't be stored: {error.strerror}") from error
        except BaseException:
            held = work.known.get(bucket.name)
            kept = set() if held is None else {held.scene.href, held.numbers.href}
            for target, _, _ in targets:
                if str(target) not in kept:
                    target.unlink(missing_ok=True)
            raise

    def _described(
        self, work: Work, bucket: Bucket, job: Job, files: Sequence[tuple[Path, str, int]]
    ) -> tuple[Overview, dict[str, Any]]:
        (path, sha256, size), (numbers_path, numbers_sha256, numbers_size) = files
        first, blocks, root = job.scenes[0], job.blocks, self.root.resolve()
        footprint = _lonlat_box(blocks)
        latitude = (footprint.bounds[1] + footprint.bounds[3]) / 2
        scene = replace(
            first,
            id=f"overview-{bucket.name}",
            licence_id=bucket.key.licence_id,
            acquired=None,
            footprint=footprint,
            href=str(path),
            generation=sha256,
            width=blocks.columns * blocks.side,
            height=blocks.rows * blocks.side,
            ground_resolution=blocks.cell * float(np.cos(np.radians(latitude))),
            bands=bands_of(job.scenes),
            others=(),
            visual=None,
            mask=None,
        )
        facts = AssetFacts(
            crs=CRS.from_user_input(MERCATOR).to_wkt(),
            epsg=3857,
            transform=blocks.transform,
            nodata=None,
            scales=[band.scale for band in scene.bands],
            offsets=[band.offset for band in scene.bands],
            sample_steps=[1] * len(scene.bands),
            file_size=size,
            sha256=sha256,
            profile=WIDE_PROFILE.version,
        )
        of = ItemFacts(files={DATA: facts}, source_digest=sha256, thumbnail=None)
        item = scene_to_item(scene, of, root=root, banked=self.now())
        band = number_band(len(job.scenes))
        item["assets"][NUMBERS] = {
            "href": href_of(str(numbers_path), root),
            "type": COG_MEDIA_TYPE,
            "roles": ["numbers"],
            "proj:shape": [scene.height, scene.width],
            "raster:spatial_resolution": scene.ground_resolution,
            "bands": [{"name": band.name, "data_type": band.data_type}],
            "file:size": numbers_size,
            "file:checksum": SHA256_MULTIHASH + numbers_sha256,
        }
        overview = Overview(
            layer_id=work.layer.id,
            name=bucket.name,
            key=bucket.key,
            definition=definition_of(work.layer.mosaic),
            zoom=work.plan.zoom,
            cell=blocks.cell,
            scene=scene,
            numbers=replace(scene, href=str(numbers_path), generation=numbers_sha256, bands=(band,)),
            tokens=bucket.tokens,
        )
        return overview, item


def _aligned(column: int, end_column: int, row: int, end_row: int) -> tuple[int, int, int, int]:
    """Widen a rectangle of blocks to steps of the widest power of two that makes it not too large.

    So a tile of coarser zooms, down to that step, is one block of the file's levels in place of four.

    Returns:
        First column, number of columns, first row, number of rows.
    """
    step, most = 1, _MOST_LARGER * (end_column - column) * (end_row - row)
    while True:
        wider = _to_steps(column, end_column, 2 * step), _to_steps(row, end_row, 2 * step)
        if wider[0][1] * wider[1][1] > most or 2 * step > max(wider[0][1], wider[1][1]):
            return *_to_steps(column, end_column, step), *_to_steps(row, end_row, step)
        step *= 2


def _to_steps(begin: int, end: int, step: int) -> tuple[int, int]:
    """Give where a range begins in whole steps, and how long it is."""
    first = begin // step * step
    return first, -(-end // step) * step - first


def bands_of(scenes: Sequence[Scene]) -> tuple[Band, ...]:
    """Give the bands of an overview: their limits are those of all scenes, their percentiles the usual ones.

    A percentile is the median of those of the scenes, so that an overview is as bright as most of them.
    """
    made = []
    for place, band in enumerate(scenes[0].bands):
        values: dict[str, Any] = {}
        for name, of_all in _STATISTICS.items():
            found = [value for s in scenes if (value := getattr(s.bands[place], name)) is not None]
            values[name] = float(of_all(found)) if found else None
        made.append(band._replace(**values))
    return tuple(made)


def _scene_of(place: Any) -> Scene:
    scene: Scene | None = place.scene
    assert scene is not None, "the plan leaves damaged ones out"
    return scene


def _before(known: Overview, bucket: Bucket, blocks: Blocks) -> Before:
    """Say what the overview was, and how its scenes are numbered now."""
    now = {int(token): number for number, token in enumerate(bucket.tokens, start=1)}
    numbers = [now.get(int(token), 0) if token else 0 for token in known.tokens]
    span, (left, top) = blocks.cell * blocks.side, blocks.origin
    west, _, _, north = known.scene.footprint.bounds
    x, y = _to_mercator().transform(west, north)
    return Before(
        colours=Path(known.scene.href),
        numbers=Path(known.numbers.href),
        column=round((x - left) / span),
        row=round((top - y) / span),
        renumbered=np.array([0, *numbers], np.uint32),
    )


def _to_mercator() -> Transformer:
    return Transformer.from_crs("OGC:CRS84", MERCATOR, always_xy=True)


def _mercator(boxes: Any) -> Any:
    """Turn boxes of longitude and latitude into metres of Web Mercator, where they are boxes too."""
    to = _to_mercator()
    left, bottom = to.transform(boxes[:, 0], boxes[:, 1])
    right, top = to.transform(boxes[:, 2], boxes[:, 3])
    return np.stack([left, bottom, right, top], axis=1)


def _lonlat_box(blocks: Blocks) -> Any:
    left, bottom, right, top = blocks.bounds
    to = lonlat_transformer(MERCATOR)
    west, south = to.transform(left, bottom)
    east, north = to.transform(right, top)
    return shapely.box(west, south, east, north)
