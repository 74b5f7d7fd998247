"""The bank profile: how every file that banking writes is laid out, as one versioned table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from mosaics.models import Kind

Reduction = Literal["average", "mode", "max"]
"""How four pixels become one of the next overview."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BankProfile:
    """The layout of a banked Cloud-Optimized GeoTIFF; any change of a value is a new version."""

    version: str
    """What the file states in the tag FLUX_BANK_PROFILE."""
    block_size: int
    """Columns and rows of a block; overviews go on until the whole image is no larger."""
    codec: str
    """Lossless: measurements stay what they are."""
    level: int
    """Effort of the codec; reading is as fast at any level."""
    work_level: int
    """Effort of the codec for large files that exist only while banking."""
    plain_work_bytes: int
    """Those of up to so many bytes are not compressed: that takes a sixth of the time of banking."""
    pixel_interleaved_bands: int
    """Up to so many bands (alpha included) are stored pixel by pixel; more, band by band, so that nobody
    decodes bands that weren't asked for."""
    reductions: tuple[tuple[Kind, Reduction], ...]
    """How overviews are made by kind; kinds that are not named get the average."""
    keeps: str
    """What becomes of nodata, alpha and masks."""

    def predictor(self, data_type: str) -> int:
        """Give TIFF's predictor for a type: 2 (difference) for integers, 3 (floating point) for floats."""
        return 3 if np.dtype(data_type).kind == "f" else 2

    def interleave(self, bands: int) -> Literal["PIXEL", "BAND"]:
        """Give how bands are stored.

        Args:
            bands: Bands of the file, alpha included.
        """
        return "PIXEL" if bands <= self.pixel_interleaved_bands else "BAND"

    def reduction(self, kind: Kind, *, has_palette: bool) -> Reduction:
        """Give how overviews are made.

        Args:
            kind: What the numbers mean.
            has_palette: The numbers are entries of a palette, which can't be averaged.
        """
        return "mode" if has_palette else dict(self.reductions).get(kind, "average")

    def is_plain_work(self, data_type: str, bands: int, pixels: int) -> bool:
        """Tell whether the tiled file from which a COG is assembled is not compressed.

        Args:
            data_type: Of its values.
            bands: Of it, alpha included.
            pixels: Of each band.
        """
        return pixels * bands * np.dtype(data_type).itemsize <= self.plain_work_bytes

    def work_options(self, data_type: str, bands: int, pixels: int) -> dict[str, Any]:
        """Give rasterio's creation options of the tiled files from which the COG is assembled.

        Args:
            data_type: Of their values.
            bands: Of them, alpha included.
            pixels: Of each band.
        """
        options = {
            "driver": "GTiff",
            "tiled": True,
            "blockxsize": self.block_size,
            "blockysize": self.block_size,
            "interleave": self.interleave(bands).lower(),
            "bigtiff": "IF_SAFER",
        }
        if self.is_plain_work(data_type, bands, pixels):
            return options
        predictor = self.predictor(data_type)
        return {**options, "compress": self.codec, "zstd_level": self.work_level, "predictor": predictor}

    def copy_options(self, data_type: str, bands: int, threads: int) -> dict[str, Any]:
        """Give GDAL's options that copy a tiled file with its overviews into the COG.

        GDAL's COG driver stores pixel by pixel only (before 3.11); band by band, its GTiff driver lays the
        file out in the same order. The bytes are the same with any number of threads.

        Args:
            data_type: Of the values.
            bands: Of the file, alpha included.
            threads: That compress.
        """
        if self.interleave(bands) == "PIXEL":
            return {
                "driver": "COG",
                "BLOCKSIZE": self.block_size,
                "COMPRESS": self.codec,
                "LEVEL": self.level,
                "PREDICTOR": "FLOATING_POINT" if self.predictor(data_type) == 3 else "STANDARD",
                "OVERVIEWS": "FORCE_USE_EXISTING",
                "NUM_THREADS": threads,
                "BIGTIFF": "IF_SAFER",
            }
        return {
            "driver": "GTiff",
            "TILED": "YES",
            "BLOCKXSIZE": self.block_size,
            "BLOCKYSIZE": self.block_size,
            "COMPRESS": self.codec,
            "ZSTD_LEVEL": self.level,
            "PREDICTOR": self.predictor(data_type),
            "INTERLEAVE": "BAND",
            "COPY_SRC_OVERVIEWS": "YES",
            "NUM_THREADS": threads,
            "BIGTIFF": "IF_SAFER",
        }

    def overview_sizes(self, width: int, height: int) -> tuple[tuple[int, int], ...]:
        """Give (columns, rows) of each overview, the finest first; none for an image of one block."""
        sizes = []
        while max(width, height) > self.block_size:
            width, height = (width + 1) // 2, (height + 1) // 2
            sizes.append((width, height))
        return tuple(sizes)


PROFILE: Final = BankProfile(
    version="2",
    block_size=512,
    codec="ZSTD",
    level=9,
    work_level=1,
    plain_work_bytes=2 << 30,
    pixel_interleaved_bands=4,
    reductions=(("night", "max"), ("classes", "mode"), ("phase", "mode")),
    keeps="nodata and alpha as they are; internal and external masks as an internal mask; any of them with "
    "an alpha band: alpha 0; values that are not finite: nodata",
)
"""The profile in force."""
