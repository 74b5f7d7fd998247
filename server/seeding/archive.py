"""Tiles in one PMTiles file to carry away; it appears when it is whole.

Imported only where one is written: `pmtiles` is an optional library (the extra `pmtiles`).

Source: PMTiles specification, version 3. Tiles lie before the leaf directories and the metadata, so that
nothing needs to be copied when they are all there (chapter 2 leaves the order free).
"""

from __future__ import annotations

import gzip
import json
import os
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from pmtiles.tile import (
    Compression,
    Entry,
    TileType,
    serialize_header,
    tileid_to_zxy,
    zxy_to_tileid,
)
from pmtiles.writer import optimize_directories

from mosaics.ingest.workplace import flush_folder
from mosaics.models import Bounds, EncodedTile
from server.seeding.journal import HEAD_BYTES, Journal, write_at
from server.seeding.plan import Place
from server.seeding.stores import StoreFullError

GRID: Final = "WebMercatorQuad"
"""The only one that PMTiles knows."""
TYPES: Final = {
    "image/png": TileType.PNG,
    "image/jpeg": TileType.JPEG,
    "image/webp": TileType.WEBP,
    "image/avif": TileType.AVIF,
}
_HEADER_BYTES: Final = 127


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What an archive says of itself."""

    metadata: Mapping[str, Any]
    """JSON; attribution and so on."""
    bounds: Bounds
    """Longitude and latitude."""


class ArchiveStore:
    """A PMTiles file that is being made; what an earlier run made of the same is not made again."""

    keeps_ahead = True

    def __init__(self, journal: Journal, media_type: str) -> None:
        self._journal = journal
        self._media_type = media_type
        self._wanted = array("Q")
        """Numbers of the tiles that belong to it, in whatever order."""

    @property
    def media_type(self) -> str:
        """An archive is of one kind of tiles."""
        return self._media_type

    def has(self, place: Place, key: str) -> bool:
        """Tell whether an earlier run kept the tile as it would be made now."""
        return self._journal.has(zxy_to_tileid(*place), key)

    def is_there(self, place: Place) -> None:
        """Take a tile that an earlier run made; those that nobody asks for any more are left out."""
        self._wanted.append(zxy_to_tileid(*place))

    def keep(self, place: Place, key: str, tile: EncodedTile) -> int:
        """Keep a tile; of an empty one only that it is."""
        tile_id = zxy_to_tileid(*place)
        try:
            size = self._journal.keep(tile_id, key, tile.data if tile.contributors else b"")
        except OSError as error:
            raise StoreFullError(self._journal.path.parent, error.strerror or str(error)) from error
        self._wanted.append(tile_id)
        return size

    def finish(self, about: About) -> int:
        """Bring the file to its place, whole.

        Returns:
            Its bytes; 0 where no tile has anything on it, so that there is no file.

        Raises:
            StoreFullError: If there is no room; the same run can be done again.
        """
        records = self._journal.records(np.frombuffer(self._wanted, np.uint64))
        output = self._journal.output
        if not len(records):
            self._remove()
            return 0
        offsets, first = np.unique(records["offset"], return_index=True)
        lengths = records["length"][first]
        try:
            if int(lengths.sum(dtype=np.uint64)) == self._journal.size_bytes:
                self._complete(self._journal.data, records, self._journal.size_bytes, about)
                self._journal.path.replace(output)
            else:
                parts = dict(zip(offsets.tolist(), lengths.tolist(), strict=True))
                self._write_anew(output, records, parts, about)
            flush_folder(output.parent)
        except OSError as error:
            raise StoreFullError(output.parent, error.strerror or str(error)) from error
        self._remove()
        return output.stat().st_size

    def _write_anew(
        self, output: Path, records: NDArray[Any], parts: Mapping[int, int], about: About
    ) -> None:
        """Write the file without tiles that are no longer asked for: somebody may have closed them.

        Args:
            output: Where to.
            records: Of the tiles that stay.
            parts: Lengths of their bytes, by where these are.
            about: What the file says of itself.
        """
        beside = output.with_name(f"{output.name}.part.new")
        try:
            with beside.open("w+b", buffering=0) as file:
                places, end = {}, 0
                for offset, length in parts.items():
                    data = os.pread(self._journal.data.fileno(), length, HEAD_BYTES + offset)
                    write_at(file, HEAD_BYTES + end, data)
                    places[offset], end = end, end + length
                moved = records.copy()
                moved["offset"] = [places[int(offset)] for offset in records["offset"]]
                self._complete(file, moved, end, about)
            beside.replace(output)
        except OSError:
            beside.unlink(missing_ok=True)
            raise

    def _complete(self, file: BinaryIO, records: NDArray[Any], data_bytes: int, about: About) -> None:
        """Write all but the tiles."""
        entries = _entries(records)
        coarsest, finest = (tileid_to_zxy(int(records["id"][place]))[0] for place in (0, -1))
        root, leaves, _ = optimize_directories(entries, HEAD_BYTES - _HEADER_BYTES)
        metadata = gzip.compress(json.dumps(about.metadata, ensure_ascii=False).encode(), mtime=0)
        leaves_at = HEAD_BYTES + data_bytes
        west, south, east, north = (round(side * 10_000_000) for side in about.bounds)
        header = serialize_header(
            {
                "version": 3,
                "root_offset": _HEADER_BYTES,
                "root_length": len(root),
                "metadata_offset": leaves_at + len(leaves),
                "metadata_length": len(metadata),
                "leaf_directory_offset": leaves_at,
                "leaf_directory_length": len(leaves),
                "tile_data_offset": HEAD_BYTES,
                "tile_data_length": data_bytes,
                "addressed_tiles_count": len(records),
                "tile_entries_count": len(entries),
                "tile_contents_count": len(np.unique(records["offset"])),
                "clustered": _is_clustered(records),
                "internal_compression": Compression.GZIP,
                "tile_compression": Compression.NONE,
                "tile_type": TYPES[self._media_type],
                "min_zoom": coarsest,
                "max_zoom": finest,
                "min_lon_e7": west,
                "min_lat_e7": south,
                "max_lon_e7": east,
                "max_lat_e7": north,
                "center_zoom": coarsest,
                "center_lon_e7": (west + east) // 2,
                "center_lat_e7": (south + north) // 2,
            }
        )
        write_at(file, leaves_at, leaves + metadata)
        write_at(file, 0, header + root)
        os.fsync(file.fileno())

    def _remove(self) -> None:
        self._journal.path.unlink(missing_ok=True)
        self._journal.index_path.unlink(missing_ok=True)


def _entries(records: NDArray[Any]) -> list[Entry]:
    """Give directory entries; equal tiles that follow one another are one."""
    entries: list[Entry] = []
    for tile_id, offset, length in records[["id", "offset", "length"]].tolist():
        last = entries[-1] if entries else None
        if last is not None and tile_id == last.tile_id + last.run_length and offset == last.offset:
            last.run_length += 1
        else:
            entries.append(Entry(tile_id, offset, length, 1))
    return entries


def _is_clustered(records: NDArray[Any]) -> bool:
    """Tell whether tiles lie in the order of their numbers, each where it comes first."""
    first = np.unique(records["offset"], return_index=True)[1]
    return bool((np.diff(first) > 0).all())
