"""Bands of STAC items that others wrote: those of STAC 1.1, or of the extensions eo and raster before it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mosaics.errors import IngestError
from mosaics.models import Band
from mosaics.sensors import Layout

_TYPES: Final = frozenset(
    {"uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64"}
)
_MOST: Final = 1000


def bands_of(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> tuple[Band, ...]:
    """Give the bands of an asset, in file order; an alpha band at the end is none.

    Source: STAC 1.1 common metadata; extensions eo v1.1, raster v1.1 and v2.0.

    Raises:
        IngestError: If the item does not say what is needed of them.
    """
    documents = _documents(asset) or _documents(properties)
    if not documents:
        raise IngestError("it does not say what its bands are: bank its file")
    if len(documents) > _MOST:
        raise IngestError("it has too many bands")
    if len(documents) > 1 and str(documents[-1].get("name", "")).lower() == "alpha":
        documents = documents[:-1]
    shared = asset.get("data_type")
    bands = tuple(_band(document, shared, place) for place, document in enumerate(documents, start=1))
    names = {band.name for band in bands}
    if len(names) < len(bands):
        return tuple(band._replace(name=f"B{place}") for place, band in enumerate(bands, start=1))
    return bands


def described_by(bands: Sequence[Band], layout: Layout | None) -> tuple[Band, ...]:
    """Add what a sensor's layout knows of bands of which the item says no common name.

    Args:
        bands: As the item has them.
        layout: Of as many bands; None: none fits.
    """
    if layout is None or any(band.common_name for band in bands) or len(layout.bands) != len(bands):
        return tuple(bands)
    return tuple(
        band._replace(
            common_name=known.common_name,
            unit=band.unit or known.unit,
            wavelength_um=band.wavelength_um or known.wavelength_um,
            fwhm_um=band.fwhm_um or known.fwhm_um,
        )
        for band, known in zip(bands, layout.bands, strict=True)
    )


def _documents(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give what is said of each band."""
    lists = [part.get(name) for name in ("bands", "eo:bands", "raster:bands")]
    found = [each for each in lists if isinstance(each, list) and each]
    if len({len(each) for each in found}) > 1:
        raise IngestError("its lists of bands are not equally long")
    return [
        {name: value for one in together if isinstance(one, Mapping) for name, value in one.items()}
        for together in zip(*found, strict=True)
    ]


def _band(document: Mapping[str, Any], shared_type: Any, place: int) -> Band:
    data_type = document.get("data_type") or shared_type
    if data_type is None:
        raise IngestError("it does not say the data type of its bands (data_type): bank its file")
    if data_type not in _TYPES:
        raise IngestError(f"bands of {data_type!r} can't be shown")
    statistics = document.get("statistics")
    said = statistics if isinstance(statistics, Mapping) else {}
    least, most = _number(said.get("minimum")), _number(said.get("maximum"))
    scale = _number(document.get("raster:scale", document.get("scale")))
    offset = _number(document.get("raster:offset", document.get("offset")))
    common = _word(
        document.get("eo:common_name") or document.get("common_name") or document.get("flux:common_name")
    )
    return Band(
        name=_word(document.get("name")) or f"B{place}",
        common_name=common,
        data_type=str(data_type),
        unit=_word(document.get("unit")),
        minimum=least,
        maximum=most,
        wavelength_um=_number(document.get("eo:center_wavelength", document.get("center_wavelength"))),
        fwhm_um=_number(document.get("eo:full_width_half_max", document.get("full_width_half_max"))),
        scale=1.0 if scale is None else scale,
        offset=0.0 if offset is None else offset,
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 100 else None
