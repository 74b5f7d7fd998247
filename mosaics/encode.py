"""Pictures to image files; pure: arrays in, bytes out. The encoders are those of docs/benchmarks.md."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, cast

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mosaics.errors import StyleFormatError
from mosaics.models import EncodedTile, Indexed, Picture
from mosaics.png import colour_png, palette_png

Format = Literal["png", "jpg", "webp", "avif", "auto-webp", "auto-png"]
"""`auto-*`: JPEG where the picture is full, otherwise the named one."""

MEDIA_TYPES: Final = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}

_BEST: Final = 95
"""Above it files grow and nobody sees why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """How much is lost in each format that loses, 1 (most) to 100; the defaults look alike."""

    jpg: int = 85
    webp: int = 80
    avif: int = 68

    def word(self, image_format: Format) -> str:
        """Write a format and all qualities that its bytes depend on in one canonical word."""
        used = {"auto-webp": ("jpg", "webp"), "auto-png": ("jpg",), "png": ()}.get(
            image_format, (image_format,)
        )
        return ":".join((image_format, *(f"{name}{getattr(self, name)}" for name in used)))


DEFAULT_QUALITY: Final = Quality()


def encode(
    picture: Picture, image_format: Format, quality: Quality = DEFAULT_QUALITY, *, thorough: bool = False
) -> EncodedTile:
    """Encode a picture.

    Args:
        picture: Pixels; colours are 0 where alpha is 0.
        image_format: The file format; JPEG has no alpha, so it shows white there.
        quality: Of formats that lose.
        thorough: Take longer for fewer bytes (WebP, and PNG that is no index).

    Returns:
        The file and its media type. What a decoder finds under alpha 0 is made of the pixels beside it.
    """
    full = bool((picture.alpha == 255).all())
    chosen = image_format
    if image_format.startswith("auto-"):
        chosen = "jpg" if full else "webp" if image_format == "auto-webp" else "png"
    if chosen == "jpg":
        pixels = picture.rgb if full else _on_white(picture)
        data = imagecodecs.jpeg8_encode(pixels, quality.jpg, subsampling="420")
    elif chosen == "webp":
        data = imagecodecs.webp_encode(
            _pixels(picture, full=full),
            quality.webp,
            lossless=False,
            method=4 if thorough else 0,
            numthreads=1,
        )
    elif chosen == "avif":
        data = imagecodecs.avif_encode(
            _pixels(picture, full=full), quality.avif, speed=10, pixelformat="420", numthreads=1
        )
    else:
        data = (
            _small_png(picture, full=full)
            if thorough and picture.indexed is None
            else _png(picture, full=full)
        )
    return EncodedTile(data=bytes(data), media_type=MEDIA_TYPES[chosen])


def settled(image_format: Format, formats: tuple[str, ...]) -> Format:
    """Choose the format of a style's picture.

    Args:
        image_format: What is asked for.
        formats: That may hold its pixels, the preferred first; none: all.

    Raises:
        StyleFormatError: If it asks for another one by name.
    """
    if not formats or image_format in formats:
        return image_format
    if not image_format.startswith("auto-"):
        raise StyleFormatError(formats)
    return cast("Format", formats[0])


@lru_cache(maxsize=32)
def empty(
    image_format: Format, width: int, height: int, backdrop: tuple[int, int, int] | None = None
) -> EncodedTile:
    """Give the file of a picture with nothing on it: transparent, or white where there is no alpha.

    Args:
        image_format: The file format.
        width: Columns.
        height: Rows.
        backdrop: The colour that means nothing; None: no colour does.
    """
    if backdrop is not None:
        solid = np.full((height, width, 3), backdrop, dtype="uint8")
        return encode(Picture(rgb=solid, alpha=np.full((height, width), 255, "uint8")), image_format)
    if image_format in {"png", "auto-png"}:
        buffer = io.BytesIO()
        Image.new("P", (width, height)).save(buffer, "png", transparency=0, bits=1, optimize=True)
        return EncodedTile(data=buffer.getvalue(), media_type=MEDIA_TYPES["png"])
    nothing = Picture(
        rgb=np.zeros((height, width, 3), dtype="uint8"), alpha=np.zeros((height, width), dtype="uint8")
    )
    return encode(nothing, image_format, thorough=True)


def encode_within(picture: Picture, image_format: Format, max_bytes: int) -> EncodedTile | None:
    """Encode a picture at the best quality that fits into a number of bytes; None if none does."""
    low, high, best = 1, _BEST, None
    while low <= high:
        level = (low + high) // 2
        tile = encode(picture, image_format, Quality(jpg=level, webp=level, avif=level), thorough=True)
        if len(tile.data) <= max_bytes:
            best, low = tile, level + 1
        else:
            high = level - 1
        if tile.media_type == "image/png":
            break  # lossless: there is nothing to choose
    return best


def _pixels(picture: Picture, *, full: bool) -> NDArray[np.uint8]:
    """Give red, green, blue and, where it is needed, alpha, shape (height, width, 3 or 4)."""
    if full:
        return np.ascontiguousarray(picture.rgb)
    rgba = np.asarray(cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2RGBA), np.uint8)
    cv2.insertChannel(picture.alpha, rgba, 3)
    return rgba


def _on_white(picture: Picture) -> NDArray[np.uint8]:
    if np.count_nonzero(picture.alpha) == np.count_nonzero(picture.alpha == 255):
        paper = cv2.cvtColor(cv2.bitwise_not(picture.alpha), cv2.COLOR_GRAY2RGB)
        return np.asarray(cv2.bitwise_or(picture.rgb, paper), np.uint8)  # where it is white nothing is drawn
    alpha = picture.alpha[..., None].astype("uint16")
    mixed = (picture.rgb.astype("uint16") * alpha + 255 * (255 - alpha) + 127) // 255
    white: NDArray[np.uint8] = mixed.astype("uint8")
    return white


def _small_png(picture: Picture, *, full: bool) -> bytes:
    """Encode without loss, each row by the filter that suits it: many times as slow."""
    buffer = io.BytesIO()
    Image.fromarray(_pixels(picture, full=full)).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _png(picture: Picture, *, full: bool) -> bytes:
    """Encode without loss: as an index where the picture is one, which halves the bytes."""
    indexed = picture.indexed
    if indexed is None:
        return colour_png(_pixels(picture, full=full))
    if full:
        return palette_png(indexed.values, indexed.colours, gradual=indexed.gradual)
    values = indexed.values
    transparent = _unused(values, picture.alpha)
    if transparent is None:
        values = _first_of_each_colour(indexed)
        transparent = _unused(values, picture.alpha)
    if transparent is None:
        return colour_png(_pixels(picture, full=False), few=True)
    values = np.where(picture.alpha > 0, values, np.uint8(transparent))
    return palette_png(values, indexed.colours, transparent, gradual=indexed.gradual)


def _unused(values: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> int | None:
    """Give a value that no visible pixel has; None where all are used. Hidden pixels have 0."""
    counts = np.bincount(values.ravel(), minlength=256)
    counts[0] -= np.count_nonzero(alpha == 0)
    free = np.flatnonzero(counts == 0)
    return int(free[0]) if free.size else None


def _first_of_each_colour(indexed: Indexed) -> NDArray[np.uint8]:
    """Give the values, of those that have the same colour the first; 0 stays 0."""
    _, first, same = np.unique(indexed.colours, axis=0, return_index=True, return_inverse=True)
    return first.astype("uint8")[same.ravel()][indexed.values]
