"""An examined file brought to the bank profile, and what its item says of it."""

from __future__ import annotations

import dataclasses
import shutil
from functools import partial
from pathlib import Path

from mosaics.ingest.conversion import Conversion
from mosaics.ingest.convert import Converted, convert
from mosaics.ingest.digests import file_sha256
from mosaics.ingest.examine import Examination
from mosaics.ingest.profile import PROFILE
from mosaics.ingest.runner import Runner
from mosaics.ingest.source import Progress
from mosaics.ingest.workplace import sizes
from mosaics.item_assets import AssetFacts
from mosaics.models import Kind


def finished(
    sandbox: Runner, examination: Examination, kind: Kind, folder: Path, report: Progress
) -> Converted:
    """Convert a file where doubtful files are read, unless an interrupted run did so in the same way.

    Args:
        sandbox: Where.
        examination: The file.
        kind: What its numbers mean.
        folder: That of this piece of work, on the disk of the destination; the caller removes it.
        report: Told how far it is.

    Returns:
        The finished file, in the folder, with its SHA-256.

    Raises:
        IngestError: If it can't be.
    """
    conversion = dataclasses.replace(_conversion(examination, kind), threads=sandbox.threads)
    inspection = examination.inspection
    given = f"-{inspection.nodata}" if inspection.nodata_is_given else ""
    result = folder / f"finished-{PROFILE.version}-{conversion.reduction}{given}.tif"
    if result.is_file():
        return Converted(path=result, sha256=file_sha256(result, inspection.path.name, lambda _: None))
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)  # what a killed process left half done
    work.mkdir()
    made: Converted = sandbox.run(
        inspection.path.name,
        convert,
        conversion,
        work,
        report=report,
        grows=partial(sizes, work),
    )
    return dataclasses.replace(made, path=made.path.replace(result))


def facts_of(examination: Examination, *, in_place: bool, file_size: int, sha256: str) -> AssetFacts:
    """Give what the item says of a file.

    Args:
        examination: What was handed in.
        in_place: It is served as it was handed in; otherwise it was converted.
        file_size: Bytes of the file that is served.
        sha256: Of the file that is served.
    """
    inspection = examination.inspection
    return AssetFacts(
        crs=inspection.crs,
        epsg=inspection.epsg,
        transform=inspection.transform,
        nodata=inspection.nodata if in_place else _conversion(examination, "other").nodata,
        scales=inspection.scales,
        offsets=inspection.offsets,
        sample_steps=[band.sample_step for band in examination.bands],
        file_size=file_size,
        sha256=sha256,
        profile=None if in_place else PROFILE.version,
    )


def _conversion(examination: Examination, kind: Kind) -> Conversion:
    inspection = examination.inspection
    return Conversion(
        inspection=inspection,
        profile=PROFILE,
        reduction=PROFILE.reduction(kind, has_palette=bool(inspection.palette)),
        has_unfinite=examination.has_unfinite,
        copy=examination.copy,
    )
