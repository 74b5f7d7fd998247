"""Every data file is valid, sourced, made by its rule, and fits the others."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from mosaics.change_look import load_changes
from mosaics.grids import load_grids
from mosaics.indices import load_indices
from mosaics.models import Band
from mosaics.registry import BUILT_IN
from mosaics.sensors import GENERIC, load_sensors
from mosaics.styles import load_styles

ROOT = Path(__file__).parents[2]
FOLDERS = ("changes", "grids", "indices", "sensors", "styles")
FILES = sorted(path for folder in FOLDERS for path in (BUILT_IN / folder).glob("*.json"))
SENSORS, STYLES, GRIDS, INDICES = load_sensors(), load_styles(), load_grids(), load_indices()
LAYOUTS = [
    pytest.param(sensor, layout, id=f"{sensor.id}-{place}")
    for sensor in SENSORS.values()
    for place, layout in enumerate(sensor.layouts)
]


def test_the_files_of_grids_are_those_of_their_rule():
    made = runpy.run_path(str(ROOT / "scripts" / "make_grids.py"))["files"]()
    found = {path.name: path.read_text(encoding="utf-8") for path in (BUILT_IN / "grids").glob("*.json")}
    assert found == made


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_says_its_format_and_sources(folder):
    readme = (BUILT_IN / folder / "README.md").read_text(encoding="utf-8")
    assert "source" in readme
    members = {
        member
        for path in (BUILT_IN / folder).glob("*.json")
        for member in json.loads(path.read_text("utf-8"))
    }
    standard = {
        "crs",
        "orderedAxes",
        "tileMatrices",
        "uri",
        "wellKnownScaleSet",
        "description",
        "title",
        "id",
    }
    unsaid = {member for member in members - standard if f"`{member}`" not in readme}
    assert not unsaid


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_file_is_sourced_and_titled_in_both_languages(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    sources = document["source"] if isinstance(document["source"], list) else [document["source"]]
    assert all(len(source) > 10 for source in sources)
    title = document["titles" if path.parent.name == "grids" else "title"]
    assert title["fr"]
    assert title["en"]


def test_every_file_is_loaded():
    for folder, registry in (
        ("changes", load_changes()),
        ("grids", GRIDS),
        ("indices", INDICES),
        ("sensors", SENSORS),
        ("styles", STYLES),
    ):
        assert set(registry.list()) == {path.stem for path in (BUILT_IN / folder).glob("*.json")}


@pytest.mark.parametrize(("sensor", "layout"), LAYOUTS)
def test_every_layout_has_styles_that_bind_to_it(sensor, layout):
    bands = layout.bands or tuple(
        Band(name=colour, common_name=colour)
        for colour in sorted(colours_of(sensor) if layout.delivery else layout.colours) or ("a", "b", "c")
    )
    units = {unit for style_id in layout.styles for unit in STYLES.get(style_id).units}
    for style_id in layout.styles:
        assert style_id in STYLES, f"{sensor.id} names a style that is not there"
        style = STYLES.get(style_id)
        told = [bands, *([band._replace(unit=band.unit or unit) for band in bands] for unit in units)]
        assert any(style.bind(each, layout.kind) is not None for each in told), (
            f"{style_id} does not fit {sensor.id}"
        )


def colours_of(sensor):
    """Give the common names of all bands of a sensor: of deliveries, each image holds some of them."""
    return {band.common_name for layout in sensor.layouts for band in layout.bands if band.common_name}


def test_shade_and_colour_relief_are_lit_alike():
    assert STYLES.get("relief").parameters == STYLES.get("hillshade").parameters


@pytest.mark.parametrize("style", STYLES.values(), ids=lambda style: style.id)
def test_every_style_is_of_use_to_a_sensor(style):
    assert any(
        style.id in (*sensor.bundle_styles, *(name for layout in sensor.layouts for name in layout.styles))
        for sensor in SENSORS.values()
    )


@pytest.mark.parametrize("index", INDICES.values(), ids=lambda index: index.id)
def test_every_index_binds_to_a_layout_of_a_sensor(index):
    assert any(
        index.bind(layout.bands, layout.kind) is not None
        for sensor in SENSORS.values()
        for layout in sensor.layouts
    )


def test_names_of_sensors_are_unique_and_generic_ones_claim_no_file():
    names = [name.casefold() for sensor in SENSORS.values() for name in (sensor.id, *sensor.aliases)]
    assert len(names) == len(set(names))
    for id_ in GENERIC:
        assert not SENSORS.get(id_).filename_patterns
        assert not SENSORS.get(id_).tag_patterns


def test_names_of_grids_are_unique():
    names = [name for grid in GRIDS.values() for name in (grid.id, *grid.aliases)]
    assert len(names) == len(set(names))


def test_every_sensor_that_recognises_names_credits_its_owner():
    uncredited = {s.id for s in SENSORS.values() if s.filename_patterns and not s.attribution}
    assert uncredited == {
        *("aerial", "dsm", "night-lights", "sar-db"),
        *("coherence", "dsm-difference", "index", "insar-velocity", "snow-height"),
    }, "their owners differ from file to file"
