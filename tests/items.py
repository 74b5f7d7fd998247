"""STAC items for tests that need no file."""

from __future__ import annotations

from typing import Any


def item(id_: str = "a", collection_id: str = "c", *, west: float = 1.0, **properties: Any) -> dict[str, Any]:
    """Give the item of a scene of a degree by a degree, as banking writes it."""
    ring = [[west, 43], [west + 1, 43], [west + 1, 44], [west, 44], [west, 43]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": id_,
        "collection": collection_id,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, 43, west + 1, 44],
        "properties": {
            "datetime": "2024-05-17T10:30:00Z",
            "gsd": 0.5,
            "proj:shape": [100, 100],
            "flux:sensor": "rgb",
            "flux:kind": "optical",
            "flux:styles": ["natural"],
            **properties,
        },
        "assets": {
            "data": {
                "href": f"cogs/{collection_id}/{id_}.tif",
                "roles": ["data"],
                "raster:spatial_resolution": 0.5,
                "bands": [
                    {"name": name, "data_type": "uint8", "eo:common_name": name}
                    for name in ("red", "green", "blue")
                ],
                "file:checksum": "1220" + "0" * 64,
            }
        },
        "links": [],
    }
