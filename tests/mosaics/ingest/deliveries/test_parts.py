"""Parts of an image put together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from mosaics.ingest.deliveries.parts import PartedImage
from mosaics.products.delivery import (
    BandGroup,
    DeliveryIncompleteError,
    DeliveryUnreadableError,
    ImageFile,
)
from tests.mosaics.ingest.deliveries.sensor_images import group, image, write

WHOLE = np.random.default_rng(3).integers(1, 4000, (4, 50, 70)).astype("uint16")


def parted(folder: Path, order: tuple[str, ...] = ("R", "G", "B", "N")) -> BandGroup:
    """Write the image as 2 x 3 parts."""
    files = []
    for row, (top, bottom) in enumerate(((0, 30), (30, 50)), start=1):
        for column, (left, right) in enumerate(((0, 20), (20, 45), (45, 70)), start=1):
            path = write(folder / f"IMG_R{row}C{column}.TIF", WHOLE[:, top:bottom, left:right])
            files.append(image(path, *order, row=row, column=column))
    return group(*files, height=50, width=70)


@pytest.mark.parametrize("window", [Window(0, 0, 70, 50), Window(15, 25, 40, 10), Window(69, 49, 1, 1)])
def test_parts_make_the_whole(tmp_path: Path, window: Window) -> None:
    with PartedImage(parted(tmp_path)) as whole:
        found, there = whole.read(window)
    assert there.all()
    rows, columns = window.toslices()
    assert np.array_equal(found, WHOLE[:, rows, columns])


def test_bands_of_several_sets_of_files_come_in_the_order_of_the_group(tmp_path: Path) -> None:
    rgb = write(tmp_path / "IMG_RGB_R1C1.TIF", WHOLE[:3])
    ned = write(tmp_path / "IMG_NED_R1C1.TIF", WHOLE[3:])
    given = group(image(ned, "N"), image(rgb, "R", "G", "B"), height=50, width=70)
    with PartedImage(given) as whole:
        found, _ = whole.read(Window(0, 0, 70, 50))
    assert np.array_equal(found, WHOLE[[3, 0, 1, 2]])


def test_a_missing_part_is_refused(tmp_path: Path) -> None:
    whole = parted(tmp_path)
    fewer = group(*whole.files[:-1], height=50, width=70)
    with pytest.raises(DeliveryIncompleteError, match="copy the whole delivery"), PartedImage(fewer):
        pass


def test_a_single_image_on_the_ground_may_have_been_cut_out(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.tif", WHOLE)
    given = group(image(path, "R", "G", "B", "N"), height=500, width=700, geometry="ground")
    with PartedImage(given) as whole:
        assert (whole.height, whole.width) == (50, 70)
        assert whole.notes == ("the image has 70 x 50 pixels, its metadata says 700 x 500",)


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(DeliveryIncompleteError, match="have 50 rows, and it says 51"),
        PartedImage(group(*parted(tmp_path).files, height=51, width=70)),
    ):
        pass


def test_another_number_of_bands_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "IMG_R1C1.TIF", WHOLE)
    with (
        pytest.raises(DeliveryUnreadableError, match=r"IMG_R1C1.TIF: it has 4 bands.*says 3 \(R, G, B\)"),
        PartedImage(group(image(path, "R", "G", "B"), height=50, width=70)),
    ):
        pass


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "IMG_R1C1.TIF"
    path.write_bytes(b"II*\0 and then nothing")
    with (
        pytest.raises(DeliveryUnreadableError, match=r"IMG_R1C1\.TIF"),
        PartedImage(group(image(path, "R"), height=50, width=70)),
    ):
        pass


def test_an_alpha_band_tells_where_there_is_something(tmp_path: Path) -> None:
    alpha = np.full((1, 50, 70), 255, "uint16")
    alpha[:, :, :10] = 0
    path = write(tmp_path / "a.tif", np.concatenate((WHOLE[:3], alpha)), photometric="RGB", alpha="YES")
    with PartedImage(group(image(path, "R", "G", "B"), height=50, width=70)) as whole:
        found, there = whole.read(Window(5, 0, 20, 50))
    assert np.array_equal(found, WHOLE[:3, :, 5:25])
    assert there.sum() == 50 * 15
    assert not there[:, :5].any()


def test_two_bands_make_a_complex_one(tmp_path: Path) -> None:
    parts = np.stack((np.full((50, 70), 3), np.full((50, 70), -4))).astype("int16")
    path = write(tmp_path / "slc.tif", parts)
    both = ImageFile(path=path, row=1, column=1, bands=("HH",), samples="real_imaginary")
    with PartedImage(group(both, height=50, width=70, is_complex=True)) as whole:
        found, _ = whole.read(Window(0, 0, 70, 50))
    assert found.shape == (1, 50, 70)
    assert np.all(found == 3 - 4j)


def test_real_samples_are_not_taken_for_complex_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "slc.tif", WHOLE[:1].astype("uint32"))
    with (
        pytest.raises(DeliveryUnreadableError, match="uint32, and its metadata says complex ones"),
        PartedImage(group(image(path, "HH"), height=50, width=70, is_complex=True)),
    ):
        pass
