"""Banks files: identity, place, format, sensor, date, catalogue; safe to repeat."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from mosaics.catalog.base import CatalogWriter
from mosaics.errors import IngestError, MosaicsError
from mosaics.ingest.acquisition import acquired_from_tags
from mosaics.ingest.convert import Conversion, convert
from mosaics.ingest.describe import Description, describe
from mosaics.ingest.digests import digests, file_sha256
from mosaics.ingest.examine import Examination, examine
from mosaics.ingest.fetch import fetched
from mosaics.ingest.profile import PROFILE
from mosaics.ingest.sandbox import Sandbox
from mosaics.ingest.source import Progress
from mosaics.ingest.turn import one_at_a_time
from mosaics.ingest.workplace import TEMPORARY, flush_folder, sizes, temporary_folder
from mosaics.item import AssetFacts, of_new_state, scene_to_item
from mosaics.models import Collection, Kind, Scene, Text
from mosaics.places import DataRoot, ObjectAddress, lies_below
from mosaics.registry import Registry
from mosaics.sensors import Sensor
from mosaics.styles import Style
from mosaics.tiff.objects import ObjectStore

COLLECTION_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Handed:
    """A file that is handed in."""

    path: Path
    """Where it can be read now."""
    href: str | None
    """Where it would be served from as it is; None: it lies below no data root."""
    etag: str | None = None
    """Of the state of an object."""
    is_same: Callable[[], bool]
    """Tells whether it is still what it was."""


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
    data_roots: Sequence[DataRoot] = ()
    """Folders and prefixes whose files may be served in place."""
    objects: ObjectStore | None = None
    """Where objects lie; None: none can be banked."""
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
        try:
            path = path.resolve(strict=True)
            before = _state(path)
        except OSError as error:
            raise IngestError(f"{path}: no such file") from error
        roots = [root.resolve() if isinstance(root, Path) else root for root in self.data_roots]
        href = str(path) if lies_below(str(path), roots) else None
        handed = _Handed(path=path, href=href, is_same=lambda: _state(path) == before)
        return self._bank(handed, options, progress)

    def bank_object(self, address: ObjectAddress, options: BankOptions, progress: Progress) -> BankResult:
        """Bank an object below a data root, unless its content is banked already.

        A good COG is served where it lies, anything else readable is converted into the home. All of it is
        copied to the disk of the home meanwhile.

        Args:
            address: The object.
            options: What is known of it.
            progress: Called with the name of a stage and how far it is.

        Returns:
            What became of it.

        Raises:
            IngestError: If it can't be banked; nothing is left behind.
            CatalogUnavailableError: If the catalogue does not answer.
        """
        if self.objects is None or not lies_below(str(address), self.data_roots):
            raise IngestError(
                f"{address.name}: it lies below no data root; name one that holds it in data_roots, such as "
                f"s3://{address.bucket}/, or download it and bank the file"
            )
        with fetched(self.objects, address, self.home_data.resolve(), progress) as copy:
            handed = _Handed(path=copy.path, href=str(address), etag=copy.etag, is_same=copy.is_current)
            return self._bank(handed, options, progress)

    def _bank(self, handed: _Handed, options: BankOptions, progress: Progress) -> BankResult:
        if options.collection_id is not None:
            check_collection_id(options.collection_id)
        path = handed.path
        digest, sha256 = digests(path, progress)
        known = self.catalog.find_by_digest(digest)
        if known is not None:
            return self._unchanged(known, handed, digest)
        examination: Examination = self.sandbox.run(path.name, examine, path, handed.href, report=progress)
        description = describe(examination, options.sensor, self.sensors, self.styles)
        collection = self._collection(options, description.sensor)
        if not handed.is_same():
            raise IngestError(
                f"{path.name}: the file changed while it was read; try again when it is complete"
            )
        with (
            self._converted(collection.id, description.kind, examination, progress) as converted,
            one_at_a_time(self.home_data.resolve()),
        ):
            known = self.catalog.find_by_digest(digest)
            if known is not None:  # another process was faster
                return self._unchanged(known, handed, digest)
            scene_id = self._scene_id(collection.id, path, digest)
            scene = _scene(examination, description, options, collection, scene_id)
            if converted is None:
                assert handed.href is not None, "else the file is converted"
                scene = dataclasses.replace(scene, href=handed.href, generation=handed.etag or sha256)
            with self._stored(scene, converted, sha256) as (scene, stored_sha256):
                thumbnail, messages = self._picture(scene)
                if not handed.is_same():
                    raise IngestError(f"{path.name}: the file changed while it was read; try again")
                facts = self._facts(examination, scene, (stored_sha256, digest), thumbnail)
                item = scene_to_item(scene, facts, root=self.home_data.resolve(), banked=self.now())
                self.catalog.put_collection(collection)
                sequence = self.catalog.put_scene(collection.id, item, digest)
                messages += self._without_former(handed, (collection.id, scene_id))
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

    def _unchanged(self, known: tuple[str, str], handed: _Handed, digest: str) -> BankResult:
        """Say that the content is banked; an object that was written anew with it is taken as it is now."""
        words = f"the same content is banked already, as {known[1]} in {known[0]}"
        item = self.catalog.item(*known)
        if handed.href is not None and handed.etag is not None and item is not None:
            item = of_new_state(item, handed.href, handed.etag)
            if item is not None:
                self.catalog.put_scene(known[0], item, digest)
                words += "; the object was written anew since, which is noted"
        messages = (words, *self._without_former(handed, known))
        return BankResult(status="unchanged", collection_id=known[0], scene_id=known[1], messages=messages)

    def _without_former(self, handed: _Handed, now: tuple[str, str]) -> tuple[str, ...]:
        """Take out the scenes that were banked of an object before it was replaced: nobody can read them."""
        if handed.href is None or handed.etag is None:
            return ()
        former = [known for known in self.catalog.scenes_at(handed.href) if known != now]
        for known in former:
            self.catalog.remove_scene(*known)
        return tuple(
            f"{scene_id} in {collection_id}, which this object held before, is taken out of the catalogue"
            for collection_id, scene_id in former
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
        with temporary_folder(self._folder(collection_id), inspection.path.name) as folder:
            result: Path = self.sandbox.run(
                inspection.path.name,
                convert,
                conversion,
                folder,
                report=progress,
                grows=lambda: sizes(folder),
            )
            yield result, file_sha256(result, inspection.path.name, lambda _: None)

    def _folder(self, collection_id: str) -> Path:
        return self.home_data.resolve() / "cogs" / collection_id

    @contextmanager
    def _stored(
        self, scene: Scene, converted: tuple[Path, str] | None, sha256: str
    ) -> Iterator[tuple[Scene, str]]:
        """Bring the file to where it is served from, and take it away again if registering fails."""
        if converted is None:
            yield scene, sha256
            return
        result, stored = converted
        target = self._folder(scene.collection_id) / f"{scene.id}.tif"
        result.replace(target)
        try:
            flush_folder(target.parent)
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
            partial = path.with_name(f"{TEMPORARY}{path.name}")
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
            file_size=inspection.file_size if in_place else Path(scene.href).stat().st_size,
            sha256=digests[0],
            source_digest=digests[1],
            profile=None if in_place else PROFILE.version,
            thumbnail=thumbnail,
        )


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


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
