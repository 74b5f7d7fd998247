"""Reads files of STAC items, one item after the other: lines of JSON, a FeatureCollection, GeoParquet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, Literal

import pydantic_core
import shapely

from mosaics.errors import IngestError

_LONGEST_LINE: Final = 16_000_000
_LONGEST_DOCUMENT: Final = 500_000_000
"""Bytes of a FeatureCollection, which is read whole."""
_READ_AHEAD: Final = 1 << 17
"""Bytes of lines that are read together."""
_PARQUET: Final = b"PAR1"
_AT_ONCE: Final = 1000
"""Rows of GeoParquet that are read together."""
_KINDS: Final = ("Feature", "Collection")
"""What an item or a collection calls itself; no set, as what others wrote may be unhashable."""
_TOP: Final = frozenset(
    {"type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets", "collection"}
)
"""Columns of GeoParquet that are no properties."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What stands at one place of a file."""

    place: str
    """Such as `line 12`."""
    document: Mapping[str, Any] | None
    """An item or a collection as it stands there; None: there is none."""
    done: float
    """How much of the file was read with it, 0 to 1."""
    reason: str = ""
    """Why there is none."""


def read_items(path: Path, passed: int = 0) -> Iterator[Entry]:
    """Give the items and collections of a file, in its order.

    Args:
        path: Lines of JSON (each an item, or a collection), a FeatureCollection or one item, or
            stac-geoparquet, whatever its name.
        passed: How many at its beginning are passed over.

    Raises:
        IngestError: If it can't be read, or is none of these.
    """
    try:
        form = _form(path)
        if form == "rows":
            yield from _rows(path, passed)
        elif form == "lines":
            yield from _lines(path, passed)
        else:
            yield from islice(_documents(path), passed, None)
    except OSError as error:
        raise _unreadable(path, error) from error


def comes_in_parts(path: Path) -> bool:
    """Tell whether a file is lines or rows, so that it costs nothing to go on where somebody else was.

    Raises:
        IngestError: If it can't be read, or there is nothing in it.
    """
    try:
        return _form(path) != "document"
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> IngestError:
    return IngestError(f"{path}: can't be read: {error.strerror}")


def _form(path: Path) -> Literal["rows", "lines", "document"]:
    with path.open("rb") as file:
        if file.read(len(_PARQUET)) == _PARQUET:
            return "rows"
        file.seek(0)
        first = _line(file, path)
    if first is None:
        raise IngestError(f"{path.name}: there is nothing in it")
    found = _parsed(first)
    return "lines" if isinstance(found, Mapping) and found.get("type") in _KINDS else "document"


def _lines(path: Path, passed: int) -> Iterator[Entry]:
    number = done = 0
    with path.open("rb", buffering=_READ_AHEAD) as file:
        size = max(1, file.seek(0, 2))
        file.seek(0)
        while line := file.readline(_LONGEST_LINE):
            number += 1
            done += len(line)
            if len(line) == _LONGEST_LINE:
                raise IngestError(f"{path.name}, line {number}: it is too long for an item")
            text = line.strip(b"\x1e \t\r\n")
            if not text:
                continue
            if passed:
                passed -= 1
            else:
                yield _entry(f"line {number}", _parsed(text), done / size)


def _line(file: IO[bytes], path: Path) -> bytes | None:
    """Give the first line that is not empty."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE and path.stat().st_size > _LONGEST_DOCUMENT:
            break
        if text := line.strip(b"\x1e \t\r\n"):
            return text
    return None


def _documents(path: Path) -> Iterator[Entry]:
    if path.stat().st_size > _LONGEST_DOCUMENT:
        raise IngestError(
            f"{path.name}: it is too large for one document; write one item per line, such as with: "
            f"jq -c '.features[]' {path.name}"
        )
    found = _parsed(path.read_bytes())
    kind = found.get("type") if isinstance(found, Mapping) else None
    if kind == "FeatureCollection" and isinstance(found["features"], list):
        features = found["features"]
        for number, feature in enumerate(features, start=1):
            yield _entry(f"feature {number}", feature, number / len(features))
    elif kind in _KINDS:
        yield _entry("the item", found, 1.0)
    else:
        raise IngestError(
            f"{path.name}: neither STAC items, one per line, nor a FeatureCollection, nor stac-geoparquet"
        )


def _entry(place: str, found: Any, done: float) -> Entry:
    if isinstance(found, Mapping) and found.get("type") in _KINDS:
        return Entry(place=place, document=found, done=done)
    reason = found if isinstance(found, str) else "neither an item nor a collection"
    return Entry(place=place, document=None, done=done, reason=reason)


def _parsed(text: bytes) -> Any:
    """Read JSON; what is none gives why."""
    try:
        return pydantic_core.from_json(text, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        return f"no JSON: {error}"


def _rows(path: Path, passed: int) -> Iterator[Entry]:
    """Read stac-geoparquet, some rows at a time.

    Source: stac-geoparquet specification 1.1: columns of an item's own fields, WKB, and one per property.
    """
    try:
        import pyarrow.parquet  # noqa: PLC0415 - of the extra `parquet`; 50 MB that few need
    except ImportError:
        raise IngestError(
            f"{path.name}: reading GeoParquet needs the extra: pip install 'dinamis-flux[parquet]'"
        ) from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
        total, number = max(1, file.metadata.num_rows), 0
        for batch in file.iter_batches(_AT_ONCE):
            begin = min(max(0, passed - number), batch.num_rows)
            number += begin
            for row in batch.slice(begin).to_pylist():
                number += 1
                yield _entry(f"row {number}", item_of_row(row), number / total)
    except pyarrow.ArrowException as error:
        raise IngestError(f"{path.name}: no GeoParquet that can be read: {error}") from error


def item_of_row(row: Mapping[str, Any]) -> dict[str, Any] | str:
    """Make an item of a row of stac-geoparquet, or give why that can't be done."""
    geometry, box = row.get("geometry"), row.get("bbox")
    try:
        outline = None if geometry is None else json.loads(shapely.to_geojson(shapely.from_wkb(geometry)))
    except (shapely.GEOSException, TypeError, ValueError):
        return "its geometry is no WKB"
    properties = {
        name: _plain(value) for name, value in row.items() if name not in _TOP and value is not None
    }
    return {
        **{name: _plain(row[name]) for name in _TOP & row.keys() if row[name] is not None},
        "type": "Feature",
        "geometry": outline,
        "bbox": list(box.values()) if isinstance(box, Mapping) else box,
        "properties": {"datetime": None, **properties},
    }


def _plain(value: Any) -> Any:
    """Give what JSON can say; a field that is empty in this row was put there by the other rows."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [None if each is None else _plain(each) for each in value]
    if isinstance(value, datetime):
        zoned = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return zoned.isoformat().replace("+00:00", "Z")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
