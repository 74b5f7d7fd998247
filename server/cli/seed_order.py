"""What `seed` is ordered to do, and what can't be meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from server.cli.context import USAGE, fail


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What was ordered, as it was written."""

    layer_id: str
    """A collection, a named mosaic, or `collection:scene`."""
    bbox: tuple[float, float, float, float] | None
    """West, south, east, north, degrees."""
    area: Path | None
    """A GeoJSON file."""
    zooms: tuple[int | None, int | None]
    """The first and the last; None: the layer's own."""
    grid_id: str
    """A tile matrix set, or another name of it."""
    style: str | None
    """As in a request."""
    time: str | None
    """As in a request."""
    image_format: str
    """`auto`, or an ending of files."""
    institution: str | None
    """As whom; `public`: as everybody."""
    key_id: str | None
    """As whom."""
    everything: bool
    """As whoever may see all; so it is for the cache where nobody is named."""
    output: Path | None
    """A file; None: the cache."""
    incomplete: bool
    """Write the file although tiles failed."""
    jobs: int | None
    """Batches at the same time; None: as many as there are processors, or threads of a cluster."""
    scheduler: str | None
    """Of a dask cluster; None: this machine."""
    bounded: bool
    """Refuse more tiles than MOST_TILES, and what finds no room."""


def check_order(order: Order) -> None:
    """End with a message where an order can't be meant."""
    if order.bbox is not None and order.area is not None:
        fail("--bbox and --area: one of both", USAGE)
    viewers = (order.institution is not None, order.key_id is not None, order.everything)
    if sum(viewers) > 1:
        fail("--for, --as-key and --everything: one of them", USAGE)
    if order.output is None:
        return
    if not any(viewers):
        fail(
            "--pmtiles needs --for INSTITUTION, --as-key ID or --everything: nothing checks rights once the "
            "file is copied",
            USAGE,
        )
    try:
        from server.seeding.archive import GRID  # noqa: PLC0415 - the library is optional
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pmtiles":
            raise
        fail(
            "--pmtiles needs the library pmtiles, which is not installed: "
            "pip install 'dinamis-flux[pmtiles]'",
            USAGE,
        )
    if order.grid_id != GRID:
        fail(f"--grid {order.grid_id}: PMTiles knows only {GRID}", USAGE)
    if order.output.exists():
        fail(f"{order.output} is there already: remove it, or name another")
    if not order.output.absolute().parent.is_dir():
        fail(f"there is no folder {order.output.parent}")
