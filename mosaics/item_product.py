"""What a product says of itself, as properties of its STAC item.

Sources: STAC 1.1 common metadata; extensions eo v2.0, view v1.1, sat v1.2, sar v1.3, processing v1.2,
product v1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mosaics.products.delivery import Delivery, Radar

_SCHEMAS: Final = {
    "eo": None,  # every item of ours has it
    "view": "https://stac-extensions.github.io/view/v1.1.0/schema.json",
    "sat": "https://stac-extensions.github.io/sat/v1.2.0/schema.json",
    "sar": "https://stac-extensions.github.io/sar/v1.3.0/schema.json",
    "processing": "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "product": "https://stac-extensions.github.io/product/v1.0.0/schema.json",
}
CLASSIFICATION: Final = "https://stac-extensions.github.io/classification/v1.1.0/schema.json"


def product_properties(delivery: Delivery, lineage: str) -> dict[str, Any]:
    """Write what a delivery says of itself.

    Args:
        delivery: The delivery.
        lineage: What was done to its images, in a sentence.

    Returns:
        Properties; nothing that the product does not tell.
    """
    view, clouds = delivery.view, delivery.cloud_cover
    found: dict[str, Any] = {
        "platform": delivery.platform.lower().replace(" ", "-") or None,
        "title": delivery.name,
        "eo:cloud_cover": None if clouds is None else min(100.0, max(0.0, clouds)),
        "eo:snow_cover": delivery.snow_cover,
        "view:incidence_angle": _angle(view.incidence, 90),
        "view:azimuth": _turn(view.azimuth),
        "view:off_nadir": _angle(view.off_nadir, 90),
        "view:sun_azimuth": _turn(view.sun_azimuth),
        "view:sun_elevation": view.sun_elevation,
        "processing:level": delivery.level,
        "processing:lineage": lineage or None,
        "processing:version": delivery.processing_version,
        "flux:radiometry": {
            group.name: group.quantity or group.radiometry
            for group in delivery.groups
            if group.radiometry != "unknown"
        }
        or None,
    }
    if delivery.radar is not None:
        found |= _radar(delivery.radar)
    return {name: value for name, value in found.items() if value is not None}


def schemas_of(properties: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the schemas of the extensions whose fields are among properties."""
    prefixes = {name.partition(":")[0] for name in properties if ":" in name}
    return tuple(schema for prefix, schema in _SCHEMAS.items() if schema is not None and prefix in prefixes)


def _radar(radar: Radar) -> dict[str, Any]:
    return {
        "sar:instrument_mode": radar.instrument_mode,
        "sar:frequency_band": radar.frequency_band,
        "sar:center_frequency": radar.center_frequency_ghz,
        "sar:polarizations": list(radar.polarizations),
        "sar:pixel_spacing_range": radar.pixel_spacing_range,
        "sar:pixel_spacing_azimuth": radar.pixel_spacing_azimuth,
        "sar:looks_range": radar.looks_range,
        "sar:looks_azimuth": radar.looks_azimuth,
        "sar:observation_direction": radar.observation_direction,
        "product:type": radar.product_type,
        "sat:orbit_state": radar.orbit_state,
        "sat:relative_orbit": radar.relative_orbit,
        "sat:absolute_orbit": radar.absolute_orbit,
    }


def _angle(value: float | None, most: float) -> float | None:
    """Give the size of an angle that some providers write with a sign."""
    return None if value is None or abs(value) > most else abs(value)


def _turn(value: float | None) -> float | None:
    """Give an azimuth from 0 to 360."""
    return None if value is None else value % 360
