"""SAOCOM in the layout that public readers of real products know; values as SNAP's tests tell them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.saocom import find_saocom, read_saocom

NAME = "S1A_OPER_SAR_EOSSP__CORE_{}_OLVF_20191225T214531"
DOCUMENT = """<xemt:XEMT xmlns:xemt="http://conae.example"><product>
<productType><sub><procLevel>{level}</procLevel></sub></productType>
<features><acquisition><parameters><acqMode>{mode}</acqMode><polMode>QP</polMode><beamID>S3QP</beamID>
<sideLooking>RIGHT</sideLooking></parameters></acquisition>
<StateVectorData><OrbitDirection>{orbit}</OrbitDirection></StateVectorData>
<scene><timeFrame><timePeriod><startTime>2019-12-25T10:13:13.644201</startTime>
<endTime>2019-12-25T10:13:25.735640</endTime></timePeriod></timeFrame>
<frame><vertex><lat>-27.9</lat><lon>-57.7</lon></vertex><vertex><lat>-27.2</lat><lon>-57.8</lon></vertex>
<vertex><lat>-27.1</lat><lon>-57.5</lon></vertex><vertex><lat>-27.8</lat><lon>-57.4</lon></vertex></frame>
</scene></features></product></xemt:XEMT>"""
CHANNEL = """<SAOCOM_XMLProduct><Channel><RasterInfo><Lines>20761</Lines><Samples>3077</Samples></RasterInfo>
<DataSetInfo><SensorName>SAO1A</SensorName><fc_hz>1.275E9</fc_hz><SideLooking>RIGHT</SideLooking></DataSetInfo>
<SwathInfo><Polarization>{}/{}</Polarization></SwathInfo>
<SamplingConstants><PSrg_m>2.49827048333233</PSrg_m><PSaz_m>template</PSaz_m></SamplingConstants>
<StateVectorData><OrbitNumber>6543</OrbitNumber></StateVectorData></Channel></SAOCOM_XMLProduct>"""


def test_single_looks(tmp_path: Path) -> None:
    document = product(tmp_path)
    folder = document.with_suffix("")
    assert find_saocom(tmp_path) == find_saocom(folder) == find_saocom(document) == document
    delivery = read_saocom(document)
    check_complete(delivery)
    assert (delivery.name, delivery.sensor_id) == (NAME.format("L1A"), "saocom")
    assert (delivery.platform, delivery.level) == ("SAOCOM 1A", "L1A")
    assert delivery.acquired == datetime(2019, 12, 25, 10, 13, 19, 689921, tzinfo=UTC)
    radar = delivery.radar
    assert radar is not None
    assert (radar.frequency_band, radar.instrument_mode, radar.product_type) == ("L", "SM S3QP", "SLC")
    assert radar.polarizations == ("HH", "VV", "HV", "VH")
    assert (radar.center_frequency_ghz, radar.pixel_spacing_azimuth) == (1.275, None)
    assert radar.pixel_spacing_range == pytest.approx(2.49827048333233)
    assert (radar.orbit_state, radar.observation_direction, radar.absolute_orbit) == (
        "ascending",
        "right",
        6543,
    )
    (group,) = delivery.groups
    assert (group.height, group.width, group.is_complex, group.quantity) == (20761, 3077, True, "sigma0")
    assert group.files[0].path == folder / "Data" / "slc-acqId0000006543-a-sm3-1912251013-s3qp-hh"
    made = group.calibrations[0](np.array([[0.3 - 0.4j]], dtype="complex64"), slice(0, 1), slice(0, 1))
    assert made[0, 0] == pytest.approx(0.25), "nothing is calibrated twice"


@pytest.mark.parametrize(
    ("orbit", "corners"),
    [
        ("ASCENDING", [(-57.7, -27.9), (-57.4, -27.8), (-57.8, -27.2), (-57.5, -27.1)]),
        ("DESCENDING", [(-57.5, -27.1), (-57.8, -27.2), (-57.4, -27.8), (-57.7, -27.9)]),
        ("template", []),
    ],
)
def test_corners_lie_where_the_satellite_began(
    tmp_path: Path, orbit: str, corners: list[tuple[float, float]]
) -> None:
    (group,) = read_saocom(product(tmp_path, orbit=orbit)).groups
    assert [(point.longitude, point.latitude) for point in group.points] == corners
    assert [(point.row, point.column) for point in group.points][:2] == [(0.5, 0.5), (0.5, 3076.5)][
        : len(corners)
    ]


@pytest.mark.parametrize(
    ("kind", "level", "geometry"),
    [("di", "L1B", "sensor"), ("gec", "L1C", "ground"), ("gtc", "L1D", "ground")],
)
def test_detected_images_are_power_already(tmp_path: Path, kind: str, level: str, geometry: str) -> None:
    (group,) = read_saocom(product(tmp_path, kind=kind, level=level)).groups
    assert (group.name, group.geometry, group.is_complex, group.quantity) == (kind, geometry, False, "sigma0")
    made = group.calibrations[0](np.array([[0.3556108, 0]], dtype="float32"), slice(0, 1), slice(0, 2))
    assert made[0, 0] == pytest.approx(0.3556108), "as SNAP reads this pixel of a real product"
    assert np.isnan(made[0, 1])


def test_single_looks_in_bursts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeliveryUnreadableError, match="come in bursts"):
        read_saocom(product(tmp_path, mode="TN"))
    assert read_saocom(product(tmp_path / "b", mode="TN", kind="gtc", level="L1D")).groups


def test_data_that_are_not_there_are_told(tmp_path: Path) -> None:
    document = product(tmp_path)
    data = document.with_suffix("") / "Data"
    image = data / "slc-acqId0000006543-a-sm3-1912251013-s3qp-vv"
    image.unlink()
    with pytest.raises(DeliveryIncompleteError, match=image.name):
        check_complete(read_saocom(document))
    for each in data.glob("*.xml"):
        each.unlink()
    with pytest.raises(DeliveryIncompleteError, match="no image is described"):
        read_saocom(document)
    data.rename(data.with_name("Other"))
    with pytest.raises(DeliveryIncompleteError, match="copy the whole delivery"):
        read_saocom(document)
    document.with_suffix(".zip").write_bytes(b"PK")
    with pytest.raises(DeliveryIncompleteError, match="unpack the zip"):
        read_saocom(document)


def test_what_can_not_be_understood_is_told(tmp_path: Path) -> None:
    document = product(tmp_path)
    first = min((document.with_suffix("") / "Data").glob("*.xml"))
    first.write_text(first.read_text().replace("<Lines>20761", "<Lines>many"))
    with pytest.raises(DeliveryUnreadableError, match="how large"):
        read_saocom(document)
    first.with_name(first.name.replace("sm3", "sm4")).write_text(first.read_text())
    with pytest.raises(DeliveryUnreadableError, match="several images of HH"):
        read_saocom(document)
    document.write_text("<other/>")
    with pytest.raises(DeliveryUnreadableError, match="no document of SAOCOM"):
        read_saocom(document)


def test_several_products_ask_which(tmp_path: Path) -> None:
    product(tmp_path)
    product(tmp_path, kind="gtc", level="L1D")
    with pytest.raises(DeliveryUnreadableError, match="2 products"):
        find_saocom(tmp_path)
    assert find_saocom(tmp_path / "missing") is None


def product(
    tmp_path: Path, *, kind: str = "slc", level: str = "L1A", mode: str = "SM", orbit: str = "ASCENDING"
) -> Path:
    """Write a product of four polarizations, whose images hold nothing."""
    document = tmp_path / f"{NAME.format(level)}.xemt"
    data = document.with_suffix("") / "Data"
    data.mkdir(parents=True)
    document.write_text(DOCUMENT.format(level=level, mode=mode, orbit=orbit))
    for band in ("hh", "hv", "vh", "vv"):
        image = data / f"{kind}-acqId0000006543-a-sm3-1912251013-s3qp-{band}"
        image.write_bytes(b"x")
        image.with_name(f"{image.name}.xml").write_text(CHANNEL.format(*band.upper()))
    return document
