"""QGIS, without a screen: each way of its own opens the own layers, in their place, and nobody else's.

One session for each holder does all that a person would try, so that no picture comes from the memory of
another's session; the tests look at what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from pyproj import Transformer

from tests.clients.conftest import CUT_EAST, Bank
from tests.clients.pictures import Window, assert_same, warped, window_inside
from tests.clients.qgis_runs import QgisLayer, QgisResult, QgisWork, run_qgis, wmts_uri, xyz_uri
from tests.clients.ways import NOTHING, QGIS, REFUSED, USER, Credential, Sent, Way, ways_of
from tests.conftest import Server

GRIDS = {
    "2154_50cm": ("EPSG:2154", 17),
    "WebMercatorQuad": ("EPSG:3857", 17),
    "WebMercatorQuad_512": ("EPSG:3857", 15),
    "WorldCRS84Quad": ("OGC:CRS84", 16),
}
"""Grid -> the CRS that QGIS takes, and a level."""
XYZ = "xyz"
DOORS = (*GRIDS, XYZ)
URI, AUTHCFG = "uri", "authcfg"


@dataclass(frozen=True)
class Form:
    """A way, and where QGIS keeps a password that it needs."""

    way: Way
    keeps: str

    def __str__(self) -> str:
        return self.way.id if self.way.id != "Basic" else f"Basic-{self.keeps}"


def forms() -> Iterator[Form]:
    for parameter in ways_of(QGIS):
        (way,) = parameter.values
        for keeps in (URI, AUTHCFG) if way.id == "Basic" else (URI,):
            yield Form(way, keeps)


FORMS = tuple(forms())


@dataclass(frozen=True)
class Session:
    """What one holder saw."""

    result: QgisResult
    places: Mapping[tuple[str, str], int]
    """Form and door -> number of the layer."""

    def layer(self, form: Form | str, door: str) -> tuple[dict[str, object], np.ndarray | None]:
        place = self.places[str(form), door]
        return self.result.layers[place], self.result.pictures[place]

    def listed(self, form: Form | str) -> list[str] | None:
        names = list(dict.fromkeys(name for name, _ in self.places))
        return self.result.connections[names.index(str(form))]


Open = Callable[[str], Session]


def window_of(bank: Bank, door: str) -> Window:
    grid = "WebMercatorQuad" if door == XYZ else door
    return window_inside(bank.sources["texture"], grid, GRIDS[grid][1], (256, 200))


def source(root: str, sent: Sent, door: str, password: Mapping[str, str]) -> str:
    if door == XYZ:
        return xyz_uri(sent.address(root, "/tiles/texture/WebMercatorQuad/{z}/{x}/{y}.png"), **password)
    return wmts_uri(sent.address(root, "/wmts"), "texture", door, GRIDS[door][0], **password)


def work_of(bank: Bank, root: str, shown: Credential | None) -> tuple[QgisWork, dict[tuple[str, str], int]]:
    tries = {str(form): (form.way.sent(shown), form.keeps) for form in FORMS} if shown else {}
    tries = tries or {"nothing": (NOTHING, URI)}
    connections, layers, places = [], [], {}
    for name, (sent, keeps) in tries.items():
        # a login of a connection lives in the authentication database alone
        login = "the key" if sent.password is not None else None
        connections.append((sent.address(root, "/wmts"), login))
        in_uri = {"username": USER, "password": sent.password} if login and keeps == URI else {}
        for door in DOORS:
            places[name, door] = len(layers)
            layers.append(
                QgisLayer(
                    uri=source(root, sent, door, in_uri),
                    window=window_of(bank, door),
                    login=login if keeps == AUTHCFG else None,
                )
            )
    logins = {"the key": (USER, shown.key)} if shown else {}
    return QgisWork(logins=logins, connections=connections, layers=layers), places


@pytest.fixture(scope="module")
def session(
    bank: Bank,
    server: Server,
    credentials: Mapping[str, Credential],
    tmp_path_factory: pytest.TempPathFactory,
) -> Open:
    """Give the session of a holder, held when it is first asked for."""
    held: dict[str, Session] = {}

    def call(holder: str) -> Session:
        if holder not in held:
            work, places = work_of(bank, server.url, credentials.get(holder))
            held[holder] = Session(run_qgis(tmp_path_factory.mktemp(holder), work), places)
        return held[holder]

    return call


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_pasted_address_shows_the_scene(session: Open, bank: Bank, form: Form, door: str) -> None:
    drawn, picture = session("mine").layer(form, door)
    assert (drawn["valid"], drawn["errors"]) == (True, [])
    assert drawn["crs"] == GRIDS.get(door, ("EPSG:3857",))[0]
    assert picture is not None
    assert_same(picture, warped(bank.sources["texture"], window_of(bank, door)), levels=3)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_browser_panel_lists_exactly_the_own_layers(session: Open, bank: Bank, form: Form) -> None:
    listed = session("mine").listed(form)
    assert listed is not None
    assert sorted(listed) == sorted(set(bank.sources) - {"elsewhere"})
    assert session("other").listed(form) == ["elsewhere", "open"]
    assert session("revoked").listed(form) is None
    assert session("nobody").listed("nothing") == ["open"]


@pytest.mark.parametrize("holder", REFUSED)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_others_see_nothing(session: Open, holder: str, form: Form) -> None:
    name = "nothing" if holder == "nobody" else form
    for door in GRIDS:
        drawn, picture = session(holder).layer(name, door)
        assert (drawn["valid"], picture) == (False, None)
    # XYZ has no document that could refuse: the layer is there, and stays empty
    drawn, picture = session(holder).layer(name, XYZ)
    assert drawn["valid"]
    assert picture is not None
    assert not picture.any()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_cut_grant_is_transparent_outside_its_area(
    session: Open, bank: Bank, form: Form, door: str
) -> None:
    _, picture = session("cut").layer(form, door)
    assert picture is not None
    window = window_of(bank, door)
    rows, columns = np.mgrid[0 : window.height, 0 : window.width] + 0.5
    to_lonlat = Transformer.from_crs(window.crs, "OGC:CRS84", always_xy=True)
    east, _ = to_lonlat.transform(*(window.transform @ (columns, rows)))
    beyond = (east - CUT_EAST) / np.diff(east, axis=1).mean()
    """How far east of the edge, pixels."""
    assert 0.2 < (beyond < 0).mean() < 0.8
    # QGIS stretches a layer whose extent ends between two pixels to whole ones
    slack = 0 if door == XYZ else 1
    assert not picture[:, beyond >= slack].any(), "colour and alpha are 0 outside"
    assert picture[3, beyond < -slack].all()
    expected = warped(bank.sources["texture"], window)
    moved = [np.roll(picture[:3].astype(float), by, axis=2) for by in range(-slack, slack + 1)]
    within = (beyond < -2) & (columns > 2)
    assert np.min([np.abs(each - expected)[:, within] for each in moved], axis=0).mean() < 3


def test_this_qgis_cannot_send_a_header_of_ones_own(session: Open) -> None:
    """When this fails, the row X-API-Key of the table of ways is QGIS's too."""
    assert "APIHeader" not in session("nobody").result.methods
    assert "Basic" in session("nobody").result.methods
