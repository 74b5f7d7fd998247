"""Completes STAC items that others wrote with what a scene needs, as far as they say it; opens no file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

from pyproj.exceptions import ProjError

from mosaics.errors import IngestError
from mosaics.geodesy import scene_ground_resolution
from mosaics.ingest.foreign_bands import bands_of, described_by
from mosaics.ingest.placing import Places
from mosaics.item import STAC_EXTENSIONS, instant_of
from mosaics.item_assets import COG_MEDIA_TYPE, DATA, EO_COMMON_NAMES, ETAG, STATE, href_of
from mosaics.models import Band, Kind
from mosaics.places import is_object
from mosaics.registry import Registry
from mosaics.sensors import COLOURS, Layout, Sensor, guess_sensor
from mosaics.styles import Style

_NEEDED: Final = frozenset({"flux:sensor", "flux:kind", "flux:styles", "proj:shape"})
_TIFF: Final = (".tif", ".tiff", ".cog")
_NO_IMAGE: Final = frozenset({"thumbnail", "overview", "metadata", "cloud", "snow-ice", "data-mask"})
"""Roles of assets that are not what an item shows."""
_DROPPED: Final = frozenset(
    {
        *("license", "flux:digest", "renders", "bands", "eo:bands"),
        *("proj:epsg", "proj:geometry", "proj:bbox"),
    }
)
"""Properties that are not taken: `license` would open scenes to those who have a licence of that name."""
_EO: Final = "https://stac-extensions.github.io/eo/v2.0.0/schema.json"
_COLLECTION_LINK: Final = {"rel": "collection", "href": "./collection.json", "type": "application/json"}


def is_whole(item: Mapping[str, Any]) -> bool:
    """Tell whether an item has what a scene needs, as those that we wrote."""
    properties, assets = item.get("properties"), item.get("assets")
    if not isinstance(properties, Mapping) or not isinstance(assets, Mapping):
        return False
    data = assets.get(DATA)
    if not isinstance(data, Mapping) or not properties.keys() >= _NEEDED:
        return False
    known = "file:checksum" in data or STATE in data or ETAG in data
    return known and "bands" in data and "raster:spatial_resolution" in data


@dataclass(frozen=True, kw_only=True)
class Completing:
    """What foreign items are completed with."""

    places: Places
    """Where files may lie."""
    sensors: Registry[Sensor]
    """All sensors."""
    styles: Registry[Style]
    """All styles."""
    sensor: Sensor | None = None
    """The sensor that was named; None: that of platform, constellation or instruments, or guessed."""
    asset_key: str | None = None
    """The asset that was named; None: the only image."""

    def completed(self, item: Mapping[str, Any], start: Path) -> dict[str, Any]:
        """Give an item that has what a scene needs; of its files the image alone is left.

        Args:
            item: As somebody wrote it.
            start: Folder that relative hrefs start from.

        Raises:
            IngestError: If the item does not say something that has to be known; the message says what.
        """
        properties, asset = self._parts(item)
        place = self.places.of_foreign(str(asset.get("href", "")), start)
        name = Path(place).name
        state = self.places.state(place, name)
        bands = bands_of(asset, properties)
        if self.asset_key is None and asset.get("flux:colormap"):
            raise IngestError("it has a palette: bank its file")
        shape = _shape(_first("proj:shape", asset, properties))
        sensor, layout, kind = self._sensor(properties, bands, name)
        bands = described_by(bands, layout)
        styles = self._styles(properties, sensor, bands, kind, layout)
        resolution = _resolution(asset, properties, shape)
        data = {
            "href": href_of(place, self.places.root),
            "type": COG_MEDIA_TYPE,
            "roles": ["data"],
            "bands": [_document(band) for band in bands],
            "raster:spatial_resolution": resolution,
            (ETAG if is_object(place) else STATE): state,
        }
        kept = {key: value for key, value in properties.items() if key not in _DROPPED}
        acquired = None if kept.get("datetime") is None else instant_of(str(kept["datetime"]))
        said = {
            "gsd": resolution,
            "proj:shape": list(shape),
            "flux:sensor": sensor.id,
            "flux:kind": kind,
            "flux:styles": list(styles),
        }
        if code := _code(asset, properties):
            said["proj:code"] = code
        if line := kept.get("flux:attribution") or sensor.attribution_for(acquired):
            said["flux:attribution"] = line
        return {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": [*STAC_EXTENSIONS, _EO],
            **{key: item[key] for key in ("id", "collection", "geometry", "bbox") if key in item},
            "properties": {**kept, **said},
            "assets": {DATA: data},
            "links": [dict(_COLLECTION_LINK)],
        }

    def _parts(self, item: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Give the properties, and the asset that is the image."""
        properties, assets = item.get("properties"), item.get("assets")
        if not isinstance(properties, Mapping) or not isinstance(assets, Mapping):
            raise IngestError("it has no properties or no assets")
        images = {key: one for key, one in assets.items() if isinstance(one, Mapping) and _is_image(one)}
        if self.asset_key is not None:
            if self.asset_key not in images:
                raise IngestError(f"it has no image {self.asset_key!r}; it has {_listed(images)}")
            return properties, images[self.asset_key]
        leading = {key: one for key, one in images.items() if "data" in (one.get("roles") or ())} or images
        if DATA in images:
            return properties, images[DATA]
        if len(leading) == 1:
            return properties, next(iter(leading.values()))
        if not images:
            raise IngestError("it has no asset that is a GeoTIFF")
        raise IngestError(f"it has several images ({_listed(leading)}): name one with --asset")

    def _sensor(
        self, properties: Mapping[str, Any], bands: Sequence[Band], name: str
    ) -> tuple[Sensor, Layout | None, Kind]:
        """Find the sensor, its layout for these bands if it has one, and what their numbers mean."""
        colours = tuple(b.common_name if b.common_name in COLOURS else "undefined" for b in bands)
        types = {band.data_type for band in bands}
        if len(types) > 1:
            raise IngestError("its bands have several data types")
        data_type = next(iter(types))
        sensor = self.sensor or self._named(properties)
        if sensor is None:
            sensor = guess_sensor(
                self.sensors,
                file_name=name,
                band_count=len(bands),
                data_type=data_type,
                colour_interpretation=tuple(str(colour) for colour in colours),
                has_palette=False,
                tags={},
            )
        layout = sensor.layout_for(len(bands), data_type, tuple(str(colour) for colour in colours), name)
        kinds = {one.kind for one in sensor.layouts}
        kind = properties.get("flux:kind")
        if kind in get_args(Kind):
            return sensor, layout, cast("Kind", kind)
        if layout is not None:
            return sensor, layout, layout.kind
        if len(kinds) == 1:
            return sensor, None, next(iter(kinds))
        raise IngestError(
            f"the sensor {sensor.id} has no product of {len(bands)} bands of {data_type}; name another with "
            "--sensor"
        )

    def _named(self, properties: Mapping[str, Any]) -> Sensor | None:
        """Give the sensor that the item names."""
        stated = properties.get("flux:sensor")
        if stated in self.sensors:
            return self.sensors.get(str(stated))
        instruments = properties.get("instruments") or ()
        words = [properties.get("platform"), properties.get("constellation")]
        words += instruments if isinstance(instruments, list) else []
        for word in words:
            wanted = str(word or "").casefold().replace("_", "-").replace(" ", "-")
            for sensor in self.sensors.values():
                if wanted in {sensor.id.casefold(), *(alias.casefold() for alias in sensor.aliases)}:
                    return sensor
        return None

    def _styles(
        self,
        properties: Mapping[str, Any],
        sensor: Sensor,
        bands: Sequence[Band],
        kind: Kind,
        layout: Layout | None,
    ) -> tuple[str, ...]:
        """Give the styles that bind to the bands: those that the item names, else the sensor's, else any."""
        named = properties.get("flux:styles")
        listed = layout.styles if layout is not None else sensor.styles_for(bands, kind)
        for names in (named if isinstance(named, list) else (), listed, self.styles.list()):
            found = tuple(
                name
                for name in names
                if name in self.styles and self.styles.get(name).bind(bands, kind) is not None
            )
            if found:
                return found
        raise IngestError("no style suits its bands; name another sensor with --sensor")


def _is_image(asset: Mapping[str, Any]) -> bool:
    roles = asset.get("roles") or ()
    if not isinstance(roles, list | tuple) or _NO_IMAGE & {str(role) for role in roles}:
        return False
    media, href = str(asset.get("type") or ""), str(asset.get("href") or "").lower()
    return media.startswith("image/tiff") or (not media and href.endswith(_TIFF))


def _first(name: str, *parts: Mapping[str, Any]) -> Any:
    return next((part[name] for part in parts if part.get(name) is not None), None)


def _shape(found: Any) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in found)
    except (TypeError, ValueError):
        raise IngestError("it does not say its size in pixels (proj:shape): bank its file") from None
    if height < 1 or width < 1:
        raise IngestError("its size in pixels (proj:shape) is none")
    return height, width


def _code(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> str | None:
    code, epsg = _first("proj:code", asset, properties), _first("proj:epsg", asset, properties)
    return str(code) if code else f"EPSG:{epsg}" if epsg else None


def _resolution(asset: Mapping[str, Any], properties: Mapping[str, Any], shape: tuple[int, int]) -> float:
    """Give metres per pixel: measured from the transform, else as the item states it."""
    transform = _first("proj:transform", asset, properties)
    crs = _first("proj:wkt2", asset, properties) or _code(asset, properties)
    try:
        a, b, c, d, e, f = (float(number) for number in transform[:6])
        found = scene_ground_resolution(str(crs), (a, b, c, d, e, f), shape[1], shape[0])
    except (TypeError, ValueError, KeyError, ProjError):
        listed = asset.get("bands") or asset.get("raster:bands") or [{}]
        first: Mapping[str, Any] = listed[0]
        stated = (
            _first("raster:spatial_resolution", asset, first)
            or _first("spatial_resolution", first)
            or _first("gsd", first, asset, properties)
        )
        found = float(stated) if isinstance(stated, int | float) else math.nan
    if not (math.isfinite(found) and found > 0):
        raise IngestError(
            "it does not say how fine its pixels are (proj:transform with proj:code, or gsd): bank its file"
        )
    return found


def _listed(names: Mapping[str, Any]) -> str:
    shown = ", ".join(list(names)[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown or "none"


def _document(band: Band) -> dict[str, Any]:
    """Write a band as our items have it."""
    prefix = "eo" if band.common_name in EO_COMMON_NAMES else "flux"
    found: dict[str, Any] = {
        "name": band.name,
        "data_type": band.data_type,
        "unit": band.unit,
        f"{prefix}:common_name": band.common_name,
        "eo:center_wavelength": band.wavelength_um,
        "eo:full_width_half_max": band.fwhm_um,
    }
    if band.minimum is not None and band.maximum is not None:
        found["statistics"] = {"minimum": band.minimum, "maximum": band.maximum}
    if (band.scale, band.offset) != (1.0, 0.0):
        found |= {"raster:scale": band.scale, "raster:offset": band.offset}
    places = {"2": band.p2, "50": band.p50, "98": band.p98, "99.9": band.p999}
    percentiles = {word: value for word, value in places.items() if value is not None}
    if percentiles:
        found["flux:percentiles"] = percentiles
    return {name: value for name, value in found.items() if value is not None}
