"""Times what a picture costs from values to a file, and each encoder by itself.

`benchmarks/encoders.py` prints tables as they stand in docs/benchmarks.md; `--json` prints them for programs;
`--imagery FOLDER` says where real imagery is (without it, beside the checkout, pictures are synthetic);
`--equal` searches the qualities that lose as much as JPEG of 85. Times of the processor (of the thread): a
busy machine does not make them much longer. Errors are those of visible pixels.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import imagecodecs
import numexpr
import numpy as np
import rasterio
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mosaics.compose import cut
from mosaics.encode import DEFAULT_QUALITY, Quality, encode
from mosaics.models import Band, Picture, Raster
from mosaics.render import Recipe, render
from mosaics.styles import load_styles

ROOT: Final = Path(__file__).resolve().parents[1]
SIZE: Final = 256
STYLES: Final = load_styles()
PHOTOS: Final = (
    "optical/aerial/dop_rgb_cog.tif",
    "optical/pleiades/toulouse_xs_4326.tif",
    "optical/planet/SkySat_Freeport_s03_20170831T162740Z.tif",
    "optical/planet/rapideye_20170308_Visual_clip.tif",
    "optical/sentinel2/S2_TCI.tif",
    "optical/worldview/rotterdam_rgb.tif",
    "mosaic/ngi_rgb_1.tif",
    "derived/reunion_img01_pan_ortho_cog.tif",
)
"""Real pictures whose errors are compared by `--equal`."""
VHR: Final = "optical/pleiades/toulouse_xs_4326.tif"
VHR_TOP: Final = 276
"""Row below the last that has pixels without data."""
DSM: Final = "dem/swiss_dem_2056_cog.tif"
HOLED_DSM: Final = "dem/reunion_pleiades_dsm.tif"


class Sample(NamedTuple):
    """A tile before it is rendered."""

    raster: Raster
    recipe: Recipe
    ground: tuple[np.ndarray, np.ndarray] | None = None

    def picture(self) -> Picture:
        """Render it."""
        return render(self.raster, self.recipe, self.ground)


Encoder = Callable[[Picture, np.ndarray], bytes]
"""Takes a picture, and its pixels with alpha where that is needed."""


def noise(bands: int, size: int = SIZE, low: float = 200, high: float = 3000) -> np.ndarray:
    """Give textured noise, shape (size, size, bands), which looks the same at all scales."""
    random, out = np.random.default_rng(1), []
    for _ in range(bands):
        field = np.zeros((size, size), np.float32)
        for cell in (1, 4, 16, 64):
            coarse = random.normal(0, cell**0.5, (size // cell + 2,) * 2).astype("float32")
            field += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        out.append(low + (high - low) * (field - field.min()) / np.ptp(field))
    return np.stack(out, axis=-1)


def sample(style_id: str, values: np.ndarray, valid: np.ndarray | None = None) -> Sample:
    """Bind a style to values of shape (height, width, bands), stretched by their own percentiles."""
    style = STYLES.get(style_id)
    low, high = np.nanpercentile(values, [2, 98], axis=(0, 1))
    bands = tuple(
        Band(name=name, common_name=name, data_type=values.dtype.name, p2=float(a), p98=float(b))
        for name, a, b in zip(style.variables, low, high, strict=True)
    )
    known = np.ones(values.shape[:2], bool) if valid is None else valid
    metres = np.full((values.shape[0], 1), 0.5)
    raster = Raster(data=np.moveaxis(values, -1, 0), valid=known)
    return Sample(raster, Recipe(style=style, bands=bands), (metres, metres) if style.algorithm else None)


def window(path: Path, bands: tuple[int, ...], margin: int = 0, top: int | None = None) -> np.ndarray:
    """Read the middle of a file, or from a row on; what is missing is mirrored. Shape (size, size, bands)."""
    side = SIZE + 2 * margin
    with rasterio.open(path) as file:
        row = max(0, (file.height - side) // 2) if top is None else top
        column = max(0, (file.width - side) // 2)
        rows, columns = (row, min(row + side, file.height)), (column, min(column + side, file.width))
        block = np.moveaxis(file.read(bands, window=(rows, columns)), 0, -1)
    missing = ((0, side - block.shape[0]), (0, side - block.shape[1]), (0, 0))
    return np.pad(block, missing, mode="reflect")


def samples(imagery: Path | None) -> dict[str, Sample]:
    """Give the tiles: of real imagery where it is, and synthetic."""
    found = {}
    if imagery is not None:
        found["photo"] = sample("natural", window(imagery / VHR, (1, 2, 3), top=VHR_TOP))
        found["ndvi"] = sample("ndvi", window(imagery / VHR, (4, 1), top=VHR_TOP))
        found["hillshade"] = sample("hillshade", window(imagery / DSM, (1,), margin=3))
        heights = window(imagery / HOLED_DSM, (1,), margin=3)
        found["hillshade, holes"] = sample("hillshade", heights, np.isfinite(heights[..., 0]))
    found["photo, synthetic"] = sample("natural", noise(3).astype("uint16"))
    found["ndvi, synthetic"] = sample("ndvi", noise(2).astype("uint16"))
    found["hillshade, synthetic"] = sample("hillshade", noise(1, SIZE + 6, 200, 300).astype("float32"))
    return found


def slanted(picture: Picture) -> Picture:
    """Cut a picture by a slanted edge."""
    rows, columns = np.mgrid[0 : picture.alpha.shape[0], 0 : picture.alpha.shape[1]]
    return cut(picture, columns + 0.3 * rows < 170)


def encoders() -> dict[str, Encoder]:
    """Give what was tried, by name; ours first."""
    ours: dict[str, Encoder] = {
        f"ours: {name}": lambda picture, _pixels, name=name: encode(picture, name).data
        for name in ("jpg", "webp", "png", "avif")
    }
    return {**ours, **_jpeg(), **_webp(), **_png(), **_avif()}


def _opencv(extension: str, *options: int) -> Encoder:
    def work(_picture: Picture, pixels: np.ndarray) -> bytes:
        swap = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        return cv2.imencode(extension, cv2.cvtColor(pixels, swap), options)[1].tobytes()

    return work


def _pillow(kind: str, **options: Any) -> Encoder:
    def work(_picture: Picture, pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        return buffer.getvalue()

    return work


def _codec(function: Callable[..., Any], *values: Any, **options: Any) -> Encoder:
    return lambda _picture, pixels: bytes(function(pixels, *values, **options))


def _jpeg() -> dict[str, Encoder]:
    level = DEFAULT_QUALITY.jpg
    return {
        "jpg OpenCV": _opencv(".jpg", cv2.IMWRITE_JPEG_QUALITY, level),
        "jpg Pillow": _pillow("JPEG", quality=level),
        "jpg imagecodecs": _codec(imagecodecs.jpeg8_encode, level, subsampling="420"),
        "jpg imagecodecs, optimized": _codec(
            imagecodecs.jpeg8_encode, level, subsampling="420", optimize=True
        ),
        "jpg imagecodecs, 4:4:4": _codec(imagecodecs.jpeg8_encode, level, subsampling="444"),
    }


def _webp() -> dict[str, Encoder]:
    level = DEFAULT_QUALITY.webp
    tried = {
        f"webp imagecodecs, method {method}": _codec(
            imagecodecs.webp_encode, level, lossless=False, method=method, numthreads=1
        )
        for method in (0, 1, 2, 3, 4, 6)
    }
    return {
        "webp OpenCV": _opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, level),
        "webp Pillow, method 0": _pillow("WEBP", quality=level, method=0),
        **tried,
        "webp imagecodecs, lossless": _codec(imagecodecs.webp_encode, 0, lossless=True, method=0),
    }


def _png() -> dict[str, Encoder]:
    return {
        "png OpenCV, level 2": _opencv(".png", cv2.IMWRITE_PNG_COMPRESSION, 2),
        "png Pillow, level 1": _pillow("PNG", compress_level=1),
        "png imagecodecs, level 1, sub": _codec(imagecodecs.png_encode, 1, strategy=0, filter=16),
        "png imagecodecs, level 1, sub, RLE": _codec(imagecodecs.png_encode, 1, strategy=3, filter=16),
    }


def _avif() -> dict[str, Encoder]:
    level = DEFAULT_QUALITY.avif
    tried = {
        f"avif imagecodecs, speed {speed}": _codec(
            imagecodecs.avif_encode, level, speed=speed, pixelformat="420", numthreads=1
        )
        for speed in (10, 9, 8)
    }
    return {
        "avif OpenCV, speed 9": _opencv(".avif", cv2.IMWRITE_AVIF_QUALITY, level, cv2.IMWRITE_AVIF_SPEED, 9),
        "avif Pillow, speed 10": _pillow("AVIF", quality=level, speed=10, max_threads=1),
        **tried,
        "avif imagecodecs, speed 10, 4:4:4": _codec(imagecodecs.avif_encode, level, speed=10, numthreads=1),
    }


def timed(work: Callable[[], object], seconds: float = 0.15) -> float:
    """Give the median of the thread's own time, milliseconds."""
    took: list[int] = []
    work()
    while len(took) < 5 or (sum(took) < seconds * 1e9 and len(took) < 200):
        begun = time.thread_time_ns()
        work()
        took.append(time.thread_time_ns() - begun)
    return statistics.median(took) / 1e6


def signal_to_noise(picture: Picture, data: bytes) -> float | None:
    """Give the PSNR of visible pixels, dB; None: nothing is lost."""
    found = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)
    shown = picture.alpha > 0
    error = float(((found - picture.rgb)[shown] ** 2).mean())
    return None if error == 0 else 10 * float(np.log10(255**2 / error))


def measure_encoders(pictures: dict[str, Picture]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Give ms, bytes and dB of each encoder for each picture."""
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for name, encoder in encoders().items():
        found[name] = {}
        for kind, picture in pictures.items():
            full = bool((picture.alpha == 255).all())
            if not full and ("jpg" in name):
                continue
            pixels = picture.rgb if full else np.dstack([picture.rgb, picture.alpha])
            data = encoder(picture, pixels)
            found[name][kind] = {
                "ms": timed(lambda e=encoder, p=picture, x=pixels: e(p, x)),
                "bytes": len(data),
                "psnr": signal_to_noise(picture, data),
            }
    return found


def equal_qualities(imagery: Path) -> dict[str, list[dict[str, float]]]:
    """Give how much better or worse than JPEG each quality is, in the mean of real photos, dB."""
    pictures = []
    for path in PHOTOS:
        with rasterio.open(imagery / path) as file:
            bands = (1, 2, 3) if file.count >= 3 else (1,)
        values = window(imagery / path, bands)
        pictures.append(sample("natural" if len(bands) == 3 else "pan", values).picture())
    usual = [encode(picture, "jpg").data for picture in pictures]
    found: dict[str, list[dict[str, float]]] = {}
    for name in ("webp", "avif"):
        for level in range(60, 96, 2):
            data = [encode(picture, name, Quality(**{name: level})).data for picture in pictures]
            better = [
                (signal_to_noise(p, d) or 99) - (signal_to_noise(p, j) or 99)
                for p, d, j in zip(pictures, data, usual, strict=True)
            ]
            less = [len(d) / len(j) for d, j in zip(data, usual, strict=True)]
            found.setdefault(name, []).append(
                {"quality": level, "dB": statistics.mean(better), "bytes": statistics.mean(less)}
            )
    return found


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def document(report: dict[str, Any]) -> str:
    """Write all that was measured as tables."""
    kinds = list(report["render_ms"])
    parts = [table(["to pixels, ms", *kinds], [["", *(f"{v:.2f}" for v in report["render_ms"].values())]])]
    kinds = list(report["encoders"]["ours: webp"])
    rows = []
    for name, each in report["encoders"].items():
        cells = []
        for kind in kinds:
            cell = each.get(kind)
            lost = "" if cell is None or cell["psnr"] is None else f" · {cell['psnr']:.1f}"
            cells.append("" if cell is None else f"{cell['ms']:.2f} · {cell['bytes'] / 1000:.1f}{lost}")
        rows.append([name, *cells])
    parts.append(table(["ms · kB · dB", *kinds], rows))
    for name, each in report.get("equal", {}).items():
        rows = [[f"{e['quality']}", f"{e['dB']:+.2f}", f"{e['bytes']:.2f}"] for e in each]
        parts.append(table([f"{name} quality", "dB against jpg", "bytes against jpg"], rows))
    return "\n\n".join(parts)


def main() -> None:
    """Measure and print."""
    beside = ROOT.parent / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--imagery", type=Path, default=beside if beside.is_dir() else None)
    parser.add_argument("--equal", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    numexpr.set_num_threads(1)
    tiles = samples(asked.imagery)
    pictures = {kind: tile.picture() for kind, tile in tiles.items()}
    for kind in [kind for kind in ("photo", "ndvi") if kind in pictures]:
        pictures[f"{kind}, cut"] = slanted(pictures[kind])
    report: dict[str, Any] = {
        "render_ms": {kind: timed(tile.picture) for kind, tile in tiles.items()},
        "encoders": measure_encoders(pictures),
    }
    if asked.equal and asked.imagery is not None:
        report["equal"] = equal_qualities(asked.imagery)
    print(json.dumps(report, indent=1) if asked.json else document(report))


if __name__ == "__main__":
    main()
