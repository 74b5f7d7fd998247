"""Banks whole deliveries: each band group becomes a COG, all of them one scene, or nothing does."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pystac

from mosaics.catalog.base import CatalogWriter
from mosaics.errors import IngestError, SensorNotFoundError
from mosaics.ingest.deliveries.groups import GroupMaker, Made, MadeMask
from mosaics.ingest.deliveries.masks import NOTHING, classes
from mosaics.ingest.digests import file_sha256
from mosaics.ingest.keeping import Keeping
from mosaics.ingest.known import words_of_known
from mosaics.ingest.naming import check_collection_id, collection_of, register_collection, scene_id_of
from mosaics.ingest.options import BankOptions, BankResult
from mosaics.ingest.results import facts_of
from mosaics.ingest.runner import Runner
from mosaics.ingest.source import Progress
from mosaics.ingest.turn import one_at_a_time
from mosaics.ingest.workplace import clear_away, lasting_folder
from mosaics.item import ItemFacts, scene_to_item
from mosaics.item_assets import COG_MEDIA_TYPE, DATA, SHA256_MULTIHASH, AssetFacts, href_of
from mosaics.item_product import CLASSIFICATION, product_properties, schemas_of
from mosaics.models import Asset, Collection, Scene
from mosaics.products.delivery import BandGroup, Delivery, check_complete
from mosaics.readings import readings
from mosaics.registry import Registry
from mosaics.renders import renders_of
from mosaics.sensors import Sensor, find_sensor
from mosaics.styles import Style

MASK: Final = "mask"
"""Key of the asset that says what pixels are worth."""


@dataclass(frozen=True, kw_only=True)
class DeliveryBank:
    """Where deliveries are banked, and with what."""

    catalog: CatalogWriter
    sensors: Registry[Sensor]
    styles: Registry[Style]
    sandbox: Runner
    keeping: Keeping
    now: Callable[[], datetime]

    def bank(self, delivery: Delivery, options: BankOptions, progress: Progress) -> BankResult:
        """Bank a delivery, unless its content is banked already.

        What was interrupted goes on with the group at which it stopped.

        Args:
            delivery: The delivery.
            options: What is known of it.
            progress: Called with the name of a stage and how far it is.

        Raises:
            IngestError: If it can't be banked; nothing is left behind.
            CatalogUnavailableError: If the catalogue does not answer.
        """
        if options.collection_id is not None:
            check_collection_id(options.collection_id)
        check_complete(delivery)
        sensor = options.sensor or self._sensor_of(delivery)
        before = _states(delivery)
        digest = _digest(delivery, progress)
        known = self.catalog.find_by_digest(digest)
        if known is not None:
            clear_away(self.keeping.folder(known[0]), digest)
            return self._unchanged(known, options)
        collection = collection_of(self.catalog, options, sensor)
        with lasting_folder(self.keeping.folder(collection.id), digest, delivery.name) as folder:
            known = self.catalog.find_by_digest(digest)
            if known is not None:  # another process was at it
                return self._unchanged(known, options)
            work = GroupMaker(
                sandbox=self.sandbox, sensor=sensor, options=options, folder=folder, progress=progress
            )
            made = work.all_made(delivery)
            if _states(delivery) != before:
                raise IngestError(f"{delivery.name}: its files changed while they were read; try again")
            with one_at_a_time(self.keeping.root):
                known = self.catalog.find_by_digest(digest)
                if known is not None:  # another process was faster
                    return self._unchanged(known, options)
                scene_id = scene_id_of(self.catalog, collection.id, delivery.name, digest)
                scene = _scene(delivery, made, (sensor, collection), options, scene_id)
                scene = dataclasses.replace(scene, styles=_styles(scene, made, sensor, self.styles))
                return self._registered(delivery, made, (collection, scene), digest)

    def _unchanged(self, known: tuple[str, str], options: BankOptions) -> BankResult:
        return BankResult(
            status="unchanged",
            collection_id=known[0],
            scene_id=known[1],
            messages=words_of_known(self.catalog.item(*known), known, options),
        )

    def _sensor_of(self, delivery: Delivery) -> Sensor:
        """Give the product family that a delivery names, which a description of one's own may do wrongly."""
        try:
            return find_sensor(self.sensors, delivery.sensor_id)
        except SensorNotFoundError as error:
            raise IngestError(f"{delivery.name}: {error}") from error

    def _registered(
        self, delivery: Delivery, made: Sequence[Made], to: tuple[Collection, Scene], digest: str
    ) -> BankResult:
        """Bring the files to where they are kept and put the scene into the catalogue."""
        collection, scene = to
        mask = made[0].mask
        results = {each.key: each.result for each in made} | ({} if mask is None else {MASK: mask.result})
        with self.keeping.kept(collection.id, scene.id, results) as kept:
            scene = _kept_at(scene, kept)
            thumbnail, messages = self.keeping.picture(scene)
            properties = product_properties(delivery, _lineage(made))
            facts = ItemFacts(
                files={each.key: _facts(each, kept[each.key]) for each in made},
                source_digest=digest,
                thumbnail=thumbnail,
                properties=properties,
                renders=renders_of(scene, self.styles),
                extensions=(*schemas_of(properties), *((CLASSIFICATION,) if mask else ())),
                more_assets={MASK: mask_asset(mask, kept[MASK], self.keeping.root)} if mask else {},
            )
            item = scene_to_item(scene, facts, root=self.keeping.root, banked=self.now())
            register_collection(self.catalog, collection)
            sequence = self.catalog.put_scene(collection.id, item, digest)
        notes = tuple(dict.fromkeys(note for each in made for note in each.prepared.notes))
        found = ", ".join(_words(each.group) for each in made)
        return BankResult(
            status="banked",
            collection_id=collection.id,
            scene_id=scene.id,
            scene=dataclasses.replace(scene, sequence=sequence),
            messages=(f"{delivery.platform or scene.sensor_id}: {found}", *notes, *messages),
        )


def _words(group: BandGroup) -> str:
    return f"{group.name} ({', '.join(band.common_name or band.id for band in group.bands)})"


def _scene(
    delivery: Delivery,
    made: Sequence[Made],
    family: tuple[Sensor, Collection],
    options: BankOptions,
    scene_id: str,
) -> Scene:
    """Make the scene, but for where its files are kept and its styles."""
    sensor, collection = family
    first = made[0]
    inspection = first.examination.inspection
    acquired = options.acquired or delivery.acquired or sensor.acquired_from(delivery.name)
    return Scene(
        id=scene_id,
        collection_id=collection.id,
        licence_id=options.licence_id or collection.licence_id,
        sensor_id=sensor.id,
        kind=first.description.kind,
        acquired=acquired,
        footprint=first.examination.footprint,
        href=str(first.result),
        generation=first.sha256,
        width=inspection.width,
        height=inspection.height,
        ground_resolution=inspection.ground_resolution,
        bands=first.description.bands,
        styles=(),
        attribution=options.attribution or delivery.copyright or sensor.attribution_for(acquired),
        others=tuple(_asset(each) for each in made[1:]),
    )


def _asset(made: Made) -> Asset:
    inspection = made.examination.inspection
    return Asset(
        key=made.key,
        href=str(made.result),
        generation=made.sha256,
        width=inspection.width,
        height=inspection.height,
        ground_resolution=inspection.ground_resolution,
        bands=made.description.bands,
    )


def _kept_at(scene: Scene, kept: dict[str, Path]) -> Scene:
    others = tuple(dataclasses.replace(asset, href=str(kept[asset.key])) for asset in scene.others)
    return dataclasses.replace(scene, href=str(kept[DATA]), others=others)


def _styles(scene: Scene, made: Sequence[Made], sensor: Sensor, styles: Registry[Style]) -> tuple[str, ...]:
    """Give the styles of its layouts and its sensor's bundles that can be made of its files."""
    named = [name for each in made for name in each.description.styles] + list(sensor.bundle_styles)
    listed = tuple(
        name
        for name in dict.fromkeys(named)
        if name in styles and readings(styles.get(name), scene) is not None
    )
    return listed or tuple(style.id for style in styles.values() if readings(style, scene) is not None)


def _facts(made: Made, path: Path) -> AssetFacts:
    return facts_of(made.examination, in_place=False, file_size=path.stat().st_size, sha256=made.sha256)


def mask_asset(made: MadeMask, path: Path, root: Path) -> pystac.Asset:
    """Write the mask as an asset of the item."""
    inspection = made.examination.inspection
    facts = facts_of(made.examination, in_place=False, file_size=path.stat().st_size, sha256=made.sha256)
    fields = {
        "bands": [{"name": "mask", "data_type": "uint8"}],
        "classification:classes": classes(),
        "nodata": NOTHING,
        "gsd": inspection.ground_resolution,
        "raster:spatial_resolution": inspection.ground_resolution,
        "proj:code": f"EPSG:{facts.epsg}" if facts.epsg else None,
        "proj:shape": [inspection.height, inspection.width],
        "proj:transform": list(inspection.transform),
        "file:size": facts.file_size,
        "file:checksum": SHA256_MULTIHASH + made.sha256,
    }
    return pystac.Asset(
        href=href_of(str(path), root),
        media_type=COG_MEDIA_TYPE,
        roles=["metadata", "cloud", "snow-ice"],
        extra_fields=fields,
    )


def _lineage(made: Sequence[Made]) -> str:
    parts = [
        f"{each.group.name}: {', '.join(each.prepared.lineage)}" for each in made if each.prepared.lineage
    ]
    return "; ".join(parts)


def _states(delivery: Delivery) -> list[tuple[int, int]]:
    try:
        found = [path.stat() for path in delivery.files]
    except OSError as error:
        raise IngestError(f"{delivery.name}: a file of it is gone: {error.filename}") from error
    return [(status.st_size, status.st_mtime_ns) for status in found]


def _digest(delivery: Delivery, progress: Progress) -> str:
    """Digest the contents of all files of a delivery, whatever they are called."""
    digests, files = [], delivery.files
    for place, path in enumerate(files):

        def report(done: float, place: int = place) -> None:
            progress("hashing", (place + done) / len(files))

        digests.append(file_sha256(path, path.name, report))
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
