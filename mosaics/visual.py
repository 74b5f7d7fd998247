"""When a tile is a block that lies ready in a scene's companion; pure: no file is opened.

A block is what the ordinary way would make: the same renderer drew it for the same pixels of the grid, and
the same encoder wrote it. So it is sent under the same content key, and only where nothing of the request,
of what is open to the caller, or of the scene differs from what it was made for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mosaics.contribution import Contribution
from mosaics.encode import MEDIA_TYPES, Format, Quality
from mosaics.models import VISUAL_BLOCK, EncodedTile, Frame, Visual
from mosaics.resolve import RENDERER_VERSION, ResolvedTile

_INSET: Final = 1e-6
"""Part of a block by which a frame may be beside it, against rounding."""
_POWERS: Final = tuple(2**n for n in range(32))
"""How many blocks stand side by side for one of the coarsest level, by level from that."""
_ALPHA: Final = 0x10
"""The bit that says so, in the byte of each kind of WebP file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredBlock:
    """A block that may be the tile, if it is in the file and is as valid as it has to be."""

    contribution: Contribution
    """The scene it shows."""
    visual: Visual
    level: int
    """Of the file; 0 is the finest."""
    row: int
    column: int
    needs_whole: bool
    """Every pixel must be valid: others would show through, or the format is another where some are not."""
    needs_partial: bool
    """Some pixel must be invalid: the format is another where all are valid."""

    def tile(self, data: bytes, *, is_whole: bool) -> EncodedTile | None:
        """Give the tile of the block's bytes; None: the ordinary way must make it.

        Args:
            data: An image file.
            is_whole: Every pixel of the block is valid.
        """
        if (self.needs_whole and not is_whole) or (self.needs_partial and is_whole):
            return None
        scene = self.contribution.scene
        return EncodedTile(
            data=data,
            media_type=MEDIA_TYPES[self.visual.image_format],
            contributors=((scene.collection_id, scene.id, scene.sensor_id, scene.licence_id),),
        )


def stored_block(tile: ResolvedTile, image_format: Format, quality: Quality) -> StoredBlock | None:
    """Find the block that a tile may be.

    Five things must hold: one scene has the say and no area cuts it; the block is valid as far as it must be
    (which its bytes tell, see `StoredBlock.tile`); style, renderer, scene and quality are those it was made
    with; no time was asked for; the frame is the block's and the format is what would be made.

    Args:
        tile: As it was resolved for the caller, so by all that is open to them.
        image_format: What is asked for.
        quality: That the ordinary way encodes with.
    """
    if not tile.contributions or not tile.default_time or tile.pixel_selection != "first":
        return None
    first = tile.contributions[0]
    scene = first.source.scene
    visual = None if scene is None else scene.visual
    if visual is None or first.cloud_mask or first.is_stretched:
        return None
    if first.mask is not None or not _is_current(first, visual, quality):
        return None
    validity = _validity(image_format, visual)
    place = _place(tile.frame, visual)
    if validity is None or place is None:
        return None
    needs_whole, needs_partial = validity
    level, row, column = place
    return StoredBlock(
        contribution=first,
        visual=visual,
        level=level,
        row=row,
        column=column,
        needs_whole=needs_whole or len(tile.contributions) > 1,
        needs_partial=needs_partial,
    )


def is_current(visual: Visual, *, style_id: str, style_digest: str, generation: str, quality: int) -> bool:
    """Tell whether a companion is what would be rendered of a scene now."""
    return (
        visual.style_id == style_id
        and visual.style_digest == style_digest
        and visual.source_generation == generation
        and visual.renderer_version == RENDERER_VERSION
        and visual.quality == quality
    )


def has_alpha(webp: bytes) -> bool:
    """Tell whether a WebP file has transparent pixels; an encoder leaves an alpha that is opaque out."""
    if webp[12:16] == b"VP8L":
        return len(webp) > 24 and bool(webp[24] & _ALPHA)
    return webp[12:16] == b"VP8X" and len(webp) > 20 and bool(webp[20] & _ALPHA)


def _is_current(contribution: Contribution, visual: Visual, quality: Quality) -> bool:
    style = contribution.style
    return is_current(
        visual,
        style_id=style.id,
        style_digest=style.digest,
        generation=contribution.scene.generation,
        quality=getattr(quality, visual.image_format),
    )


def _validity(image_format: Format, visual: Visual) -> tuple[bool, bool] | None:
    """Say whether the block must be wholly valid, or must not be; None: its format is not asked for."""
    if image_format == visual.image_format:
        return False, False
    if image_format.startswith("auto-") and visual.image_format == "jpg":
        return True, False
    if image_format == f"auto-{visual.image_format}":
        return False, True
    return None


def _place(frame: Frame, visual: Visual) -> tuple[int, int, int] | None:
    """Give level, row and column of the block that a frame is; None: it is none."""
    if frame.crs != visual.crs or frame.width != VISUAL_BLOCK or frame.height != VISUAL_BLOCK:
        return None
    left, bottom, right, top = frame.bounds
    finest = visual.zooms[1] - visual.zooms[0]
    many = round(visual.span / (right - left))
    span = visual.span / many if many else visual.span
    if (
        many not in _POWERS[: finest + 1]
        or not _are_near(right - left, span)
        or not _are_near(top - bottom, span)
    ):
        return None
    column, row = (left - visual.origin[0]) / span, (visual.origin[1] - top) / span
    number, line = round(column), round(row)
    if abs(column - number) > _INSET or abs(row - line) > _INSET:
        return None
    if not (0 <= number < visual.columns * many and 0 <= line < visual.rows * many):
        return None
    return finest - (many.bit_length() - 1), line, number


def _are_near(side: float, span: float) -> bool:
    return abs(side - span) <= span * _INSET
