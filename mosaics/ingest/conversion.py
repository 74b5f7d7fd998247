"""What banking makes of an inspected file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mosaics.ingest.inspect import Inspection
from mosaics.ingest.profile import BankProfile, Reduction


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """What is to be made of an inspected file."""

    inspection: Inspection
    """The file."""
    profile: BankProfile
    """How the result is laid out."""
    reduction: Reduction
    """How its overviews are made."""
    has_unfinite: bool
    """It has values that are NaN or infinite."""
    threads: int = 1
    """That compress, or that decode what is compressed."""
    copy: Path | None = None
    """A tiled copy that was made while the file was measured, to be taken along."""

    @property
    def nodata(self) -> float | None:
        """Nodata value of the result; with an alpha band that tells all, so there is none."""
        inspection = self.inspection
        if inspection.alpha_band is not None:
            return None
        if inspection.nodata is not None:
            return inspection.nodata
        return float("nan") if self.has_unfinite and not self.has_mask else None

    @property
    def has_mask(self) -> bool:
        """The result has an internal mask."""
        inspection = self.inspection
        masked = inspection.has_internal_mask or inspection.external_mask is not None
        return masked and inspection.alpha_band is None and inspection.nodata is None

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Columns and rows of the image and of each overview, the finest first."""
        inspection = self.inspection
        image = (inspection.width, inspection.height)
        return (image, *self.profile.overview_sizes(*image))

    @property
    def coarsens_beside(self) -> bool:
        """Whether the first overview is made while the pixels are copied.

        It is where the blocks of the work files, of which a window may fill a half, are not compressed; and
        where the windows need no pixels of each other's blocks, or have not to decode them.
        """
        inspection = self.inspection
        halves = inspection.width % 2 == 0 and inspection.height % 2 == 0
        return len(self.sizes) > 1 and self._is_plain and (halves or not inspection.is_decoded)

    @property
    def is_copied_early(self) -> bool:
        """Whether the pixels are copied while they are measured, so that each block is decoded once.

        It must be certain by then what becomes of values that are not finite.
        """
        inspection = self.inspection
        is_certain = np.dtype(inspection.data_type).kind != "f" or inspection.mask != "none"
        return inspection.is_decoded and self._is_plain and is_certain

    @property
    def _is_plain(self) -> bool:
        inspection = self.inspection
        pixels = inspection.width * inspection.height
        return self.profile.is_plain_work(inspection.data_type, inspection.file_band_count, pixels)
