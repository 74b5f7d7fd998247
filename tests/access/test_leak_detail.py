"""What is finer than allowed is averaged away, in every answer with pixels or numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from auth.models import Grant
from auth.reach import EVERYWHERE
from auth.snapshot import PolicySnapshot
from mosaics.models import Scene
from tests.access.leak_oracle import rgba, tile_at
from tests.access.leak_requests import GRIDS
from tests.access.leak_world import ALL, DAYS, TO_LONLAT, X0, Y0, World, grid_document


def with_noise(scene: Scene, folder: Path) -> Scene:
    """Give a scene whose pixels differ one by one, and whose blocks of 2 x 2 have the same means."""
    path = folder / f"{scene.id}-noise.tif"
    with rasterio.open(scene.href) as source:
        data = source.read().astype(float)
        profile = {**source.profile, "compress": "deflate", "photometric": "RGB"}
    sign = np.indices(data.shape[1:]).sum(axis=0) % 2 * 2 - 1
    plain = np.clip(data[:, ::2, ::2], 20, 230).repeat(2, axis=1).repeat(2, axis=2)
    for name, wanted in ((path, plain + 9 * sign), (folder / f"{scene.id}-plain.tif", plain)):
        with rasterio.open(name, "w", **profile) as target:
            target.write(wanted.astype(data.dtype))
            target.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
    return replace(scene, href=str(path), generation="noise")


def answers(world: World) -> dict[str, bytes]:
    """Ask every route for the numbers and pixels of one scene, at all levels that may be open."""
    lon, lat = TO_LONLAT.transform(X0 + 150, Y0 - 150)
    targets = [f"/preview/town:flat.png?width={width}" for width in (64, 512)] + [
        "/info/town:flat",
        "/statistics/town:flat",
        f"/point/town:flat/{lon:.9f},{lat:.9f}",
    ]
    targets.append(f"/statistics/town:flat?bbox={lon - 1e-4:.9f},{lat - 1e-4:.9f},{lon:.9f},{lat:.9f}")
    for tms in GRIDS:
        for z in range(8, len(grid_document(tms)["tileMatrices"])):
            x, y = tile_at(tms, z, lon, lat)
            targets.append(f"/tiles/town:flat/{tms}/{z}/{x}/{y}.png")
            targets.append(f"/tiles/town:flat/{tms}/{z}/{x}/{y}@2x.png")
            targets.append(f"/wmts/1.0.0/town:flat/default/default/{tms}/{z}/{y}/{x}/9/9.json")
    return {target: world.get(target).body for target in targets}


def numbers_of(body: bytes) -> np.ndarray:
    """Give the colours of a picture, or the numbers of a document that are values of pixels."""
    if body.startswith(b"\x89PNG"):
        return rgba(body).astype(float).ravel()
    document = json.loads(body)
    found: list[float] = []
    names = ("min", "max", "mean", "median", "std", "percentile_2", "percentile_98")
    for band in document.values() if "b1" in document else ():
        found += [band[name] for name in names]
    found += [value for value in document.get("values") or () if value is not None]
    for feature in document.get("features", ()):
        found += [band["value"] for band in feature["properties"]["bands"]]
    return np.array(found)


@pytest.mark.parametrize("limit", [2.7, None])
def test_no_answer_shows_what_is_finer_than_allowed(world: World, home: Path, limit: float | None) -> None:
    """Pixels that go up and down by 9 one by one, with the same means in blocks, are averaged away.

    Not to the last bit: the reader averages stored pixels over the output pixel, weighted by a kernel.
    """
    flat = world.scenes["flat"]
    noisy = with_noise(flat, home / "data")
    plain = replace(flat, href=str(home / "data" / "flat-plain.tif"), generation="plain")
    grant = Grant(
        id="g",
        grantee="public",
        area=EVERYWHERE,
        created=DAYS[0],
        actions=ALL,
        finest_ground_resolution=limit,
    )
    world.set_rights(PolicySnapshot(grants={"g": grant}))
    found = []
    for scene in (plain, noisy):
        world.set_scenes({"flat": scene})
        found.append({t: body for t, body in answers(world).items() if body[:1] in {b"{", b"\x89"}})
    apart = {
        target: float(np.abs(numbers_of(body) - numbers_of(found[1][target])).max(initial=0.0))
        for target, body in found[0].items()
        if b'"status"' not in body
    }
    assert len(apart) > 40, "they are pictures and numbers, not refusals"
    worst = max(apart, key=lambda target: apart[target])
    if limit is None:
        assert apart[worst] >= 9, "natively it is there to be seen"
    else:
        assert apart[worst] <= 3, worst
