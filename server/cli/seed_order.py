"""What `seed` is ordered to do, and what can't be meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from server.cli.context import USAGE, fail


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What was ordered, as it was written."""

    layer_id: str
    bbox: tuple[float, float, float, float] | None
    area: Path | None
    zooms: tuple[int | None, int | None]
    grid_id: str
    style: str | None
    time: str | None
    image_format: str
    """`auto`, or an ending of files."""
    institution: str | None
    key_id: str | None
    everything: bool
    output: Path | None
    """A file; None: the cache."""
    incomplete: bool
    jobs: int | None
    scheduler: str | None
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
