"""Which banked scenes an asset of somebody else's document means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from mosaics.catalog.base import data_href
from mosaics.cql2 import Expression, compare, every, one_of
from mosaics.item_assets import path_of

SceneKey = tuple[str, str]
"""Collection id and scene id."""
Way = Literal["address", "id", "content", "name"]
"""How an asset was recognised."""
_SCHEMES: Final = (("file://", ""), ("/vsis3/", "s3://"))
"""Other ways of writing the same place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """The scenes that an asset means."""

    scenes: tuple[SceneKey, ...]
    """At least one."""
    way: Way
    """How it was told."""


@dataclass(frozen=True, slots=True)
class BankedAssets:
    """Recognises assets among the scenes of a catalogue."""

    by_href: Mapping[str, tuple[SceneKey, ...]]
    by_id: Mapping[str, tuple[SceneKey, ...]]
    by_content: Callable[[Path], SceneKey | None] = field(repr=False)
    """Gives the scene that was banked of a file with the same content."""

    @classmethod
    def of(
        cls,
        items: Mapping[SceneKey, dict[str, Any]],
        root: Path,
        by_content: Callable[[Path], SceneKey | None],
    ) -> BankedAssets:
        """Look through items.

        Args:
            items: STAC items of all scenes.
            root: The home's data folder, which relative hrefs start from.
            by_content: Gives the scene that was banked of a file with the same content.
        """
        by_href: dict[str, tuple[SceneKey, ...]] = {}
        by_id: dict[str, tuple[SceneKey, ...]] = {}
        for key, item in items.items():
            by_id[key[1]] = (*by_id.get(key[1], ()), key)
            try:
                href = path_of(data_href(item) or "", root)
            except ValueError:
                continue
            by_href[href] = (*by_href.get(href, ()), key)
        return cls(by_href, by_id, by_content)

    def find(self, asset: str, folder: Path) -> Recognised | None:
        """Recognise an asset: by where its file lies, by its id, by its content, by its file's name.

        Args:
            asset: An address, a path, `collection:scene`, or the id of a scene.
            folder: What relative paths start from.

        Returns:
            None: it is no banked scene, or its id or name is that of scenes of several collections.
        """
        place = asset
        for written, meant in _SCHEMES:
            if place.startswith(written):
                place = meant + place.removeprefix(written)
        path = folder / place if "://" not in place else None
        for known in (place, *(() if path is None else (str(path), str(path.resolve())))):
            if known in self.by_href:
                return Recognised(scenes=self.by_href[known], way="address")
        collection_id, colon, scene_id = asset.partition(":")
        if colon and (collection_id, scene_id) in self.by_id.get(scene_id, ()):
            return Recognised(scenes=((collection_id, scene_id),), way="id")
        if len(self.by_id.get(asset, ())) == 1:
            return Recognised(scenes=self.by_id[asset], way="id")
        content = self.by_content(path) if path is not None and path.is_file() else None
        if content is not None:
            return Recognised(scenes=(content,), way="content")
        named = self.by_id.get(Path(place.partition("?")[0]).stem, ())
        return Recognised(scenes=named, way="name") if len(named) == 1 else None


def these(scenes: Iterable[SceneKey]) -> Expression:
    """Write the filter of some scenes.

    Args:
        scenes: At least one.
    """
    ids: dict[str, list[str]] = {}
    for collection_id, scene_id in dict.fromkeys(scenes):
        ids.setdefault(collection_id, []).append(scene_id)
    parts = [every(compare("=", "collection", name), one_of("id", held)) for name, held in ids.items()]
    return parts[0] if len(parts) == 1 else {"op": "or", "args": parts}  # type: ignore[return-value] # not None
