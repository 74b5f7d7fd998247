"""Describes all sensors: from their files, and from docs/sensors-tested.json what they were tested on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mosaics.models import Band
from mosaics.registry import Registry
from mosaics.sensors import Layout, Sensor, load_sensors
from mosaics.styles import Style, load_styles

ROOT = Path(__file__).resolve().parents[1]
TESTED = ROOT / "docs" / "sensors-tested.json"
KINDS = {
    "pixels": "Real pixels",
    "metadata": "Metadata of real products",
    "built": "Built for the tests",
    "unverified": "Not verified",
}
"""What a row of the table of tests may hold, at least one of these, and how that is called."""

HEAD = """# Sensors

{generated}

A sensor here is a family of products that share layouts, styles and copyright line. The bands of a whole
delivery are those that it names itself ([guides/banking.md](guides/banking.md)); the layouts below are those
of plain files, and what a delivery's bands are compared with; those of deliveries alone are said to be so. A
style whose bands a scene lacks is not offered.

*Tested on* says what stands behind each: pixels that a satellite took, metadata of real products whose pixels
could not be had, or files built for the tests as the product's documents describe them. What is built proves
that what is documented is read, not that deliveries are so: look at the first real one with `--dry-run`.
"""

CO3D = """## Products without a public format

CO3D's format is not public, so nothing of its metadata is guessed. Its images are banked by a description in
a file beside them, which names sensor, bands, date and copyright:
[guides/sidecar.md](guides/sidecar.md) has one to begin with. Its surface models are plain files of heights
(`--sensor dsm`). Products of your own are banked alike.
"""


def sensors_page(generated: str) -> str:
    """Describe all sensors.

    Args:
        generated: The line that says where the page comes from.

    Raises:
        KeyError: If a sensor has no row in the table of tests, or a row no sensor.
    """
    sensors, styles = load_sensors(), load_styles()
    rows = tried(sensors)
    parts = [
        HEAD.format(generated=generated),
        "| sensor | id | default style | tested on |",
        "|---|---|---|---|",
    ]
    parts += [_line(sensor, rows[sensor.id]) for sensor in _by_title(sensors)]
    parts += ["", CO3D]
    for sensor in _by_title(sensors):
        parts += _section(sensor, rows[sensor.id])
    parts += ["## Styles", "", "| id | |", "|---|---|"]
    parts += [
        f"| `{style.id}` | {_cell(_titled(style))} |" for style in sorted(styles.values(), key=lambda s: s.id)
    ]
    return "\n".join(parts) + "\n"


def tried(sensors: Registry[Sensor], path: Path = TESTED) -> dict[str, dict[str, str]]:
    """Read what each sensor was tested on.

    Raises:
        KeyError: If a sensor has no row, a row no sensor, or a row says nothing that is known here.
    """
    rows: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    missing, unknown = set(sensors.list()) - rows.keys(), rows.keys() - set(sensors.list())
    if missing:
        raise KeyError(f"docs/{path.name} says nothing of {', '.join(sorted(missing))}")
    if unknown:
        raise KeyError(f"docs/{path.name} has rows of no sensor: {', '.join(sorted(unknown))}")
    for name, row in rows.items():
        if not row or row.keys() - KINDS.keys() or not all(text.strip() for text in row.values()):
            raise KeyError(f"docs/{path.name}: {name} must say some of {', '.join(KINDS)}, and no other")
    return rows


def _by_title(sensors: Registry[Sensor]) -> list[Sensor]:
    return sorted(sensors.values(), key=lambda sensor: sensor.title.en.casefold())


def _line(sensor: Sensor, row: dict[str, str]) -> str:
    kinds = [KINDS[kind].lower() for kind in KINDS if kind in row and kind != "unverified"]
    default = sensor.layouts[0].styles[0]
    return f"| {sensor.title.en} | `{sensor.id}` | `{default}` | {', '.join(kinds) or 'nothing yet'} |"


def _section(sensor: Sensor, row: dict[str, str]) -> list[str]:
    title = (
        sensor.title.en if sensor.title.en == sensor.title.fr else f"{sensor.title.en} · {sensor.title.fr}"
    )
    said = [f"`--sensor {sensor.id}`"]
    if sensor.aliases:
        said.append("also " + ", ".join(f"`{alias}`" for alias in sensor.aliases))
    lines = [f"## {title}", "", "; ".join(said) + ".", ""]
    lines += ["| bands in file order | values | styles, the default first |", "|---|---|---|"]
    lines += dict.fromkeys(_layout(layout) for layout in sensor.layouts)
    lines.append("")
    if sensor.bundle_styles:
        named = ", ".join(f"`{style}`" for style in sensor.bundle_styles)
        lines += [f"Of several images of one scene: {named}.", ""]
    credit = sensor.attribution or "none of its own: the product's, if it states one"
    lines += [f"Copyright line: {credit}.", "", "Tested on:", ""]
    lines += [f"- {KINDS[kind]}: {row[kind]}." for kind in KINDS if kind in row]
    return [*lines, "", "Sources:", "", *(f"- {source}" for source in sensor.source), ""]


def _layout(layout: Layout) -> str:
    if layout.bands:
        bands = ", ".join(f"{place} {_band(band)}" for place, band in enumerate(layout.bands, start=1))
    else:
        count = layout.band_count
        bands = "any number" if count is None else "1 band" if count == 1 else f"{count} bands"
        colours = f", {', '.join(sorted(layout.colours))} among them" if layout.colours else ""
        bands += ", of a whole delivery" if layout.delivery else f", as the file names their colours{colours}"
    types = ", ".join(layout.data_types) if layout.data_types else "any type"
    styles = ", ".join(f"`{style}`" for style in layout.styles)
    return f"| {_cell(bands)} | {layout.kind}; {types} | {styles} |"


def _band(band: Band) -> str:
    """Say a band's name, what STAC calls it, and where it lies."""
    named = band.name
    if band.common_name and band.common_name.casefold() != band.name.casefold():
        named += f" ({band.common_name})"
    if band.wavelength_um is not None and band.fwhm_um is not None:
        low, high = (1000 * (band.wavelength_um + half * band.fwhm_um / 2) for half in (-1, 1))
        named += f" {low:.0f}-{high:.0f} nm"
    elif band.wavelength_um is not None:
        named += f" {1000 * band.wavelength_um:.0f} nm"
    return named if band.unit is None else f"{named}, in {band.unit}"


def _titled(style: Style) -> str:
    return style.title.en if style.title.en == style.title.fr else f"{style.title.en} · {style.title.fr}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
