"""Draws docs/sensors/*.png: synthetic scenes of every sensor, banked and seen in all their styles.

`scripts/make_sensor_sheet.py [SENSOR ...]` writes the sheets of the sensors named, else of all.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from synthetic_ground import Ground
from synthetic_scenes import Case, Painter

from mosaics.catalog.memory import MemoryCatalog
from mosaics.fast import FastReader
from mosaics.gdal import configure
from mosaics.ingest.bank import Bank
from mosaics.ingest.options import BankOptions
from mosaics.ingest.sandbox import Sandbox
from mosaics.lettering import paint_text, text_width
from mosaics.models import Picture, Scene
from mosaics.read import RioTilerReader
from mosaics.readings import bands_bound
from mosaics.registry import Registry
from mosaics.sensors import Sensor, load_sensors
from mosaics.styles import Style, load_styles
from mosaics.tiff.blocks import BlockCache
from server.quicklook import scene_picture

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "sensors"
WIDTH, HEIGHT = 240, 128
"""Pixels of a thumbnail."""
COLUMNS = 4
MARGIN, TITLE, LABEL = 10, 40, 34
"""Pixels around thumbnails, above them all and below each."""
COLOURS = (96, 48, 28)
"""Of the palette of a sheet, the first with which it is small enough: thumbnails are seen, not measured."""
MOST_BYTES = 10_500
"""Of a sheet, for each thumbnail."""
PAPER, INK, SOFT = (247, 248, 250), (27, 39, 51), (75, 90, 107)


@dataclass(frozen=True, kw_only=True, slots=True)
class Thumbnail:
    """A scene in one of its styles."""

    style: str
    """Id of the style."""
    title: str
    """The style's, in English."""
    words: str
    """What the scene is."""
    picture: Picture

    @property
    def is_doubtful(self) -> bool:
        """Tell whether a third of it is as dark or as bright as can be."""
        pixels = self.picture.rgb[self.picture.alpha > 1]
        return bool((pixels.max(axis=1) < 8).mean() > 1 / 3 or (pixels.min(axis=1) > 247).mean() > 1 / 3)


@dataclass(frozen=True, kw_only=True)
class Studio:
    """What scenes are banked and rendered with."""

    ground: Ground
    sensors: Registry[Sensor]
    styles: Registry[Style]
    sandbox: Sandbox
    folder: Path
    """Temporary."""

    def thumbnails(self, sensor: Sensor) -> Iterator[Thumbnail]:
        """Give the pictures of a sensor, those that look alike once.

        Raises:
            AssertionError: If a style that the sensor lists is in none of them.
        """
        folder = self.folder / sensor.id
        shown: set[object] = set()
        styles: set[str] = set()
        for number, case in enumerate(Painter(self.ground, sensor, folder / "made").cases()):
            scene = self._banked(case, sensor, folder / f"home{number}")
            styles.update(case.styles or scene.styles)
            for name in case.styles or scene.styles:
                style = self.styles.get(name)
                looks = self._looks(style, scene)
                if looks in shown:
                    continue
                shown.add(looks)
                picture = scene_picture(scene, name, WIDTH, self._reader(), self.styles)
                yield Thumbnail(style=name, title=style.title.en, words=case.words, picture=picture)
        shutil.rmtree(folder)
        listed = {name for layout in sensor.layouts for name in layout.styles} | set(sensor.bundle_styles)
        assert listed == styles, f"{sensor.id}: no scene shows {', '.join(listed ^ styles)}"

    def _looks(self, style: Style, scene: Scene) -> tuple[object, ...]:
        """Tell what a picture hangs on, beside the ground: the style, its range, and what was measured.

        Counts, whatever their type, look alike between their percentiles, and bands alike in grey.
        """
        bound = bands_bound(style, scene)
        assert bound is not None, f"{style.id} was listed for {scene.id}"
        stretch = style.rescale_of(bound)
        as_it_is = stretch == "display" and all(band.data_type == "uint8" for band in bound)
        return style.id, stretch, as_it_is, bound[0].unit if scene.kind == "sar" else None

    def _banked(self, case: Case, sensor: Sensor, home: Path) -> Scene:
        """Bank a scene as the command line does, in a home of its own."""
        bank = Bank(
            home_data=home,
            catalog=MemoryCatalog(),
            sensors=self.sensors,
            styles=self.styles,
            sandbox=self.sandbox,
        )
        options = BankOptions(sensor=sensor)
        if case.path is not None:
            result = bank.bank_file(case.path, options, _unheard)
        else:
            assert case.delivery is not None, "a case is a file or a delivery"
            result = bank.bank_delivery(case.delivery, options, _unheard)
        assert result.scene is not None, "each home is empty"
        return result.scene

    @staticmethod
    def _reader() -> FastReader:
        return FastReader(reference=RioTilerReader(), blocks=BlockCache(0))


def _unheard(_stage: str, _done: float) -> None:
    """Nobody waits long for such small scenes."""


def sheet(sensor: Sensor, thumbnails: list[Thumbnail]) -> Image.Image:
    """Lay thumbnails out below the sensor's name."""
    columns = min(COLUMNS, max(2, len(thumbnails)))
    rows = -(-len(thumbnails) // columns)
    size = (
        MARGIN + columns * (WIDTH + MARGIN),
        TITLE + rows * (HEIGHT + LABEL + MARGIN),
    )
    paper = Image.new("RGB", size, PAPER)
    canvas = ImageDraw.Draw(paper)
    paint_text(canvas, (MARGIN, 26), sensor.title.en, 18, INK)
    note = "synthetic scenes"
    paint_text(canvas, (size[0] - MARGIN - text_width(note, 12), 26), note, 12, SOFT)
    for place, thumbnail in enumerate(thumbnails):
        row, column = divmod(place, columns)
        left, top = MARGIN + column * (WIDTH + MARGIN), TITLE + row * (HEIGHT + LABEL + MARGIN)
        picture = thumbnail.picture
        seen = Image.fromarray(np.dstack([picture.rgb, picture.alpha]), "RGBA")
        paper.paste(seen, (left, top + (HEIGHT - seen.height) // 2), seen)
        paint_text(canvas, (left, top + HEIGHT + 13), _fitting(thumbnail.title, 12), 12, INK)
        note = _fitting(f"{thumbnail.style} · {thumbnail.words}", 10)
        paint_text(canvas, (left, top + HEIGHT + 27), note, 10, SOFT)
    return paper


def png(paper: Image.Image, most_bytes: int) -> bytes:
    """Write a sheet with as many colours as leave it small."""
    few = paper.resize((paper.width // 3, paper.height // 3), Image.Resampling.NEAREST)
    for colours in COLOURS:
        out = io.BytesIO()
        palette = few.quantize(colours, kmeans=1)
        paper.quantize(palette=palette, dither=Image.Dither.NONE).save(out, "png", optimize=True)
        if out.tell() <= most_bytes:
            break
    return out.getvalue()


def _fitting(text: str, size: float) -> str:
    """Shorten a line that is wider than a thumbnail."""
    while text_width(text, size) > WIDTH:
        text = text.rstrip("…")[:-1].rstrip() + "…"
    return text


def main() -> None:
    """Write the sheets."""
    configure()
    sensors, styles = load_sensors(), load_styles()
    wanted = [sensors.get(name) for name in sys.argv[1:] or sensors.list()]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        studio = Studio(ground=Ground(), sensors=sensors, styles=styles, sandbox=sandbox, folder=Path(folder))
        for sensor in wanted:
            thumbnails = list(studio.thumbnails(sensor))
            for each in thumbnails:
                if each.is_doubtful:
                    print(f"look at {sensor.id} in {each.style}: much of it is black or white")
            path = FOLDER / f"{sensor.id}.png"
            path.write_bytes(png(sheet(sensor, thumbnails), MOST_BYTES * len(thumbnails)))
            print(f"docs/sensors/{path.name}: {len(thumbnails)} pictures, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
