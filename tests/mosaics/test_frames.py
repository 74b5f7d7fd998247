"""Frames of previews: as large as asked, and no finer than rights open."""

from __future__ import annotations

import pytest
import shapely
from scenes import collection, no_finer_than, scene

from mosaics.frames import layer_frame
from mosaics.geodesy import ground_resolution
from mosaics.layers import Layer


def small(limit: float = 0.0, east: float = 1.41) -> Layer:
    outline = shapely.box(1.40, 43.60, east, 43.62)
    return Layer.of("c", (scene(footprint=outline),), collection=collection(), opened=no_finer_than(limit))


def test_a_preview_is_as_wide_as_asked() -> None:
    assert layer_frame(small(), 300, 1024).width == 300
    assert layer_frame(small(east=1.401), 300, 1024).height <= 1024


@pytest.mark.parametrize("limit", [3.3, 16.0, 70.0, 700.0])
@pytest.mark.parametrize("east", [1.401, 1.41, 1.5])
def test_a_preview_has_fewer_pixels_rather_than_finer_ones_than_allowed(limit: float, east: float) -> None:
    frame = layer_frame(small(limit, east), 1024, 1024)
    assert limit <= ground_resolution(frame)
    fills = max(frame.width, frame.height) == 1024
    assert fills or ground_resolution(frame) < 2.1 * limit or min(frame.width, frame.height) == 1


def test_what_is_smaller_than_a_pixel_that_is_allowed_is_one_pixel() -> None:
    frame = layer_frame(small(10_000.0), 1024, 1024)
    assert (frame.width, frame.height) == (1, 1)
