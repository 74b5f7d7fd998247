"""Every odd file gets right pixels or a clear refusal, and docs/formats.md says which."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT

from mosaics.catalog.index import CatalogIndex
from mosaics.catalog.sql import SqlCatalog
from mosaics.gdal import unplaced_files_expected
from mosaics.grids import find_grid, load_grids
from mosaics.models import Bounds, Frame, Scene
from mosaics.read import RioTilerReader
from mosaics.sensors import load_sensors
from server.database import connect
from server.scenes import SceneOfItem
from tests.conftest import IMAGERY, ROOT, flux

pytestmark = pytest.mark.imagery

FILES = sorted(
    path
    for folder in ("odd", "derived", "sar", "mosaic")
    for path in (IMAGERY / folder).glob("*")
    if path.suffix in {".tif", ".jp2"}
)
TABLE = re.compile(r"^\| `(?P<file>[^`]+)` \| (?P<verdict>served|refused) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def banked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, object]]]:
    home = tmp_path_factory.mktemp("odd")
    done = flux(home, "bank", *map(str, FILES), "--json", check=False)
    assert done.returncode == 1, "some of these files must be refused"
    return home, {Path(str(row["path"])).name: row for row in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def scenes(banked: tuple[Path, dict[str, dict[str, object]]]) -> dict[tuple[str, str], Scene]:
    home, _ = banked
    catalog = SqlCatalog(connect(None, home))
    make = SceneOfItem(root=home / "data", sensors=load_sensors())
    return dict(CatalogIndex().with_changes(catalog.changes(0), make).scenes)


def is_raw(path: Path) -> bool:
    """Tell whether a file is put on the ground, or detected, before it is converted."""
    with unplaced_files_expected(), rasterio.open(path) as source:
        return source.crs is None or bool(source.gcps[0]) or source.dtypes[0].startswith("complex")


def warped(path: Path, frame: Frame, resampling: Resampling) -> tuple[np.ndarray, np.ndarray]:
    """Give GDAL's own values and where they are valid."""
    sidecar = path.with_name(path.name + ".msk")
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE"), rasterio.open(path) as source:
        alpha = "alpha" in [c.name for c in source.colorinterp]
        with WarpedVRT(
            source,
            crs=CRS.from_user_input(frame.crs),
            transform=from_bounds(*frame.bounds, frame.width, frame.height),
            width=frame.width,
            height=frame.height,
            resampling=resampling,
            add_alpha=source.nodata is None and not alpha,
        ) as out:
            names = [c.name for c in out.colorinterp]
            bands = [i for i, name in enumerate(names, 1) if name != "alpha"]
            values = out.read(bands, masked=True)
            valid = ~np.ma.getmaskarray(values).all(axis=0)
            if "alpha" in names:
                valid = out.read(names.index("alpha") + 1) > 0
    assert not sidecar.exists(), "no file with an external mask is compared here"
    numbers = values.data.astype("float64")
    return numbers, valid & np.isfinite(numbers).all(axis=0)


@pytest.mark.parametrize("path", FILES, ids=[p.name for p in FILES])
def test_right_pixels_or_a_clear_refusal(
    path: Path, banked: tuple[Path, dict[str, dict[str, object]]], scenes: dict[tuple[str, str], Scene]
) -> None:
    row = banked[1][path.name]
    if row["status"] == "refused":
        reason = str(row["reason"])
        assert path.name in reason
        assert len(reason) > len(path.name) + 20, "a reason must say what is wrong"
        assert "Traceback" not in reason
        assert str(path.parent) not in reason
        return
    scene = scenes[str(row["collection"]), str(row["scene"])]
    if is_raw(path):
        with rasterio.open(scene.href) as made:
            assert made.dtypes[0] in {"float32", "uint16", "uint8"}
            assert (made.read_masks(1) > 0).any(), "where it comes to lie is shown where it is banked"
        return
    grid = find_grid(load_grids(), "WebMercatorQuad")
    spot = scene.footprint.representative_point()
    z = grid.zoom_for(scene.ground_resolution, spot.y)
    here = grid.tiles(Bounds(spot.x, spot.y, spot.x, spot.y), z)
    assert here is not None
    frame = grid.frame(z, here.min_col, here.min_row)
    classes = scene.kind == "classes"
    indexes = tuple(range(1, min(len(scene.bands), 3) + 1))
    found = RioTilerReader().read(scene, indexes, frame, "nearest" if classes else "bilinear")
    values, valid = warped(path, frame, Resampling.nearest if classes else Resampling.bilinear)
    values = values[: len(indexes)]
    assert (found.valid == valid).mean() > 0.97
    both = found.valid & valid
    assert both.sum() > 0
    spread = max(float(np.std(values[:, both])), 1e-9)
    error = np.abs(found.data.astype("float64") - values)[:, both]
    least = 1e-4 * np.iinfo(found.data.dtype).max if found.data.dtype.kind in "ui" else 1e-9
    assert float(error.mean()) <= 0.03 * spread + least


def test_the_documents_table_is_true(banked: tuple[Path, dict[str, dict[str, object]]]) -> None:
    text = (ROOT / "docs" / "formats.md").read_text()
    told = {match["file"]: match["verdict"] for match in TABLE.finditer(text)}
    _, rows = banked
    actual = {name: "refused" if row["status"] == "refused" else "served" for name, row in rows.items()}
    odd = {path.name for path in FILES if path.parent.name == "odd"}
    assert odd <= told.keys()
    assert {name: verdict for name, verdict in told.items() if name in actual} == {
        name: verdict for name, verdict in actual.items() if name in told
    }
