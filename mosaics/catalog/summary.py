"""What the index holds of a scene, made of its STAC item: columns, outline, and what a `Scene` is made of."""

from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pydantic_core
import shapely

from mosaics.errors import SceneUnreadableError
from mosaics.item import instant_of, scene_from_item
from mosaics.item_assets import CLASSES, CLOUDY, DATA, MASK
from mosaics.plain_item import is_plain
from mosaics.queryables import QUERYABLE_NUMBERS, QUERYABLE_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from mosaics.models import Kind

VERSION: Final = 1
"""Of the bytes of a summary; those of another are made anew of their items."""
WORDS: Final = (*QUERYABLE_WORDS, "attribution", "look")
"""Columns of words: what can be asked for, the scene's copyright line, and what `look_of` gives."""
_HEAD: Final = struct.Struct(f"<B{len(QUERYABLE_NUMBERS)}dHII")
"""Version, numbers, and the lengths of words, outline and record."""
_BETWEEN: Final = "\x1f"
"""Between words; no STAC word holds this control character."""
_ABSENT: Final = "\x00"
_MOST_WORDS: Final = 65_535
_SURELY_SHORT: Final = 1000
"""Characters of a word that is not too long, whatever they are."""
_ID, _COLLECTION = WORDS.index("id"), WORDS.index("collection")
_DATETIME, _GSD = QUERYABLE_NUMBERS.index("datetime"), QUERYABLE_NUMBERS.index("gsd")
_BROKEN: Final = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, struct.error)
"""What reading an item raises that lacks what a scene needs."""
_PROPERTIES: Final = (
    *("license", "flux:sensor", "flux:kind", "flux:styles", "flux:attribution", "datetime", "proj:shape"),
)
_ASSET_FIELDS: Final = (
    *("href", "roles", "proj:shape", "raster:spatial_resolution", "bands", "file:checksum"),
    *("flux:etag", "flux:state", "flux:colormap"),
)
_ANYWHERE: Final = Path("/")
"""Where files lie is nothing to a summary."""
_ROLES: Final = frozenset({"data", "visual"})
_COMMON: Final = (
    b'{"id":"","collection":"","properties":{"license":"","flux:sensor":"","flux:kind":"optical",'
    b'"flux:styles":["natural","cir","ndvi","pan"],"flux:attribution":"","datetime":"2024-05-17T10:30:00Z",'
    b'"proj:shape":[12288,12288]},"assets":{"data":{"href":"cogs/.tif","roles":["data"],'
    b'"raster:spatial_resolution":0.5,"bands":[{"name":"B0","data_type":"uint16","unit":"1e-4",'
    b'"statistics":{"minimum":0,"maximum":65535},"raster:scale":0.0001,"raster:offset":-0.1,'
    b'"eo:common_name":"red","eo:center_wavelength":0.665,"eo:full_width_half_max":0.038,'
    b'"flux:percentiles":{"2":1,"50":1,"98":1,"99.9":1},"flux:sample_step":2},{"name":"","data_type":"uint8",'
    b'"eo:common_name":"green"},{"eo:common_name":"blue"},{"eo:common_name":"nir"}],"file:checksum":"1220"}}}'
)
"""What records have in common: zlib begins with it, and each alone becomes a third of its size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A scene as the index holds it."""

    numbers: tuple[float, ...]
    """In the order of QUERYABLE_NUMBERS; NaN: unknown."""
    words: tuple[str | None, ...]
    """In the order of WORDS; None: unknown."""
    footprint: bytes
    """Outline, WKB, longitude and latitude."""
    record: bytes
    """What `item_of` makes an item of again."""

    def __bytes__(self) -> bytes:
        """Write it as the store keeps it."""
        words = _BETWEEN.join(_ABSENT if word is None else word for word in self.words).encode()
        head = _HEAD.pack(VERSION, *self.numbers, len(words), len(self.footprint), len(self.record))
        return head + words + self.footprint + self.record


def summary_of(item: dict[str, Any]) -> Summary:
    """Make the summary of an item.

    Raises:
        SceneUnreadableError: If the item lacks what a scene needs.
    """
    try:
        outline = outline_of(item["geometry"])
    except _BROKEN as error:
        raise _unreadable(item) from error
    return _summary(item, outline, shapely.to_wkb(outline))


def summaries_of(items: Sequence[dict[str, Any]]) -> list[Summary | SceneUnreadableError]:
    """Make the summaries of items, whose geometries are read together; in place of a broken one is why."""
    outlines = _outlines_of(items)
    footprints = shapely.to_wkb(outlines)
    found: list[Summary | SceneUnreadableError] = []
    for item, outline, footprint in zip(items, outlines, footprints, strict=True):
        try:
            # a geometry that can't be read is read again alone, which tells what is wrong with it
            found.append(summary_of(item) if outline is None else _summary(item, outline, footprint))
        except SceneUnreadableError as error:
            found.append(error)
    return found


def _outlines_of(items: Sequence[dict[str, Any]]) -> NDArray[np.object_]:
    """Read the geometries of items; None: it can't be read."""
    texts = np.array([_geometry_text(item) for item in items], object)
    found: NDArray[np.object_] = shapely.from_geojson(texts, on_invalid="ignore")
    return found


def _geometry_text(item: dict[str, Any]) -> bytes | None:
    try:
        return pydantic_core.to_json(item["geometry"])
    except _BROKEN:
        return None


def _summary(item: dict[str, Any], outline: BaseGeometry, footprint: bytes) -> Summary:
    try:
        if not is_plain(item):
            scene_from_item(item, root=_ANYWHERE, sequence=0, footprint=outline)
        properties, assets = item["properties"], item["assets"]
        acquired = _seconds(properties.get("datetime"))
        numbers = [_number(properties.get(name)) for name in QUERYABLE_NUMBERS]
        numbers[_DATETIME] = acquired
        numbers[_GSD] = min(
            float(each["raster:spatial_resolution"])
            for key, each in assets.items()
            if key == DATA or "data" in each.get("roles", ())
        )
        words = [_word(properties.get(name)) for name in QUERYABLE_WORDS]
        words[_ID], words[_COLLECTION] = str(item["id"]), str(item["collection"])
        attribution = _word(properties.get("flux:attribution"))
        bands = [
            (band["name"], band.get("eo:common_name") or band.get("flux:common_name"), band["data_type"])
            for band in assets[DATA]["bands"]
        ]
        look = look_of(properties["flux:kind"], properties["flux:styles"], bands)
        return Summary(
            numbers=tuple(numbers),
            words=(*words, attribution, look),
            footprint=footprint,
            record=_record(item),
        )
    except _BROKEN as error:
        raise _unreadable(item) from error


def _unreadable(item: Any) -> SceneUnreadableError:
    return SceneUnreadableError(str(item.get("id") if isinstance(item, dict) else None))


def outline_of(geometry: Any) -> BaseGeometry:
    """Read a geometry of GeoJSON.

    Raises:
        ValueError: If it is none.
    """
    try:
        return shapely.from_geojson(pydantic_core.to_json(geometry))
    except shapely.GEOSException as error:
        raise ValueError("it has no geometry") from error


def look_of(kind: str, styles: Iterable[str], bands: Iterable[tuple[str, str | None, str]]) -> str:
    """Write what styles tell scenes apart by: kind, styles, and name, common name and type of each band."""
    return _look(kind, tuple(styles), tuple(bands))


@lru_cache(maxsize=4096)
def _look(kind: str, styles: tuple[str, ...], bands: tuple[tuple[str, str | None, str], ...]) -> str:
    return json.dumps([kind, styles, bands], separators=(",", ":"))


def look_from(look: str) -> tuple[Kind, tuple[str, ...], tuple[tuple[str, str | None, str], ...]]:
    """Give the arguments that `look_of` made a look of."""
    kind, styles, bands = json.loads(look)
    return kind, tuple(styles), tuple((name, common, data_type) for name, common, data_type in bands)


def summary_from(data: bytes) -> Summary | None:
    """Read a summary of the store; None: it is of another version, or damaged."""
    try:
        version, *numbers, words, footprint, record = _HEAD.unpack_from(data)
        if version != VERSION:
            return None
        begin = _HEAD.size + words
        middle = begin + footprint
        if len(data) != middle + record:
            return None
        scene_id, _, others = data[_HEAD.size : begin].decode().partition(_BETWEEN)
        parts = (scene_id, *_words_of(others))
        if len(parts) != len(WORDS) or scene_id == _ABSENT:
            return None
        return Summary(
            numbers=tuple(numbers), words=parts, footprint=data[begin:middle], record=data[middle:]
        )
    except (struct.error, UnicodeDecodeError):
        return None


@lru_cache(maxsize=4096)
def _words_of(text: str) -> tuple[str | None, ...]:
    """Read the words after the id, which many scenes have in common."""
    return tuple(None if word == _ABSENT else word for word in text.split(_BETWEEN))


def item_of(record: bytes) -> Any:
    """Give of a record what `scene_from_item` needs of an item, but its geometry.

    Raises:
        ValueError: If it is damaged.
    """
    return pydantic_core.from_json(_inflated(record))


def is_sound(record: bytes) -> bool:
    """Tell whether a record is as it was written, by its checksum; five times as quick as `item_of`."""
    try:
        _inflated(record)
    except ValueError:
        return False
    return True


def _inflated(record: bytes) -> bytes:
    try:
        return zlib.decompressobj(zdict=_COMMON).decompress(record)
    except zlib.error as error:
        raise ValueError("a damaged record") from error


def _record(item: Mapping[str, Any]) -> bytes:
    properties = item["properties"]
    kept = {
        "id": item["id"],
        "collection": item["collection"],
        "properties": {name: properties[name] for name in _PROPERTIES if name in properties},
        "assets": {
            key: asset if key == "visual" else _kept(asset)
            for key, asset in item["assets"].items()
            if key in {DATA, MASK} or _ROLES & set(asset.get("roles", ()))
        },
    }
    return packed(kept)


def _kept(asset: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields that a scene is made of; of classes those that tell of clouds."""
    kept = {name: asset[name] for name in _ASSET_FIELDS if name in asset}
    if CLASSES in asset:
        kept[CLASSES] = [
            {"value": each["value"], "name": each["name"]}
            for each in asset[CLASSES]
            if each["name"] in CLOUDY
        ]
    return kept


def packed(value: Any) -> bytes:
    """Write a record: JSON, made small."""
    deflater = zlib.compressobj(zdict=_COMMON)
    return deflater.compress(pydantic_core.to_json(value)) + deflater.flush()


def _number(value: Any) -> float:
    """Give a number that is one; text and what is not finite are unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _word(value: Any) -> str | None:
    if value is None:
        return None
    word = str(value)
    if len(word) < _SURELY_SHORT and word.isprintable():
        return word
    if _BETWEEN in word or _ABSENT in word or len(word.encode()) > _MOST_WORDS // len(WORDS):
        raise ValueError("a property is too long or holds control characters")
    return word


def _seconds(text: str | None) -> float:
    return math.nan if text is None else instant_of(text).timestamp()
