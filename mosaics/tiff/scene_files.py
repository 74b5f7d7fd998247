"""Opens the files of scenes, wherever they lie."""

from __future__ import annotations

from dataclasses import dataclass

from mosaics.errors import MosaicsError
from mosaics.models import Scene
from mosaics.places import DataRoot, ObjectAddress, is_object, lies_below
from mosaics.tiff.files import LocalFile, RangeFile
from mosaics.tiff.objects import ObjectStore, ObjectUnreadableError, StoreOptions


class ObjectReplacedError(MosaicsError, OSError):
    """Another object lies where the one was that was banked; its rights, date and place are not known."""


class OutsideRootsError(MosaicsError, OSError):
    """It lies where nothing is opened, whatever the catalogue says."""


@dataclass(frozen=True)
class SceneFiles:
    """Where files are opened."""

    objects: ObjectStore | None = None
    """The store that objects lie in; None: there is none."""
    roots: tuple[DataRoot, ...] | None = None
    """Folders, resolved, and prefixes of the store, outside of which nothing is opened; None: anywhere."""

    def open(self, scene: Scene) -> RangeFile:
        """Open the file of a scene.

        An object must be the very one that was banked: its ETag says so at no cost, the tile's key is made of
        it, and whoever may see the scene need not be allowed to see what was put in its place.

        A file that is open may be read on while it is still the one at its path.

        Raises:
            OutsideRootsError: If it does not lie below a root, links followed.
            ObjectReplacedError: If it is another.
            OSError: If it can't be opened.
        """
        if self.roots is not None and not lies_below(scene.href, self.roots):
            raise OutsideRootsError
        if not is_object(scene.href):
            return LocalFile(scene.href)
        address = ObjectAddress.parse(scene.href)
        if self.objects is None:
            raise ObjectUnreadableError(address.name, "no store of objects is configured")
        file = self.objects.open(address)
        if file.etag != scene.generation:
            raise ObjectReplacedError(f"{address.name}: it was replaced since it was banked; bank it again")
        return file


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What it takes to open the files of scenes in another process."""

    roots: tuple[DataRoot, ...] | None
    """As `SceneFiles` has them."""
    store: StoreOptions | None = None
    """Of the store that objects lie in; None: there is none."""

    def files(self) -> SceneFiles:
        """Give what opens them, in this process."""
        return SceneFiles(roots=self.roots, objects=None if self.store is None else ObjectStore(self.store))
