"""Where banked files are kept: brought there when they are whole, taken away again if registering fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mosaics.errors import MosaicsError
from mosaics.ingest.workplace import TEMPORARY, flush_folder
from mosaics.item_assets import DATA
from mosaics.models import Scene


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """The folders of a home's data."""

    root: Path
    """The home's data folder, resolved."""
    quicklook: Callable[[Scene], bytes] | None
    """Renders a small WebP picture of a scene."""
    is_registered: Callable[[str, str], bool]
    """Tells whether a collection has a scene; may raise a MosaicsError where it can't be told."""

    def folder(self, collection_id: str) -> Path:
        """Give the folder of a collection's files."""
        return self.root / "cogs" / collection_id

    def target(self, collection_id: str, scene_id: str, key: str = DATA) -> Path:
        """Give where a file of a scene is kept."""
        folder = self.folder(collection_id)
        return (folder if key == DATA else folder / key) / f"{scene_id}.tif"

    def thumbnail(self, collection_id: str, scene_id: str) -> Path:
        """Give where the quicklook of a scene is kept."""
        return self.root / "quicklooks" / collection_id / f"{scene_id}.webp"

    @contextmanager
    def kept(
        self, collection_id: str, scene_id: str, results: Mapping[str, Path]
    ) -> Iterator[dict[str, Path]]:
        """Bring finished files of a scene to where they are kept; they go again if what follows fails.

        Who is interrupted after the scene was registered leaves it whole. A kill before that leaves files
        that nobody serves, since only the catalogue says what is; the next run of the same content replaces
        them.

        Args:
            collection_id: Of the scene.
            scene_id: Its own.
            results: By key, where each file is now, on the same disk.

        Returns:
            By key, where each is kept.
        """
        targets = {key: self.target(collection_id, scene_id, key) for key in results}
        try:
            for key, target in targets.items():
                target.parent.mkdir(parents=True, exist_ok=True)
                results[key].replace(target)
                flush_folder(target.parent)
            yield targets
        except BaseException:
            if not self._may_be_registered(collection_id, scene_id):
                for path in (*targets.values(), self.thumbnail(collection_id, scene_id)):
                    path.unlink(missing_ok=True)
            raise

    def _may_be_registered(self, collection_id: str, scene_id: str) -> bool:
        try:
            return self.is_registered(collection_id, scene_id)
        except MosaicsError:
            return True  # files that nobody serves do less harm than a scene without them

    def picture(self, scene: Scene) -> tuple[Path | None, tuple[str, ...]]:
        """Render and store the quicklook; a scene without one is banked all the same, and it is said why."""
        if self.quicklook is None:
            return None, ()
        path = self.thumbnail(scene.collection_id, scene.id)
        try:
            data = self.quicklook(scene)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{TEMPORARY}{path.name}")
            partial.write_bytes(data)
            partial.replace(path)
        except (MosaicsError, OSError) as error:
            return None, (f"no quicklook could be made: {error}",)
        return path, ()
