"""One scene as it enters a tile: known by where it stands in the catalogue, and made when it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mosaics.errors import SceneUnreadableError
from mosaics.levels import Recipe, uses_statistics
from mosaics.readings import bands_bound

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from mosaics.coarse import Rank
    from mosaics.models import Scene
    from mosaics.stretch import Stretch
    from mosaics.styles import Style


class Source(Protocol):
    """Where a scene comes from."""

    @property
    def scene(self) -> Scene | None:
        """The scene, made when it is asked for; None: its item is damaged."""

    @property
    def key(self) -> tuple[str, str]:
        """Collection id and scene id."""

    @property
    def identity(self) -> str:
        """What changes whenever something of the scene does, in one word without a colon at its end."""


class Held(NamedTuple):
    """A scene that exists."""

    scene: Scene
    known_as: str | None = None
    """Its identity, where it was told another; None: what the scene tells."""

    @property
    def key(self) -> tuple[str, str]:
        """Collection id and scene id."""
        return self.scene.collection_id, self.scene.id

    @property
    def identity(self) -> str:
        """See `Source`."""
        if self.known_as is not None:
            return self.known_as
        return f"{self.scene.collection_id}:{self.scene.id}:{self.scene.generation}:{self.scene.sequence}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Contribution:
    """One scene as it enters a tile; a worker remembers a hundred thousand of them."""

    source: Source
    """Where its scene comes from."""
    style: Style
    """What it is shown in."""
    by_statistics: bool
    """Whether what its values become may depend on what those of the scene, or of its mosaic, are like."""
    mask: BaseGeometry | None
    """Where the scene is open, lon/lat; None: on the whole tile."""
    mask_digest: str = ""
    """Of the mask; empty where it is None."""
    charged: tuple[str, ...] = ()
    """Labels of the metered rules that were needed to open it here; none where an unmetered one does."""
    stretch: Stretch | None = None
    """The range of values of its mosaic; None: its own."""
    cloud_mask: bool = False
    """Whether what its mask calls cloud is left out."""
    rank: Rank | None = None
    """Where its scenes stand in the order, if those of others lie between; None: they don't."""

    @classmethod
    def of(cls, scene: Scene, style: Style) -> Contribution:
        """Give what a scene that exists is to a tile where all of it is open."""
        return cls(source=Held(scene), style=style, by_statistics=is_by_statistics(style, scene), mask=None)

    @property
    def scene(self) -> Scene:
        """The scene.

        Raises:
            SceneUnreadableError: If its item is damaged.
        """
        made = self.source.scene
        if made is None:
            raise SceneUnreadableError(self.source.key[1])
        return made

    @property
    def is_stretched(self) -> bool:
        """True where the range of its mosaic makes another picture of it than its own would."""
        bands = bands_bound(self.style, self.scene) if self.stretch is not None else None
        if self.stretch is None or bands is None:
            return False
        # most styles of 8 bits, and those of fixed ranges, are told by the first, which costs less
        return uses_statistics(Recipe(style=self.style, bands=bands)) and self.stretch.of(bands) != bands

    @property
    def recipe(self) -> Recipe | None:
        """Its style bound to its bands; None where no style fits it any more."""
        bands = bands_bound(self.style, self.scene)
        if bands is None:
            return None
        bands = bands if self.stretch is None else self.stretch.of(bands)
        return Recipe(style=self.style, bands=bands, colormap=self.scene.colormap)

    def restyled(self, style: Style) -> Contribution:
        """Give it in another style."""
        return replace(self, style=style, by_statistics=is_by_statistics(style, self.scene))

    def made(self) -> Contribution:
        """Give it with its scene, away from the catalogue: to be sent elsewhere."""
        return replace(self, source=Held(self.scene, self.source.identity))

    def token(self) -> str:
        """Write what this scene contributes in one canonical line."""
        token = f"{self.source.identity}:{self.mask_digest}:{self.style.digest}"
        if self.stretch is not None and self.by_statistics:
            token += f":{self.stretch.digest}"
        return f"{token}:no-cloud" if self.cloud_mask else token


def is_by_statistics(style: Style, scene: Scene) -> bool:
    """Tell whether what a scene's values become in a style depends on what they are like."""
    bands = bands_bound(style, scene)
    return bands is not None and uses_statistics(Recipe(style=style, bands=bands))
