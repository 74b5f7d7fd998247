"""The WMTS capabilities document: what one caller may see, with addresses that work for that caller."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import pyproj
from markupsafe import Markup

from mosaics.grids import Grid, Matrix
from mosaics.models import Bounds, Text
from server.wmts.exceptions import invalid_update_sequence
from server.wmts.kvp import SECTIONS, VERSION
from server.wmts.language import DEFAULT_LANGUAGE, Language, in_language
from server.wmts.templating import joined, macro, render

TILE_EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/avif": "avif"}
)
"""Media type of a tile -> extension of its resource."""

INFO_EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {"application/json": "json", "text/html": "html", "text/plain": "txt"}
)
"""Media type of a feature info -> extension of its resource."""


FULL_TEMPLATES_UP_TO = 200
"""With more layers than this each has the template of its first tile format only, and neither a BoundingBox
but the one in degrees, nor keywords, nor addresses of legends, nor the grids of larger tiles in a system that
it has another grid of.

Each is a tenth of the document or more: 500 layers of five styles with a key in each address are 1.3 MB with
but one template of feature info and all grids, and must be below one. What is left out is served all the
same: other formats by KVP or by another extension, feature info by KVP, grids of larger tiles to who asks for
them (`?tms=`); legends are linked from `/layers`.
"""
LARGEST = 1_000_000
"""Bytes of a document of so many layers that keeps templates at all; a larger one leaves tiles to KVP."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceInfo:
    """What the document says about the service."""

    title: Text
    abstract: Text
    keywords: tuple[str, ...] = ()
    provider_name: str
    provider_site: str | None = None
    """Absolute URL."""
    contact_mail: str | None = None
    fees: str = "none"
    access_constraints: str = "none"


class StyleInfo(NamedTuple):
    """A style of a layer."""

    id: str
    title: Text
    legend: str | None = None
    """Path of a PNG legend below the base address, without a leading slash."""


@dataclass(frozen=True, kw_only=True)
class MatrixLimit:
    """The tiles of one level that a layer has."""

    matrix: str
    """Identifier of the level."""
    min_row: int
    max_row: int
    min_col: int
    max_col: int


@dataclass(frozen=True, kw_only=True)
class LayerInfo:
    """A layer as this caller may see it.

    Raises:
        ValueError: If it has no style, format or grid (the document could not be valid), or one of
            its formats has no extension.
    """

    id: str
    """`collection` or `collection:scene`; stands in addresses as it is."""
    title: Text
    abstract: Text
    """May be empty."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north; degrees (WGS 84)."""
    styles: tuple[StyleInfo, ...]
    """The default first."""
    formats: tuple[str, ...]
    """Media types of tiles, keys of TILE_EXTENSIONS, the preferred first."""
    info_formats: tuple[str, ...] = ()
    """Media types of feature info, keys of INFO_EXTENSIONS; empty: not queryable."""
    times: tuple[str, ...] = ()
    """Acquisition dates, YYYY-MM-DD, ascending; with two or more the layer has a Dimension."""
    grids: tuple[str, ...]
    """Ids of its tile matrix sets, the preferred first."""
    keywords: tuple[str, ...] = ()
    attribution: str = ""
    """The product's copyright line; closes the abstract."""
    limits: Mapping[str, tuple[MatrixLimit, ...]] = field(default_factory=dict)
    """By grid, the levels that are served, where rights open less than all; no entry: all of them."""

    def __post_init__(self) -> None:
        if not (self.styles and self.formats and self.grids):
            raise ValueError(f"layer {self.id!r} needs a style, a format and a grid")
        if not (TILE_EXTENSIONS.keys() >= set(self.formats)):
            raise ValueError(f"layer {self.id!r} has a tile format that no resource is named for")
        if not (INFO_EXTENSIONS.keys() >= set(self.info_formats)):
            raise ValueError(f"layer {self.id!r} has an info format that no resource is named for")

    @property
    def has_dimension(self) -> bool:
        """True where addresses carry `{Time}`."""
        return len(self.times) >= 2


def render_capabilities(
    service: ServiceInfo,
    layers: Sequence[LayerInfo],
    grids: Sequence[Grid],
    *,
    language: Language,
    base_url: str,
    credential_query: str | None,
    update_sequence: str,
    sections: frozenset[str] | None = None,
    filter_query: str | None = None,
) -> bytes:
    """Render the capabilities document.

    Args:
        service: Who serves.
        layers: What this caller may see, in the order of the document. A layer with none of its grids in
            `grids` is left out.
        grids: The tile matrix sets on offer; those that no layer uses are left out.
        language: Of titles and abstracts; stated in the addresses of this document unless it is the default.
        base_url: Address of the service as this caller writes it, with `/k/KEY` when the key came by path,
            without a trailing slash.
        credential_query: The validated credential when it came by query, such as `key=VALUE`, URL-encoded;
            it goes into every address.
        update_sequence: The current one.
        sections: Names of SECTIONS; None: the whole document.
        filter_query: Our filters as asked (`layers=...&tms=...`), URL-encoded; they go into the addresses
            of this document only.

    Returns:
        UTF-8 XML of media type application/xml, valid against wmtsGetCapabilities_response.xsd.

    Source: OGC 07-057r7 (WMTS 1.0.0), 7.1 and 10.
    """
    addresses = _Addresses(
        base_url=base_url, credential=credential_query, filters=filter_query, language=language
    )
    offered = {grid.id: grid for grid in grids}
    shown = [layer for layer in layers if not offered.keys().isdisjoint(layer.grids)]
    full = len(shown) <= FULL_TEMPLATES_UP_TO
    parts = _Parts(addresses, language, full=full)
    listed = {ids: _grids_of(ids, offered, full=full) for ids in {layer.grids for layer in shown}}
    entries = [_entry(layer, listed[layer.grids], parts) for layer in shown]
    used = {grid.id for grids_of_some in listed.values() for grid in grids_of_some}
    write = functools.partial(
        render,
        "capabilities.xml",
        text=functools.partial(in_language, language=language),
        number=_number,
        top_left_corner=_top_left_corner,
        version=VERSION,
        update_sequence=update_sequence,
        # Themes is empty; it stands there only for those who ask for it by name.
        sections=frozenset(SECTIONS) - {"Themes"} if sections is None else sections,
        section_names=SECTIONS,
        # A part of the document has only the sections asked for: the conformance suite counts elements.
        whole=sections is None,
        service=service,
        addresses=addresses,
        grids=[grid for grid in grids if grid.id in used],
    )
    document = write(layers=entries)
    if full or len(document) <= LARGEST:
        return document
    return write(layers=[entry._replace(tile_templates=[]) for entry in entries])


def render_unchanged(update_sequence: str) -> bytes:
    """Render the answer to a client whose document is current: the root with its two attributes.

    Args:
        update_sequence: The current one.
    """
    return render("unchanged.xml", version=VERSION, update_sequence=update_sequence)


def is_unchanged(requested: str | None, current: str) -> bool:
    """Negotiate the updateSequence: True where `render_unchanged` answers, False where the document does.

    Numbers compare as numbers, anything else as text.

    Args:
        requested: What the client holds; None: nothing.
        current: The service's; it must grow with every change.

    Raises:
        OwsError: InvalidUpdateSequence, if the client's is greater.

    Source: OGC 06-121r3, 7.3.4.
    """
    if requested is None:
        return False
    if _is_number(requested) and _is_number(current):
        greater, equal = int(requested) > int(current), int(requested) == int(current)
    else:
        greater, equal = requested > current, requested == current
    if greater:
        raise invalid_update_sequence()
    return equal


@dataclass(frozen=True, kw_only=True, slots=True)
class _Addresses:
    """The addresses of the document, each with the caller's credential where that came by query."""

    base_url: str
    credential: str | None
    filters: str | None
    language: Language

    def resource(self, path: str) -> str:
        """Give the address or template of a resource below the base."""
        return f"{self.base_url}/{path}{_query(self.credential)}"

    def legend(self, path: str) -> str:
        """Give the address of a legend in the language of the document."""
        return f"{self.base_url}/{path}{_query(self.credential, self._language)}"

    @property
    def metadata(self) -> str:
        """Address of this very document."""
        query = _query(self.credential, self.filters, self._language)
        return f"{self.base_url}/wmts/1.0.0/WMTSCapabilities.xml{query}"

    @property
    def resources(self) -> str:
        """What RESTful operations start from; the templates are in each layer."""
        return self.resource("wmts/1.0.0/")

    @property
    def kvp(self) -> str:
        """Prefix of a KVP request; parameters follow."""
        return _prefix(f"{self.base_url}/wmts", self.credential)

    @property
    def capabilities_kvp(self) -> str:
        """Prefix of a KVP request for this document."""
        return _prefix(f"{self.base_url}/wmts", self.credential, self.filters, self._language)

    @property
    def _language(self) -> str | None:
        # Without it where it is the default: ServiceMetadataURL must be the very address that was asked.
        return None if self.language == DEFAULT_LANGUAGE else f"lang={self.language}"


class _Box(NamedTuple):
    """An ows:BoundingBox."""

    crs: str
    lower_corner: str
    upper_corner: str


class _Entry(NamedTuple):
    """A layer as the template needs it."""

    id: str
    title: str
    abstract: str
    keywords: tuple[str, ...]
    lower_corner: str
    upper_corner: str
    boxes: Sequence[_Box]
    styles: Markup
    formats: Markup
    times: Markup
    """Its dates, but for the first and last tag; empty: it has no Dimension."""
    grid_links: Markup
    tile_templates: list[tuple[str, str]]
    info_templates: list[tuple[str, str]]


class _Parts:
    """Parts of layers in one document: what is the same of many is written once."""

    def __init__(self, addresses: _Addresses, language: Language, *, full: bool) -> None:
        self.addresses, self.language, self.full = addresses, language, full
        self._text = functools.partial(in_language, language=language)
        self._styles, self._formats, self._grid_links = (
            macro("layer_parts.xml", name) for name in ("styles", "formats", "grid_links")
        )
        self._made: dict[Hashable, Markup] = {}

    def styles(self, layer: LayerInfo) -> Markup:
        """Write the styles of a layer, in full with the addresses of their legends."""
        key = ("styles", layer.styles if self.full else tuple([style[:2] for style in layer.styles]))
        return self._once(key, lambda: self._styles(layer.styles, self._text, self.addresses, self.full))

    def formats(self, layer: LayerInfo) -> Markup:
        """Write the media types of a layer."""
        key = ("formats", layer.formats, layer.info_formats)
        return self._once(key, lambda: self._formats(layer.formats, layer.info_formats))

    def grid_links(self, layer: LayerInfo, grids: tuple[str, ...]) -> Markup:
        """Write the grids of a layer, and which of their levels are served."""
        if layer.limits:
            return self._grid_links(grids, layer.limits)
        return self._once(("grids", grids), lambda: self._grid_links(grids, {}))

    def _once(self, key: Hashable, write: Callable[[], Markup]) -> Markup:
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = write()
        return found


def _entry(layer: LayerInfo, grids: Sequence[Grid], parts: _Parts) -> _Entry:
    """Prepare a layer, in full or with what it can't do without."""
    addresses, full = parts.addresses, parts.full
    # OpenLayers fills {Time} from a Dimension of the same case, and writes `undefined` where there is none.
    time = "{Time}" if layer.has_dimension else "default"
    tile = f"wmts/1.0.0/{layer.id}/{{Style}}/{time}/{{TileMatrixSet}}/{{TileMatrix}}/{{TileRow}}/{{TileCol}}"
    west, south, east, north = layer.bounds
    abstract = in_language(layer.abstract, parts.language)
    return _Entry(
        id=layer.id,
        title=in_language(layer.title, parts.language),
        abstract=" ".join(part for part in (abstract, layer.attribution) if part),
        keywords=layer.keywords if full else (),
        lower_corner=f"{_degrees(west)} {_degrees(south)}",
        upper_corner=f"{_degrees(east)} {_degrees(north)}",
        boxes=_boxes(layer, grids) if full else (),
        styles=parts.styles(layer),
        formats=parts.formats(layer),
        times=joined(layer.times if layer.has_dimension else (), "</Value><Value>"),
        grid_links=parts.grid_links(layer, tuple([grid.id for grid in grids])),
        tile_templates=[
            (format_, addresses.resource(f"{tile}.{TILE_EXTENSIONS[format_]}"))
            for format_ in layer.formats[: None if full else 1]
        ],
        info_templates=[
            (format_, addresses.resource(f"{tile}/{{J}}/{{I}}.{INFO_EXTENSIONS[format_]}"))
            for format_ in layer.info_formats[: None if full else 0]
        ],
    )


def _grids_of(ids: tuple[str, ...], offered: Mapping[str, Grid], *, full: bool) -> Sequence[Grid]:
    """Give the grids on offer that a layer is listed with."""
    grids = [offered[id_] for id_ in ids if id_ in offered]
    return grids if full else _one_a_system(grids)


def _one_a_system(grids: Sequence[Grid]) -> list[Grid]:
    """Give the grids of the smallest tiles in each coordinate reference system, in their order."""
    smallest: dict[str, int] = {}
    for grid in grids:
        smallest[grid.crs] = min(grid.tile_size, smallest.get(grid.crs, grid.tile_size))
    return [grid for grid in grids if grid.tile_size == smallest[grid.crs]]


def _boxes(layer: LayerInfo, grids: Sequence[Grid]) -> tuple[_Box, ...]:
    """Give the layer's outline in each CRS of its grids, where its pixels begin and end.

    GDAL makes of the box in degrees an outline that cuts off what bulges over it, and then shifts its
    overviews by up to half a pixel. It takes the box whose crs is written as in SupportedCRS.
    """
    boxes: dict[str, _Box] = {}
    for grid in grids:
        if grid.crs_urn in boxes:
            continue
        extent = grid.extent(Bounds(*layer.bounds))
        if extent is not None:
            lower, upper = extent[:2], extent[2:]
            boxes[grid.crs_urn] = _Box(grid.crs_urn, _corner(lower, grid.crs), _corner(upper, grid.crs))
    return tuple(boxes.values())


def _query(*parts: str | None) -> str:
    present = [part for part in parts if part]
    return f"?{'&'.join(present)}" if present else ""


def _prefix(address: str, *parts: str | None) -> str:
    return f"{address}?{''.join(f'{part}&' for part in parts if part)}"


def _is_number(text: str) -> bool:
    # Longer ones are no sequence of ours, and int() refuses thousands of digits.
    return len(text) <= 18 and text.isascii() and text.isdigit()


def _top_left_corner(matrix: Matrix, crs: str) -> str:
    return _corner(matrix.origin, crs)


def _corner(point: tuple[float, ...], crs: str) -> str:
    """Write x, y in the order of the CRS's axes."""
    x, y = point
    first, second = (y, x) if _northing_first(crs) else (x, y)
    return f"{_number(first)} {_number(second)}"


@functools.cache
def _northing_first(crs: str) -> bool:
    return pyproj.CRS.from_user_input(crs).axis_info[0].abbrev.upper() in {"LAT", "N", "Y"}


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def _degrees(value: float) -> str:
    """Write degrees to about 0.1 m."""
    return _number(round(value, 6) + 0.0)
