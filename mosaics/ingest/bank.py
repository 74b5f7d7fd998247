"""Banks files: identity, place, format, sensor, date, catalogue; safe to repeat."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from mosaics.catalog.base import CatalogWriter
from mosaics.errors import IngestError, MosaicsError
from mosaics.ingest.acquisition import acquired_from_tags
from mosaics.ingest.convert import Conversion, convert
from mosaics.ingest.describe import Description, describe
from mosaics.ingest.examine import Examination, examine
from mosaics.ingest.profile import PROFILE
from mosaics.ingest.sandbox import Sandbox
from mosaics.ingest.source import Progress
from mosaics.ingest.turn import one_at_a_time
from mosaics.item import AssetFacts, scene_to_item
from mosaics.models import Collection, Kind, Scene, Text
from mosaics.registry import Registry
from mosaics.sensors import Sensor
from mosaics.styles import Style

COLLECTION_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TEMPORARY: Final = ".banking-"
_STALE_SECONDS: Final = 24 * 3600
_LONGEST_STEM: Final = 119  # leaves room for a hyphen and 8 digits within 128


@dataclass(frozen=True, kw_only=True, slots=True)
class BankOptions:
    """What the person who banks a file says of it; None: find out."""

    collection_id: str | None = None
    """Its collection; otherwise named as its sensor."""
    licence_id: str | None = None
    """Its licence; otherwise that of its collection."""
    sensor: Sensor | None = None
    """Its sensor; otherwise guessed."""
    acquired: datetime | None = None
    """Acquisition time, UTC."""
    attribution: str | None = None
    """Copyright line; otherwise the sensor's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BankResult:
    """What became of a file."""

    status: Literal["banked", "unchanged"]
    """unchanged: the same content was in the catalogue already."""
    collection_id: str
    """Where it is in the catalogue."""
    scene_id: str
    """As what."""
    scene: Scene | None = None
    """The scene as it was banked; None if unchanged."""
    in_place: bool = False
    """It is served where it lies; otherwise it was converted."""
    messages: tuple[str, ...] = ()
    """What the person who banks should know."""


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Where files are banked, and with what."""

    home_data: Path
    """The home's data folder."""
    catalog: CatalogWriter
    """Where scenes are registered."""
    sensors: Registry[Sensor]
    """All sensors."""
    styles: Registry[Style]
    """All styles."""
    sandbox: Sandbox
    """Where doubtful files are read."""
    data_roots: Sequence[Path] = ()
    """Folders whose files may be served in place."""
    quicklook: Callable[[Scene], bytes] | None = None
    """Renders a small WebP picture of a scene."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    """The clock."""

    def bank_file(self, path: Path, options: BankOptions, progress: Progress) -> BankResult:
        """Bank a file, unless its content is banked already.

        Args:
            path: A GeoTIFF or JPEG 2000 file.
            options: What is known of it.
            progress: Called with the name of a stage and how far it is.

        Returns:
            What became of it.

        Raises:
            IngestError: If it can't be banked; nothing is left behind.
            CatalogUnavailableError: If the catalogue does not answer.
        """
        if options.collection_id is not None:
            check_collection_id(options.collection_id)
        try:
            path = path.resolve(strict=True)
            before = _state(path)
        except OSError as error:
            raise IngestError(f"{path}: no such file") from error
        digest, sha256 = _digests(path, progress)
        known = self.catalog.find_by_digest(digest)
        if known is not None:
            return _unchanged(known)
        roots = [root.resolve() for root in self.data_roots]
        examination: Examination = self.sandbox.run(path.name, examine, path, roots, report=progress)
        description = describe(examination, options.sensor, self.sensors, self.styles)
        collection = self._collection(options, description.sensor)
        if _state(path) != before:
            raise IngestError(
                f"{path.name}: the file changed while it was read; try again when it is complete"
            )
        with (
            self._converted(collection.id, description.kind, examination, progress) as converted,
            one_at_a_time(self.home_data.resolve()),
        ):
            known = self.catalog.find_by_digest(digest)
            if known is not None:  # another process was faster
                return _unchanged(known)
            scene_id = self._scene_id(collection.id, path, digest)
            scene = _scene(examination, description, options, collection, scene_id)
            with self._stored(scene, converted, sha256) as (scene, stored_sha256):
                thumbnail, messages = self._picture(scene)
                if _state(path) != before:
                    raise IngestError(f"{path.name}: the file changed while it was read; try again")
                facts = self._facts(examination, scene, (stored_sha256, digest), thumbnail)
                item = scene_to_item(scene, facts, root=self.home_data.resolve(), banked=self.now())
                self.catalog.put_collection(collection)
                sequence = self.catalog.put_scene(collection.id, item, digest)
        reason = examination.conversion_reason
        notes = (*examination.inspection.notes, *description.messages, *messages)
        return BankResult(
            status="banked",
            collection_id=collection.id,
            scene_id=scene_id,
            scene=dataclasses.replace(scene, sequence=sequence),
            in_place=reason is None,
            messages=notes if reason is None else (f"converted, since {reason}", *notes),
        )

    def _collection(self, options: BankOptions, sensor: Sensor) -> Collection:
        """Give the collection, as it is or as it will be."""
        collection_id = options.collection_id or check_collection_id(sensor.id)
        known = self.catalog.collection(collection_id)
        if known is not None:
            return known
        title = sensor.title if options.collection_id is None else Text(fr=collection_id, en=collection_id)
        return Collection(
            id=collection_id, title=title, description=Text(fr="", en=""), licence_id=options.licence_id
        )

    def _scene_id(self, collection_id: str, path: Path, digest: str) -> str:
        """Name the scene after its file, with a part of the digest where other content has that name."""
        name = scene_id_from(path)
        return f"{name}-{digest[:8]}" if self.catalog.scene_exists(collection_id, name) else name

    @contextmanager
    def _converted(
        self, collection_id: str, kind: Kind, examination: Examination, progress: Progress
    ) -> Iterator[tuple[Path, str] | None]:
        """Give the converted file, which goes unless it is taken, and its SHA-256; None: none is needed."""
        if examination.conversion_reason is None:
            yield None
            return
        inspection = examination.inspection
        conversion = Conversion(
            inspection=inspection,
            profile=PROFILE,
            reduction=PROFILE.reduction(kind, has_palette=bool(inspection.palette)),
            has_unfinite=examination.has_unfinite,
        )
        with _temporary_folder(self._folder(collection_id), inspection.path.name) as folder:
            result: Path = self.sandbox.run(
                inspection.path.name,
                convert,
                conversion,
                folder,
                report=progress,
                grows=lambda: _sizes(folder),
            )
            yield result, _sha256(result, inspection.path.name, lambda _: None)

    def _folder(self, collection_id: str) -> Path:
        return self.home_data.resolve() / "cogs" / collection_id

    @contextmanager
    def _stored(
        self, scene: Scene, converted: tuple[Path, str] | None, sha256: str
    ) -> Iterator[tuple[Scene, str]]:
        """Bring the file to where it is served from, and take it away again if registering fails."""
        if converted is None:
            yield dataclasses.replace(scene, generation=sha256), sha256
            return
        result, stored = converted
        target = self._folder(scene.collection_id) / f"{scene.id}.tif"
        result.replace(target)
        try:
            _flush_folder(target.parent)
            yield dataclasses.replace(scene, href=str(target), generation=stored), stored
        except BaseException:
            target.unlink(missing_ok=True)
            self._thumbnail_path(scene).unlink(missing_ok=True)
            raise

    def _picture(self, scene: Scene) -> tuple[Path | None, tuple[str, ...]]:
        """Render and store the quicklook; a scene without one is banked all the same."""
        if self.quicklook is None:
            return None, ()
        path = self._thumbnail_path(scene)
        try:
            data = self.quicklook(scene)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{_TEMPORARY}{path.name}")
            partial.write_bytes(data)
            partial.replace(path)
        except (MosaicsError, OSError) as error:
            return None, (f"no quicklook could be made: {error}",)
        return path, ()

    def _thumbnail_path(self, scene: Scene) -> Path:
        return self.home_data.resolve() / "quicklooks" / scene.collection_id / f"{scene.id}.webp"

    def _facts(
        self, examination: Examination, scene: Scene, digests: tuple[str, str], thumbnail: Path | None
    ) -> AssetFacts:
        inspection = examination.inspection
        in_place = examination.conversion_reason is None
        nodata = inspection.nodata
        if not in_place:
            nodata = Conversion(
                inspection=inspection,
                profile=PROFILE,
                reduction="average",
                has_unfinite=examination.has_unfinite,
            ).nodata
        return AssetFacts(
            crs=inspection.crs,
            epsg=inspection.epsg,
            transform=inspection.transform,
            nodata=nodata,
            scales=inspection.scales,
            offsets=inspection.offsets,
            sample_steps=[band.sample_step for band in examination.bands],
            file_size=Path(scene.href).stat().st_size,
            sha256=digests[0],
            source_digest=digests[1],
            profile=None if in_place else PROFILE.version,
            thumbnail=thumbnail,
        )


def _unchanged(known: tuple[str, str]) -> BankResult:
    words = f"the same content is banked already, as {known[1]} in {known[0]}"
    return BankResult(status="unchanged", collection_id=known[0], scene_id=known[1], messages=(words,))


def check_collection_id(collection_id: str) -> str:
    """Give the id back if it may name a collection.

    Raises:
        IngestError: If it may not.
    """
    if COLLECTION_ID.fullmatch(collection_id) is None:
        raise IngestError(
            f"{collection_id!r} can't name a collection: use up to 64 lower-case letters, digits, dots, "
            "hyphens and underscores, a letter or digit first"
        )
    return collection_id


def scene_id_from(path: Path) -> str:
    """Make a scene id of a file's name: `[A-Za-z0-9][A-Za-z0-9._-]{0,118}`."""
    plain = unicodedata.normalize("NFKD", path.stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).lstrip("._-")
    return name[:_LONGEST_STEM].rstrip("-") or "scene"


def _scene(
    examination: Examination,
    description: Description,
    options: BankOptions,
    collection: Collection,
    scene_id: str,
) -> Scene:
    """Make the scene as it would be served where the file lies."""
    inspection, sensor = examination.inspection, description.sensor
    acquired = (
        options.acquired or acquired_from_tags(inspection.tags) or sensor.acquired_from(inspection.path.name)
    )
    attribution = sensor.attribution_for(acquired) if options.attribution is None else options.attribution
    return Scene(
        id=scene_id,
        collection_id=collection.id,
        licence_id=options.licence_id or collection.licence_id,
        sensor_id=sensor.id,
        kind=description.kind,
        acquired=acquired,
        footprint=examination.footprint,
        href=str(inspection.path),
        generation="",
        width=inspection.width,
        height=inspection.height,
        ground_resolution=inspection.ground_resolution,
        bands=description.bands,
        styles=description.styles,
        attribution=attribution,
        colormap=inspection.palette,
    )


def _digests(path: Path, progress: Progress) -> tuple[str, str]:
    """Give the identity of the content handed in (with its external mask) and the file's own SHA-256."""
    sha256 = _sha256(path, path.name, lambda done: progress("hashing", done))
    sidecar = path.with_name(f"{path.name}.msk")
    if not sidecar.is_file():
        return sha256, sha256
    both = hashlib.sha256(bytes.fromhex(sha256))
    both.update(bytes.fromhex(_sha256(sidecar, sidecar.name, lambda _: None)))
    return both.hexdigest(), sha256


def _sha256(path: Path, name: str, report: Callable[[float], None]) -> str:
    """Hash a file."""
    digest, done, total = hashlib.sha256(), 0, max(1, path.stat().st_size)
    try:
        with path.open("rb") as file:
            while chunk := file.read(8 << 20):
                digest.update(chunk)
                done += len(chunk)
                report(min(1.0, done / total))
    except OSError as error:
        raise IngestError(f"{name}: can't be read: {error.strerror}") from error
    return digest.hexdigest()


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def _temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Give an empty folder on the disk of the destination that goes whatever happens.

    Those that a killed process left more than a day ago go too.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for old in parent.glob(f"{_TEMPORARY}*"):
            if old.is_dir() and time.time() - old.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=parent))
    except OSError as error:
        raise IngestError(f"{name}: the bank's folder {parent} can't be written: {error.strerror}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sizes(folder: Path) -> list[int]:
    """Give the sizes of the files in a folder, as a sign of life of who writes them."""
    sizes = []
    for path in sorted(folder.iterdir()):
        with suppress(OSError):
            sizes.append(path.stat().st_size)
    return sizes


def _flush_folder(folder: Path) -> None:
    """Make a rename last over a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
