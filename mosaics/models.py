"""The frozen values of mosaics: bands, scenes, collections, frames and encoded tiles."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry


class Bounds(NamedTuple):
    """A rectangle: left, bottom, right, top, in the units of a CRS that stands beside it."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text that end users read, in both languages."""

    fr: str
    """French."""
    en: str
    """English."""


Kind = Literal["optical", "sar", "elevation", "night", "classes", "measure", "phase", "other"]
"""What a scene's numbers mean; it decides which styles make sense. measure: one quantity on a scale, such as
an index, a speed or a difference of heights; phase: angles that begin again after a turn."""
UNMIXED_KINDS: Final = frozenset({"classes", "phase"})
"""Kinds whose numbers can't be averaged: between two classes, or two ends of a turn, lies another meaning."""


class Band(NamedTuple):
    """One band of a scene's file, in file order; a tuple, which is made in a fifth of a dataclass's time."""

    name: str
    """The provider's name, such as B2; unique within the scene."""
    common_name: str | None = None
    """STAC eo:common_name (red, nir, pan ...) or our word for other kinds (elevation, amplitude, hh ...)."""
    data_type: str = "uint8"
    """numpy dtype name of the stored values."""
    unit: str | None = None
    """Unit of the stored values, such as m or dB; some styles tell by it what they are for, see
    mosaics/data/styles/README.md: 1 for radar's linear power, 1e-4 for reflectance times 10 000."""
    minimum: float | None = None
    """Least valid value of the whole scene."""
    maximum: float | None = None
    """Greatest valid value of the whole scene."""
    p2: float | None = None
    """2nd percentile of the valid values of the whole scene, in stored units."""
    p98: float | None = None
    """98th percentile of the valid values of the whole scene, in stored units."""
    p50: float | None = None
    """Median of the valid values of the whole scene, in stored units."""
    p999: float | None = None
    """99.9th percentile of the valid values of the whole scene, in stored units (night lights)."""
    wavelength_um: float | None = None
    """Centre wavelength, micrometres."""
    fwhm_um: float | None = None
    """Full width at half maximum, micrometres."""
    scale: float = 1.0
    """Stored values times this plus `offset` are what formulas compare with other bands: reflectance, but for
    a factor that the bands of an image share; where that isn't known radiance, or what the file states."""
    offset: float = 0.0
    """See `scale`."""


FOOTPRINT_SLACK: Final = 0.01
"""By which part of its width a scene may reach over its footprint, which is simplified."""
VISUAL_BLOCK: Final = 256
"""Pixels along the side of a block of a companion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Visual:
    """A scene's companion: its default style as a COG whose blocks are the tiles of a grid, ready to send."""

    href: str
    """Absolute path of the COG."""
    file_size: int
    """Bytes of it."""
    source_generation: str
    """Of the scene that it was rendered from."""
    source_state: tuple[int, int] | None
    """Size and time of writing (ns) of the scene's file then; None: it is no local file."""
    style_id: str
    """The style it was rendered in."""
    style_digest: str
    """Of that style then."""
    renderer_version: int
    """What rendered it."""
    image_format: Literal["jpg", "webp"]
    """What its blocks are."""
    quality: int
    """Of their encoding, 1 to 100."""
    grid_id: str
    """Tile matrix set that its blocks are tiles of."""
    zooms: tuple[int, int]
    """Coarsest and finest; each is a level of the file."""
    crs: str
    """Of the grid, such as EPSG:3857."""
    origin: tuple[float, float]
    """Upper left corner of all its levels, in the CRS."""
    span: float
    """Side of a block of the coarsest level, in the CRS."""
    columns: int
    """Of blocks, at the coarsest level; twice as many at each finer one."""
    rows: int
    """Of blocks, at the coarsest level."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asset:
    """A file of a scene beside the leading one, such as the panchromatic image of a bundle."""

    key: str
    """Name within the scene, as in its STAC item: `[a-z][a-z0-9]*`, such as pan."""
    href: str
    """As `Scene.href`."""
    generation: str
    """As `Scene.generation`."""
    width: int
    """Columns at full resolution."""
    height: int
    """Rows at full resolution."""
    ground_resolution: float
    """Metres per pixel, the finer of both axes at the centre."""
    bands: tuple[Band, ...]
    """In file order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudMask:
    """What a scene's product says of clouds, as an image of classes."""

    asset: Asset
    """The file; one band."""
    cloudy: tuple[int, ...]
    """Classes that hide the ground or darken it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """One acquisition as it is served: what tiles and rights need of its STAC item."""

    id: str
    """STAC item id, `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`."""
    collection_id: str
    """Id of its collection."""
    licence_id: str | None
    """Licence of the scene; None: under no licence, so only a grant on its collection or id opens it."""
    sensor_id: str
    """Id of its sensor file."""
    kind: Kind
    """What the numbers mean."""
    acquired: datetime | None
    """Acquisition time, UTC; None where it isn't known (then it fails any acquisition window)."""
    footprint: BaseGeometry
    """Outline of the valid data, longitude and latitude (WGS 84), split at the antimeridian."""
    href: str
    """Absolute path of the GeoTIFF, or the address of an object: `s3://BUCKET/KEY`."""
    generation: str
    """Changes whenever the bytes of the file do: of a path their digest, of an object its ETag."""
    width: int
    """Columns at full resolution."""
    height: int
    """Rows at full resolution."""
    ground_resolution: float
    """Native ground sample distance, metres per pixel, the finer of both axes at the centre."""
    pan_resolution: float | None = None
    """Panchromatic resolution of its sensor, metres per pixel; None: not known, the native one counts."""
    bands: tuple[Band, ...]
    """Bands in file order (an alpha band is not listed)."""
    styles: tuple[str, ...]
    """Ids of the styles that suit it, the default first."""
    attribution: str = ""
    """The copyright line that the product states."""
    colormap: tuple[tuple[int, tuple[int, int, int, int]], ...] = ()
    """Palette of a class image: (value, (red, green, blue, alpha)); empty for others."""
    sequence: int = 0
    """Catalogue sequence of the last change of this scene."""
    visual: Visual | None = None
    """Its companion, where banking made one of the scene as it is."""
    others: tuple[Asset, ...] = ()
    """Its other files; what stands above is of the leading one."""
    mask: CloudMask | None = None
    """Its clouds, where the product tells of them."""

    @property
    def views(self) -> tuple[Scene, ...]:
        """The scene as each of its files alone shows it, the leading one first."""
        return (self, *(self._of(asset) for asset in self.others))

    @property
    def all_bands(self) -> tuple[Band, ...]:
        """Bands of all its files, the leading one's first."""
        return self.bands + tuple(band for asset in self.others for band in asset.bands)

    @property
    def finest_resolution(self) -> float:
        """Ground sample distance of its finest file, metres per pixel."""
        return min((self.ground_resolution, *(asset.ground_resolution for asset in self.others)))

    @property
    def mask_view(self) -> Scene:
        """The scene as its mask shows it, where it has one."""
        assert self.mask is not None, "asked of scenes that have one"
        return replace(self._of(self.mask.asset), kind="classes")

    def _of(self, asset: Asset) -> Scene:
        return replace(
            self,
            href=asset.href,
            generation=asset.generation,
            width=asset.width,
            height=asset.height,
            ground_resolution=asset.ground_resolution,
            bands=asset.bands,
            colormap=(),
            visual=None,
            others=(),
            mask=None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """A group of scenes of one product family."""

    id: str
    """`[a-z0-9][a-z0-9._-]{0,63}`, one namespace with the named mosaics."""
    title: Text
    """What capabilities and the map page show."""
    description: Text
    """One or two sentences; may be empty."""
    licence_id: str | None = None
    """Licence that new scenes get when none is named."""
    attribution: str = ""
    """Copyright line for all its scenes; a scene's own comes first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A rectangle of output pixels: what every read, render and mask is made for.

    Pixel (0, 0) is the upper left; bounds go around the outside of the pixels.
    """

    crs: str
    """Anything pyproj understands, such as EPSG:3857."""
    bounds: Bounds
    """In the CRS, x (east) before y (north) whatever its official axis order."""
    width: int
    """Columns."""
    height: int
    """Rows."""

    def part(self, rows: slice, columns: slice) -> Frame:
        """Give some rows and columns of it, which begin and end within."""
        left, bottom, right, top = self.bounds
        dx, dy = (right - left) / self.width, (top - bottom) / self.height
        return Frame(
            crs=self.crs,
            bounds=Bounds(
                left + columns.start * dx,
                top - rows.stop * dy,
                left + columns.stop * dx,
                top - rows.start * dy,
            ),
            width=columns.stop - columns.start,
            height=rows.stop - rows.start,
        )

    def padded(self, pixels: int) -> Frame:
        """Give the same frame with `pixels` more on each side, at the same resolution."""
        dx = (self.bounds.right - self.bounds.left) / self.width * pixels
        dy = (self.bounds.top - self.bounds.bottom) / self.height * pixels
        left, bottom, right, top = self.bounds
        return Frame(
            crs=self.crs,
            bounds=Bounds(left - dx, bottom - dy, right + dx, top + dy),
            width=self.width + 2 * pixels,
            height=self.height + 2 * pixels,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Raster:
    """Values read for a frame."""

    data: NDArray[Any]
    """Stored values, shape (bands, height, width)."""
    valid: NDArray[np.bool_]
    """True where there is data, shape (height, width). The inverse of numpy's mask."""


GREYS: Final = np.repeat(np.arange(256, dtype="uint8")[:, np.newaxis], 3, axis=1)
"""The colours of grey levels, shape (256, 3)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Indexed:
    """Pixels as places in a list of colours."""

    values: NDArray[np.uint8]
    """Shape (height, width); 0 wherever the picture's alpha is 0."""
    colours: NDArray[np.uint8]
    """Red, green, blue of each value, shape (256, 3)."""
    gradual: bool
    """True where values that are near have colours that are near, as shades have and classes have not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """Rendered pixels."""

    rgb: NDArray[np.uint8]
    """Red, green, blue, shape (height, width, 3); 0 wherever alpha is 0."""
    alpha: NDArray[np.uint8]
    """0 (nothing) to 255 (opaque), shape (height, width)."""
    indexed: Indexed | None = None
    """The same colours as an index, where they are one and alpha is 0 or 255 everywhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedTile:
    """Bytes of an image file and what they are."""

    data: bytes
    """The file."""
    media_type: str
    """Such as image/png."""
    contributors: tuple[tuple[str, str, str, str | None], ...] = field(default=())
    """(collection, scene, sensor, licence) of every scene that gave pixels; empty for an empty tile."""
