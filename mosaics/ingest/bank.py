"""Banks files: identity, place, format, sensor, date, catalogue; safe to repeat."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from mosaics.catalog.base import CatalogWriter
from mosaics.errors import IngestError
from mosaics.ingest.acquisition import acquired_from_tags
from mosaics.ingest.convert import Converted
from mosaics.ingest.deliveries.bank import DeliveryBank
from mosaics.ingest.deliveries.plan import inspected, planned, planned_image
from mosaics.ingest.deliveries.raw import RawImage, look_at, raw_delivery
from mosaics.ingest.describe import Description, describe
from mosaics.ingest.digests import Digesting
from mosaics.ingest.examine import Examination, examine
from mosaics.ingest.fetch import fetched
from mosaics.ingest.inspect import Inspection
from mosaics.ingest.keeping import Keeping
from mosaics.ingest.known import words_of_known
from mosaics.ingest.naming import check_collection_id, collection_of, register_collection, scene_id_of
from mosaics.ingest.options import BankOptions, BankResult
from mosaics.ingest.results import facts_of, finished
from mosaics.ingest.runner import Runner
from mosaics.ingest.source import Progress
from mosaics.ingest.turn import one_at_a_time
from mosaics.ingest.workplace import clear_away, lasting_folder
from mosaics.item import ItemFacts, of_new_state, scene_to_item
from mosaics.item_assets import DATA
from mosaics.models import Collection, Kind, Scene
from mosaics.places import DataRoot, ObjectAddress, lies_below
from mosaics.products.delivery import Delivery, check_complete
from mosaics.registry import Registry
from mosaics.renders import renders_of
from mosaics.sensors import Sensor
from mosaics.styles import Style
from mosaics.tiff.objects import ObjectStore

_NODATA_OF_DELIVERIES: Final = "--nodata is not used: a delivery says itself what means nothing"


class _KnownError(Exception):
    """The content is banked already, so it needs no looking at."""


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
    digesting: Digesting
    """Finds its digests meanwhile."""


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
    sandbox: Runner
    """Where doubtful files are read."""
    data_roots: Sequence[DataRoot] = ()
    """Folders and prefixes whose files may be served in place."""
    objects: ObjectStore | None = None
    """Where objects lie; None: none can be banked."""
    quicklook: Callable[[Scene], bytes] | None = None
    """Renders a small WebP picture of a scene."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    """The clock."""

    @property
    def keeping(self) -> Keeping:
        """Where files are kept."""
        return Keeping(
            root=self.home_data.resolve(),
            quicklook=self.quicklook,
            is_registered=self.catalog.scene_exists,
        )

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
        with Digesting(path) as digesting:
            raw: RawImage | None = self.sandbox.run(path.name, look_at, path, report=progress)
            if raw is None:
                roots = [root.resolve() if isinstance(root, Path) else root for root in self.data_roots]
                handed = _Handed(
                    path=path,
                    href=str(path) if lies_below(str(path), roots) else None,
                    is_same=lambda: _state(path) == before,
                    digesting=digesting,
                )
                return self._bank(handed, options, progress)
        delivery = raw_delivery(raw, options.sensor, self.sensors, options.nodata)
        return self.bank_delivery(delivery, dataclasses.replace(options, nodata=None), progress)

    def bank_delivery(self, delivery: Delivery, options: BankOptions, progress: Progress) -> BankResult:
        """Bank a whole delivery, unless its content is banked already; see `DeliveryBank.bank`."""
        result = DeliveryBank(
            catalog=self.catalog,
            sensors=self.sensors,
            styles=self.styles,
            sandbox=self.sandbox,
            keeping=self.keeping,
            now=self.now,
        ).bank(delivery, options, progress)
        if options.nodata is None or result.status == "unchanged":
            return result
        return dataclasses.replace(result, messages=(*result.messages, _NODATA_OF_DELIVERIES))

    def plan(self, path: Path, delivery: Delivery | None, options: BankOptions) -> dict[str, Any]:
        """Say what banking a file or a delivery would do, from what its metadata and headers say alone.

        Raises:
            IngestError: If it would be refused for what these say.
        """
        if delivery is None:
            raw: RawImage | None = self.sandbox.run(path.name, look_at, path, report=_unheard)
            if raw is None:
                inspection: Inspection = self.sandbox.run(
                    path.name, inspected, path, options.nodata, report=_unheard
                )
                return planned_image(inspection, options, self.sensors)
            delivery = raw_delivery(raw, options.sensor, self.sensors, options.nodata)
        check_complete(delivery)
        return planned(delivery, options)

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
        with (
            fetched(self.objects, address, self.home_data.resolve(), progress) as copy,
            Digesting(copy.path) as digesting,
        ):
            handed = _Handed(
                path=copy.path,
                href=str(address),
                etag=copy.etag,
                is_same=copy.is_current,
                digesting=digesting,
            )
            return self._bank(handed, options, progress)

    def _bank(self, handed: _Handed, options: BankOptions, progress: Progress) -> BankResult:
        if options.collection_id is not None:
            check_collection_id(options.collection_id)
        path = handed.path
        root, name = self.home_data.resolve(), hashlib.sha256(os.fsencode(path)).hexdigest()
        with lasting_folder(root, name, path.name) as room:
            return self._banked(handed, room, options, progress)

    def _banked(self, handed: _Handed, room: Path, options: BankOptions, progress: Progress) -> BankResult:
        path = handed.path
        examination = self._examined(handed, room, options, progress)
        digest, sha256 = handed.digesting.result(progress)
        known = self.catalog.find_by_digest(digest)
        if known is not None:
            clear_away(self.keeping.folder(known[0]), digest)
            return self._unchanged(known, handed, digest, options)
        assert examination is not None, "only what is known is not examined"
        description = describe(examination, options.sensor, self.sensors, self.styles)
        collection = collection_of(self.catalog, options, description.sensor)
        if not handed.is_same():
            raise IngestError(
                f"{path.name}: the file changed while it was read; try again when it is complete"
            )
        with (
            self._result((collection.id, digest), description.kind, examination, progress) as result,
            one_at_a_time(self.home_data.resolve()),
        ):
            known = self.catalog.find_by_digest(digest)
            if known is not None:  # another process was faster
                return self._unchanged(known, handed, digest, options)
            scene_id = scene_id_of(self.catalog, collection.id, path.stem, digest)
            scene = _scene(examination, description, options, collection, scene_id)
            keeping = self.keeping
            with keeping.kept(collection.id, scene_id, {} if result is None else {DATA: result.path}) as kept:
                in_place = result is None
                href = handed.href if in_place else str(kept[DATA])
                stored = sha256 if result is None else result.sha256
                assert href is not None, "else the file is converted"
                generation = (handed.etag or sha256) if in_place else stored
                scene = dataclasses.replace(scene, href=href, generation=generation)
                thumbnail, messages = keeping.picture(scene)
                if not handed.is_same():
                    raise IngestError(f"{path.name}: the file changed while it was read; try again")
                size = examination.inspection.file_size if in_place else Path(href).stat().st_size
                file = facts_of(examination, in_place=in_place, file_size=size, sha256=stored)
                facts = ItemFacts(
                    files={DATA: file},
                    source_digest=digest,
                    thumbnail=thumbnail,
                    renders=renders_of(scene, self.styles),
                )
                item = scene_to_item(scene, facts, root=keeping.root, banked=self.now())
                register_collection(self.catalog, collection)
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

    def _examined(
        self, handed: _Handed, room: Path, options: BankOptions, progress: Progress
    ) -> Examination | None:
        """Examine a file, unless its digest, found meanwhile, says that it is banked already.

        Args:
            handed: The file.
            room: A folder for a copy of it.
            options: What is known of it.
            progress: Told how far it is.
        """
        is_new = False

        def is_known() -> bool:
            return self.catalog.find_by_digest(handed.digesting.result(progress)[0]) is not None

        def go_on(stage: str, done: float) -> None:
            nonlocal is_new
            if not is_new and handed.digesting.is_done:
                if is_known():
                    raise _KnownError
                is_new = True
            progress(stage, done)

        look = partial(examine, nodata=options.nodata, threads=self.sandbox.threads, room=room)
        try:
            go_on("reading", 0.0)
            found: Examination = self.sandbox.run(
                handed.path.name, look, handed.path, handed.href, report=go_on
            )
        except _KnownError:
            return None
        except IngestError:
            if is_known():  # it was good enough then
                return None
            raise
        return found

    @contextmanager
    def _result(
        self, of: tuple[str, str], kind: Kind, examination: Examination, progress: Progress
    ) -> Iterator[Converted | None]:
        """Give the converted file, which goes unless it is taken; None: none is needed.

        Args:
            of: The collection, and the digest of the content.
            kind: What its numbers mean.
            examination: What was handed in.
            progress: Told how far it is.
        """
        if examination.conversion_reason is None:
            yield None
            return
        name = examination.inspection.path.name
        collection_id, digest = of
        with lasting_folder(self.keeping.folder(collection_id), digest, name) as folder:
            yield finished(self.sandbox, examination, kind, folder, progress)

    def _unchanged(
        self, known: tuple[str, str], handed: _Handed, digest: str, options: BankOptions
    ) -> BankResult:
        """Say that the content is banked; an object that was written anew with it is taken as it is now."""
        item = self.catalog.item(*known)
        words = words_of_known(item, known, options)
        if handed.href is not None and handed.etag is not None and item is not None:
            item = of_new_state(item, handed.href, handed.etag)
            if item is not None:
                self.catalog.put_scene(known[0], item, digest)
                words += ("the object was written anew since, which is noted",)
        messages = (*words, *self._without_former(handed, known))
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


def _unheard(_stage: str, _done: float) -> None:
    """Nobody waits long for a header."""


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
