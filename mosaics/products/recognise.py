"""Recognises deliveries of all kinds, and finds them and the plain images among folders."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from mosaics.errors import IngestError
from mosaics.products.alos2 import find_alos2, read_alos2
from mosaics.products.delivery import Delivery, DeliveryIncompleteError, DeliveryUnreadableError
from mosaics.products.dimap import find_dimap, read_dimap
from mosaics.products.dimap1 import find_dimap1, read_dimap1
from mosaics.products.dimap_heads import may_be_dimap
from mosaics.products.dimap_internal import find_dimap_internal, read_dimap_internal
from mosaics.products.iceye import find_iceye, read_iceye
from mosaics.products.jilin import find_jilin, read_jilin
from mosaics.products.nitf import find_nitf, read_nitf
from mosaics.products.packed import is_packed, is_unpacked_beside, product_in, refusal
from mosaics.products.planet import find_planet, read_planet
from mosaics.products.radarsat2 import find_radarsat2, read_radarsat2
from mosaics.products.saocom import find_saocom, read_saocom
from mosaics.products.sentinel1 import find_sentinel1, read_sentinel1
from mosaics.products.sentinel2 import find_sentinel2, read_sentinel2
from mosaics.products.sidecar import find_sidecar, read_sidecar
from mosaics.products.skysat import find_skysat, read_skysat
from mosaics.products.terrasarx import find_terrasarx, read_terrasarx

ENDINGS: Final = frozenset({".tif", ".tiff", ".jp2", ".ntf", ".nitf"})
"""What images in a folder end in, whatever the case."""
_DEEPEST: Final = 16
"""Folders below a named one that are looked into."""
_BESIDE: Final = re.compile(
    r"(?:PREVIEW|BROWSE|BROWSEIMAGE|QUICK-?LOOK|QL|ICON|THUMB\w*)(?:[_.-].*)?"
    r"|.*[_-](?:preview|browse|quick-?look|ql|thumb(?:_large|nail)?|pvi|udm2?)(?:[_-].*)?",
    re.IGNORECASE,
)
"""Names, without ending, of images that come with a delivery and are none of its own."""
_SIDE_FOLDERS: Final = frozenset({"LIBRARY", "LINEAGE", "MASKS", "PREVIEW", "SUPPORT"})
_PARTS: Final = re.compile(r"(?:IMG|IMAGE|IMAGERY)(?:[_.-].*)?", re.IGNORECASE)
"""Names of images of a delivery that can't be read, and so does not tell which they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """How deliveries of one kind are found and read."""

    find: Callable[[Path], Path | None]
    """Gives what a delivery is read by, of a folder or of a file of it; None: it is none of this kind."""
    read: Callable[[Path], Delivery]
    read_image: Callable[[Path, Path], Delivery] | None = None
    """Reads what there is of an image that the delivery beside it does not name."""
    whole_folder: bool = False
    """All that lies below the folder of its metadata is its own."""
    sensors: tuple[str, ...] = ()
    """Ids of those that whoever banks may name where a product does not say of which it is; empty: any."""


READERS: Final = (
    Reader(find=find_sidecar, read=read_sidecar),
    Reader(find=find_dimap, read=read_dimap),
    Reader(find=find_dimap1, read=read_dimap1, sensors=("spot-1-5",)),
    Reader(find=find_dimap_internal, read=read_dimap_internal, sensors=("pleiades",)),
    Reader(find=find_sentinel2, read=read_sentinel2, whole_folder=True),
    Reader(find=find_planet, read=read_planet, read_image=read_planet),
    Reader(find=find_skysat, read=read_skysat),
    Reader(find=find_jilin, read=read_jilin),
    Reader(find=find_nitf, read=read_nitf),
    Reader(find=find_sentinel1, read=read_sentinel1, whole_folder=True),
    Reader(find=find_radarsat2, read=read_radarsat2),
    Reader(find=find_terrasarx, read=read_terrasarx, whole_folder=True),
    Reader(find=find_alos2, read=read_alos2),
    Reader(find=find_iceye, read=read_iceye),
    Reader(find=find_saocom, read=read_saocom, whole_folder=True),
)
"""In the order in which they are asked; the first that finds something has the say."""


def recognise(path: Path, sensor_id: str | None = None) -> Delivery | None:
    """Read the delivery that a path means.

    Args:
        path: A folder, the metadata of a delivery, or an image that has its own beside it.
        sensor_id: As whoever banks it says, for a product that does not; None: nobody does.

    Returns:
        None if it is no delivery of a known kind: a plain image, or nothing.

    Raises:
        DeliveryUnreadableError: If it is one that can't be understood, or is packed, or does not say of which
            sensor it is, or a folder of several.
        DeliveryIncompleteError: If it names metadata that are not there.
    """
    if is_packed(path):
        raise DeliveryUnreadableError(refusal(path))
    for reader in READERS:
        key = reader.find(path)
        if key is not None:
            delivery = reader.read(key)
            if reader.read_image is not None and path.is_file() and path != key:
                return delivery if path in _images(delivery) else reader.read_image(key, path)
            return delivery if delivery.sensor_id else _of_sensor(delivery, key, reader, sensor_id)
    return None


def _of_sensor(delivery: Delivery, key: Path, reader: Reader, sensor_id: str | None) -> Delivery:
    """Give a product that does not say of which sensor it is as one of the sensor that somebody names."""
    if sensor_id is not None and (not reader.sensors or sensor_id in reader.sensors):
        return replace(delivery, sensor_id=sensor_id)
    reason = (
        f"of its platform {delivery.platform!r} no sensor is known here"
        if delivery.platform
        else "it does not say which satellite took it: its fields of the mission are empty"
    )
    named = " or ".join(f"--sensor {each}" for each in reader.sensors)
    raise DeliveryUnreadableError(f"{key.name}: {reason}; if you know it, say so with {named or '--sensor'}")


def find_deliveries(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Find deliveries and plain images: files as named, folders with all below them.

    Hidden files and folders are skipped, links are followed, and folders that contain themselves are no trap.
    What a delivery holds is given with it only, and so are previews and masks beside it. One that can't be
    read is given too, and so is a packed one with nothing of its name beside it: `recognise` tells why.

    Args:
        paths: Files and folders.

    Returns:
        Real paths in the order of naming, sorted within a folder, each delivery once: `recognise` reads it,
        and gives None for plain images.

    Raises:
        IngestError: If a path does not exist, can't be read or is too deep.
    """
    search = _Search()
    found: dict[Path, None] = {}
    for path in paths:
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise IngestError(f"{path}: no such file or folder") from error
        if real.is_dir():
            found.update((each, None) for each in search.walk(real))
        elif real.is_file():
            found[search.named(real)] = None
        else:
            raise IngestError(f"{path}: neither a file nor a folder")
    return tuple(found)


def _images(delivery: Delivery) -> frozenset[Path]:
    """Give the files that hold its pixels."""
    return frozenset(file.path for group in delivery.groups for file in group.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """What a folder holds of deliveries."""

    path: Path
    """By which it is recognised: metadata, or an image of its own."""
    reader: Reader
    delivery: Delivery | None
    """None: it can't be read."""
    is_volume: bool = False
    """It names other deliveries, and not all of them are there."""

    @property
    def images(self) -> frozenset[Path]:
        """Give the files that hold its pixels."""
        return frozenset() if self.delivery is None else frozenset(map(_real, _images(self.delivery)))


def _real(path: Path) -> Path:
    return path.resolve()


@dataclass(kw_only=True, slots=True)
class _Search:
    """What is known so far of the folders that were walked."""

    visited: set[Path] = field(default_factory=set)
    """Folders."""
    held: set[Path] = field(default_factory=set)
    """Files of deliveries that were found."""

    def named(self, file: Path) -> Path:
        """Give what a file that someone names is recognised by."""
        if is_packed(file):
            return file
        for reader in READERS:
            key = reader.find(file)
            if key is not None:
                return file if _is_other(file, _entry(key, reader)) else key
        return file

    def walk(
        self,
        folder: Path,
        *,
        depth: int = 0,
        broken: tuple[Reader, ...] = (),
        within: bool = False,
    ) -> Iterator[Path]:
        """Give what lies in a folder and below it.

        Args:
            folder: A real path.
            depth: Of the folder below the named one.
            broken: Kinds of which a volume above is not whole, so that nothing of it is given alone.
            within: A folder above holds a delivery.
        """
        if folder in self.visited:
            return
        self.visited.add(folder)
        if depth > _DEEPEST:
            raise IngestError(f"{folder}: it lies more than {_DEEPEST} folders deep; name it itself")
        children = _children(folder)
        if within and folder.name.upper() in _SIDE_FOLDERS:
            children = [each for each in children if not may_be_dimap(each)]  # they tell whence it came
        entries, owned = self._entries(folder, [each for each in children if each.is_file()], broken)
        broken = (*broken, *(entry.reader for entry in entries if entry.is_volume))
        within = within or bool(entries)
        is_unread = bool(broken) or any(entry.delivery is None for entry in entries)
        given = dict.fromkeys(entry.path for entry in entries)
        yield from (each for each in given if each not in children)
        is_whole = any(entry.reader.whole_folder for entry in entries)
        for child in children:
            if child in given:
                yield child
            elif is_whole:
                continue
            elif child.is_dir():
                yield from self.walk(child, depth=depth + 1, broken=broken, within=within)
            elif child not in owned | self.held and (
                _is_packed_delivery(child) or _is_plain(child, within=within, is_unread=is_unread)
            ):
                yield child

    def _entries(
        self, folder: Path, files: list[Path], broken: tuple[Reader, ...]
    ) -> tuple[list[_Entry], set[Path]]:
        """Give the deliveries of a folder, and the files that belong to one of them."""
        found: dict[Path, _Entry] = {}
        owned: set[Path] = set()
        for file in files:
            key, reader = _key(file)
            if reader is None or reader in broken:
                continue
            owned.add(file)
            if key not in found:
                found[key] = _entry(key, reader)
            if _is_other(file, found[key]):
                found[file] = _entry(key, reader, file)
        volumes = [entry.reader for entry in found.values() if entry.is_volume]
        preferred = {_of_folder(folder, reader) for reader in {entry.reader for entry in found.values()}}
        kept: list[_Entry] = []
        # a volume comes before the datasets that it names
        for entry in sorted(found.values(), key=lambda each: (-len(each.images), each.path not in preferred)):
            is_part = entry.reader in volumes and not entry.is_volume
            if is_part or (entry.images and entry.images <= self.held):
                continue
            kept.append(entry)
            if entry.delivery is not None:
                self.held.update(map(_real, entry.delivery.files))
        return kept, owned


def _key(file: Path) -> tuple[Path, Reader | None]:
    """Give what a file is recognised by, and by whom."""
    for reader in READERS:
        try:
            key = reader.find(file)
        except IngestError:
            return file, reader
        if key is not None:
            return key, reader
    return file, None


def _entry(key: Path, reader: Reader, image: Path | None = None) -> _Entry:
    """Read what a key leads to, or an image beside it that it does not name."""
    path = key if image is None else image
    try:
        if image is not None and reader.read_image is not None:
            return _Entry(path=path, reader=reader, delivery=reader.read_image(key, image))
        return _Entry(path=path, reader=reader, delivery=reader.read(key))
    except DeliveryIncompleteError:
        return _Entry(path=path, reader=reader, delivery=None, is_volume=True)
    except IngestError:
        return _Entry(path=path, reader=reader, delivery=None)


def _is_other(file: Path, entry: _Entry) -> bool:
    """Tell whether a file is an image of its own beside a delivery that does not name it."""
    can_read = entry.reader.read_image is not None and entry.delivery is not None
    return can_read and file != entry.path and _is_image(file) and file not in entry.images


def _of_folder(folder: Path, reader: Reader) -> Path | None:
    """Give what a reader takes for the whole of a folder."""
    try:
        return reader.find(folder)
    except IngestError:
        return None


def _children(folder: Path) -> list[Path]:
    """Give the real files and folders of a folder in the order of their names; links are followed."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError as error:
        raise IngestError(f"{folder}: can't be read: {error.strerror}") from error
    found: dict[Path, None] = {}
    for name in names:
        if name.startswith("."):
            continue
        try:
            real = (folder / name).resolve(strict=True)
        except (OSError, RuntimeError):
            continue  # a link that leads nowhere, or to itself
        found[real] = None
    return list(found)


def _is_packed_delivery(file: Path) -> bool:
    """Tell whether a file among others is a packed delivery that was not unpacked yet."""
    return is_packed(file) and product_in(file) is not None and not is_unpacked_beside(file)


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in ENDINGS


def _is_plain(file: Path, *, within: bool, is_unread: bool) -> bool:
    """Tell whether a file is an image that stands for itself."""
    if not _is_image(file):
        return False
    if within and (_BESIDE.fullmatch(file.stem) or file.parent.name.upper() in _SIDE_FOLDERS):
        return False
    return not (is_unread and _PARTS.fullmatch(file.stem))
