"""What is said where content is handed in that is banked already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mosaics.ingest.options import BankOptions


def words_of_known(
    item: Mapping[str, Any] | None, known: tuple[str, str], options: BankOptions
) -> tuple[str, ...]:
    """Say as what content is known, and how to bank it anew where that is not what was named.

    Args:
        item: Its item; None: it was just taken out.
        known: Its collection and scene.
        options: What was named.
    """
    collection_id, scene_id = known
    words = (f"the same content is banked already, as {scene_id} in {collection_id}",)
    sensor_id = (item or {}).get("properties", {}).get("flux:sensor")
    other = []
    if options.sensor is not None and sensor_id not in (None, options.sensor.id):
        other.append(f"its sensor is {sensor_id}, not {options.sensor.id}")
    if options.collection_id not in (None, collection_id):
        other.append(f"its collection is {collection_id}, not {options.collection_id}")
    if not other:
        return words
    anew = f"to bank it anew take it out first: dinamis-flux scene remove {collection_id}:{scene_id}"
    return (*words, f"{' and '.join(other)}; {anew}")
