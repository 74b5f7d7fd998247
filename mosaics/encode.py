"""Pictures to image files; pure: arrays in, bytes out."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from mosaics.models import EncodedTile, Picture

Format = Literal["png", "jpg", "webp", "auto-webp", "auto-png"]
"""`auto-*`: JPEG where the picture is full, otherwise the named one."""

MEDIA_TYPES: dict[str, str] = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}

DEFAULT_QUALITY: dict[str, int] = {"jpg": 85, "webp": 80}


def encode(picture: Picture, image_format: Format, quality: int | None = None) -> EncodedTile:
    """Encode a picture.

    Args:
        picture: Pixels; colours are 0 where alpha is 0.
        image_format: The file format; JPEG has no alpha, so it shows white there.
        quality: 1..100 for JPEG and WebP; None: the default of the format.

    Returns:
        The file and its media type.
    """
    full = bool((picture.alpha == 255).all())
    chosen = image_format
    if image_format.startswith("auto-"):
        chosen = "jpg" if full else "webp" if image_format == "auto-webp" else "png"
    level = quality if quality is not None else DEFAULT_QUALITY.get(chosen, 0)
    if chosen == "jpg":
        pixels, options = _bgr(picture) if full else _on_white(picture), [cv2.IMWRITE_JPEG_QUALITY, level]
    elif chosen == "webp":
        pixels, options = _bgra(picture, full=full), [cv2.IMWRITE_WEBP_QUALITY, level]
    else:
        pixels, options = _bgra(picture, full=full), [cv2.IMWRITE_PNG_COMPRESSION, 2]
    done, data = cv2.imencode(f".{chosen}", pixels, options)
    if not done:  # OpenCV says so only for sizes it can't write
        raise ValueError(f"can't encode {pixels.shape[1]} x {pixels.shape[0]} pixels as {chosen}")
    return EncodedTile(data=data.tobytes(), media_type=MEDIA_TYPES[chosen])


@lru_cache(maxsize=32)
def empty(image_format: Format, width: int, height: int) -> EncodedTile:
    """Give the file of a picture with nothing on it: transparent, or white where there is no alpha."""
    if image_format in {"png", "auto-png"}:
        buffer = io.BytesIO()
        Image.new("P", (width, height)).save(buffer, "png", transparency=0, bits=1, optimize=True)
        return EncodedTile(data=buffer.getvalue(), media_type=MEDIA_TYPES["png"])
    nothing = Picture(
        rgb=np.zeros((height, width, 3), dtype="uint8"), alpha=np.zeros((height, width), dtype="uint8")
    )
    return encode(nothing, image_format)


def encode_within(picture: Picture, image_format: Format, max_bytes: int) -> EncodedTile | None:
    """Encode a picture at the best quality that fits into a number of bytes; None if none does."""
    low, high, best = 1, 95, None
    while low <= high:
        quality = (low + high) // 2
        tile = encode(picture, image_format, quality)
        if len(tile.data) <= max_bytes:
            best, low = tile, quality + 1
        else:
            high = quality - 1
        if tile.media_type == "image/png":
            break  # lossless: there is nothing to choose
    return best


def _bgr(picture: Picture) -> np.ndarray:
    return cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2BGR)


def _bgra(picture: Picture, *, full: bool) -> np.ndarray:
    return _bgr(picture) if full else np.dstack([_bgr(picture), picture.alpha])


def _on_white(picture: Picture) -> np.ndarray:
    alpha = picture.alpha[..., None].astype("uint16")
    mixed = (picture.rgb[..., ::-1].astype("uint16") * alpha + 255 * (255 - alpha) + 127) // 255
    return np.ascontiguousarray(mixed.astype("uint8"))
