"""What banking a delivery would do, for people and programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mosaics.ingest.describe import sensor_of
from mosaics.ingest.inspect import Inspection, inspect, with_nodata
from mosaics.ingest.options import BankOptions
from mosaics.ingest.source import Progress
from mosaics.products.delivery import BandGroup, Delivery
from mosaics.registry import Registry
from mosaics.sensors import Sensor


def planned(delivery: Delivery, options: BankOptions) -> dict[str, Any]:
    """Say what banking a delivery would do, for people and programs; reads no pixel."""
    groups = [
        {
            "name": group.name,
            "bands": [band.common_name or band.id for band in group.bands],
            "size": [group.width, group.height],
            "files": len(group.files),
            "geometry": group.geometry,
            "steps": _steps(group, options),
        }
        for group in sorted(delivery.groups, key=lambda group: -len(group.bands))
    ]
    return {
        "product": delivery.name,
        "platform": delivery.platform,
        "sensor": options.sensor.id if options.sensor else delivery.sensor_id,
        "acquired": delivery.acquired.isoformat() if delivery.acquired else None,
        "copyright": delivery.copyright,
        "groups": groups,
    }


def _steps(group: BandGroup, options: BankOptions) -> list[str]:
    steps = []
    if len(group.files) > 1:
        steps.append(f"put {len(group.files)} files together")
    if group.calibrations:
        steps.append(f"calibrate to {group.quantity}")
    elif group.is_complex:
        steps.append("detect to intensity")
    if group.geometry == "sensor":
        terrain = options.ground.terrain
        steps.append(
            f"orthorectify with {terrain.name}" if terrain else "put on the ground without an elevation model"
        )
    return [*steps, "write a COG"]


def inspected(path: Path, nodata: float | None, _report: Progress) -> Inspection:
    """Read the header of a plain image, with the nodata value that is given for it; for the sandbox."""
    inspection = inspect(path)
    return inspection if nodata is None else with_nodata(inspection, nodata)


def planned_image(inspection: Inspection, options: BankOptions, sensors: Registry[Sensor]) -> dict[str, Any]:
    """Say what banking a plain image would do."""
    sensor = options.sensor or sensor_of(inspection, sensors)
    bands = tuple(
        name or colour
        for name, colour in zip(inspection.descriptions, inspection.colour_interpretation, strict=True)
    )
    steps = ["keep as it is, if it is a good COG below a data root; else write a COG"]
    if inspection.nodata_is_given:
        steps = [f"write a COG whose nodata value is {inspection.nodata:g}"]
    group = {
        "name": "image",
        "bands": list(bands),
        "size": [inspection.width, inspection.height],
        "files": 1,
        "geometry": "ground",
        "steps": steps,
    }
    return {"product": inspection.path.name, "platform": sensor.id, "sensor": sensor.id, "groups": [group]}
