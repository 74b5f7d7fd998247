"""Makes the COG of each band group of a delivery, going on where an interrupted run stopped."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from mosaics.errors import IngestError
from mosaics.ingest.deliveries.bands import GroupDescription, describe_group
from mosaics.ingest.deliveries.prepare import Preparation, Prepared, prepare
from mosaics.ingest.examine import Examination, examine
from mosaics.ingest.options import BankOptions
from mosaics.ingest.results import finished
from mosaics.ingest.runner import Runner
from mosaics.ingest.source import Progress
from mosaics.ingest.workplace import sizes
from mosaics.item_assets import DATA
from mosaics.products.delivery import BandGroup, Delivery
from mosaics.products.rpc import read_rpc
from mosaics.sensors import Sensor

_PREPARED: Final = "prepared.json"
"""What says that a group's image was put on the ground, and how."""
_TAKEN: Final = frozenset({DATA, "mask", "overview", "thumbnail", "visual"})
"""Keys of an item's assets that are no group's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeMask:
    """A mask, ready to be kept."""

    examination: Examination
    """Of the mask on the ground."""
    result: Path
    """Its COG."""
    sha256: str
    """Hex digest of the COG."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A band group, ready to be kept."""

    key: str
    """Of its asset."""
    group: BandGroup
    examination: Examination
    """Of its image on the ground."""
    description: GroupDescription
    prepared: Prepared
    result: Path
    """Its COG."""
    sha256: str
    """Hex digest of the COG."""
    mask: MadeMask | None = None
    """What the product says of the worth of its pixels."""


@dataclass(frozen=True, kw_only=True)
class GroupMaker:
    """What the groups of one delivery are made with."""

    sandbox: Runner
    sensor: Sensor
    options: BankOptions
    folder: Path
    """Where finished steps are found again."""
    progress: Progress

    def all_made(self, delivery: Delivery) -> tuple[Made, ...]:
        """Make the COG of each band group; the leading one, of the most bands, comes first."""
        ordered = sorted(delivery.groups, key=lambda group: -len(group.bands))
        keys = asset_keys(group.name for group in ordered)
        return tuple(self._made(delivery, group, place, keys) for place, group in enumerate(ordered))

    def _made(self, delivery: Delivery, group: BandGroup, place: int, keys: Sequence[str]) -> Made:
        count = len(keys)

        def report(stage: str, done: float) -> None:
            self.progress(f"{group.name} {stage}" if count > 1 else stage, (place + done) / count)

        folder, name = self.folder / keys[place], group.metadata.name
        folder.mkdir(exist_ok=True)
        given = self.options.bands.get(group.name) or (self.options.bands.get("") if place == 0 else None)
        prepared = self._prepared(delivery, group, folder, (place == 0, report))
        look = partial(examine, threads=self.sandbox.threads, room=folder)
        examination: Examination = self.sandbox.run(name, look, prepared.path, None, report=report)
        description = describe_group(examination, group, self.sensor, given, delivery.kind)
        result = finished(self.sandbox, examination, description.kind, folder, report)
        return Made(
            key=keys[place],
            group=group,
            examination=examination,
            description=description,
            prepared=prepared,
            result=result.path,
            sha256=result.sha256,
            mask=None if prepared.mask is None else self._mask(name, prepared.mask, folder, report),
        )

    def _mask(self, name: str, path: Path, folder: Path, report: Progress) -> MadeMask | None:
        """Make the COG of a mask; one that says nothing of any pixel is none."""
        try:
            examination: Examination = self.sandbox.run(name, examine, path, None, report=report)
        except IngestError:
            return None
        own = folder / "mask"
        own.mkdir(exist_ok=True)
        result = finished(self.sandbox, examination, "classes", own, report)
        return MadeMask(examination=examination, result=result.path, sha256=result.sha256)

    def _prepared(
        self, delivery: Delivery, group: BandGroup, folder: Path, how: tuple[bool, Progress]
    ) -> Prepared:
        """Put a group's image on the ground, unless an interrupted run did so in the same way."""
        leads, report = how
        ground = self.options.ground
        wanted = ground, _state(ground.terrain), group.nodata
        asked = hashlib.sha256(repr(wanted).encode()).hexdigest()
        note = folder / _PREPARED
        with suppress(OSError, ValueError, KeyError):
            found = json.loads(note.read_text())
            path = folder / found["path"]
            if found["asked"] == asked and path.is_file():
                return Prepared(
                    path=path,
                    notes=tuple(found["notes"]),
                    lineage=tuple(found["lineage"]),
                    mask=folder / found["mask"] if found["mask"] else None,
                )
        _empty(folder)
        rpc = None if group.rpc is None else read_rpc(group.rpc)
        result: Prepared = self.sandbox.run(
            group.metadata.name,
            prepare,
            Preparation(
                group=group,
                rpc=rpc,
                options=ground,
                vector_masks=tuple(mask for mask in delivery.vector_masks if mask.group == group.name),
                raster_mask=delivery.masks[0] if delivery.masks and leads else None,
                keeps_mask=leads,
                threads=self.sandbox.threads,
            ),
            folder,
            report=report,
            grows=partial(sizes, folder),
        )
        words = {
            "asked": asked,
            "path": result.path.name,
            "notes": result.notes,
            "lineage": result.lineage,
            "mask": None if result.mask is None else result.mask.name,
        }
        unfinished = folder / f"{_PREPARED}.partial"
        unfinished.write_text(json.dumps(words))
        unfinished.replace(note)
        return result


def _state(path: Path | None) -> tuple[int, int] | None:
    """Tell one content of a file from another, without reading it."""
    with suppress(OSError):
        if path is not None:
            status = path.stat()
            return status.st_size, status.st_mtime_ns
    return None


def asset_keys(names: Iterable[str]) -> tuple[str, ...]:
    """Give the keys of a scene's files in its item: `data`, and others after the names of their groups.

    Args:
        names: Of the groups, the leading one first.

    Returns:
        Of letters and digits only, each once, and none that means something else.
    """
    keys = [DATA]
    for name in [*names][1:]:
        plain = re.sub(r"[^a-z0-9]", "", name.lower())
        key = plain if plain[:1].isalpha() and plain not in _TAKEN else f"image{plain}"
        while key in keys:
            key += "x"
        keys.append(key)
    return tuple(keys)


def _empty(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_file():
            left.unlink()
