"""Makes a synthetic scene of every layout and delivery that a sensor's file lists, of its bands and types."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from make_samples import COUNTS, DESCRIPTION, LAMBERT
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from synthetic_ground import Ground

from mosaics.models import Band, Kind
from mosaics.products.calibration import Power
from mosaics.products.delivery import BandGroup, Delivery, ImageFile, ProductBand
from mosaics.sensors import Layout, Sensor

CLASSES = {
    0: (0, 0, 0, 0),
    1: (70, 130, 190, 255),
    2: (190, 70, 60, 255),
    3: (200, 185, 160, 255),
    4: (170, 205, 110, 255),
    5: (60, 125, 70, 255),
}
"""Colour table of land cover."""
SCALES = {"alos-2": 10 ** (83 / 20), "sentinel-1": 474.0}
"""Radar counts of an amplitude of 1: that of JAXA's formula, and of a Sentinel-1 table; see `AMPLITUDE`."""
AMPLITUDE = 900.0
"""The same of radars whose factor differs from product to product."""
REFLECTANCES = ("pleiades", "pleiades-neo", "spot-6-7", "planetscope")
"""Sensors whose deliveries may say that their counts are reflectance times 10 000."""
SENTINEL_2 = (
    *("red", "green", "blue", "nir", "rededge071", "rededge075", "rededge078", "nir08", "swir16", "swir22"),
)
"""Bands of its delivery here, by their common names."""
WATER = ("bathy", "coastal")
"""Styles of shallow water, in which land is white."""
PAN_FINER = 4
"""Pixels of a panchromatic image along one of the colours beside it."""
NAMES = (
    *("image", "HH", "HV", "VH", "VV", "VV_VH", "HH_HV", "ndvi", "ndre", "ndwi", "x_NED_x", "B8A"),
    *(f"B{number:02}" for number in range(1, 13)),
    *(f"LC08_x_B{number}" for number in range(1, 10)),
    *(f"LE07_x_B{number}" for number in range(1, 9)),
    *(f"landsat8_{colour}" for colour in ("red", "green", "blue", "nir")),
)
"""Names of files, one of which tells each layout what its bands are."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is banked: a file, or a delivery."""

    words: str
    """What it is, for people."""
    path: Path | None = None
    """A file."""
    delivery: Delivery | None = None
    styles: tuple[str, ...] = ()
    """Which of its styles are of interest; empty: all."""


class Painter:
    """Writes the scenes of one sensor into a folder."""

    def __init__(self, ground: Ground, sensor: Sensor, folder: Path) -> None:
        """Prepare an empty folder."""
        self.ground, self.sensor, self.folder = ground, sensor, folder
        self._made: set[str] = set()

    def cases(self) -> Iterator[Case]:
        """Give what the sensor lists, leaving out what would look like what was given before."""
        for place, layout in enumerate(self.sensor.layouts):
            if layout.delivery:
                continue
            for data_type in types_of(layout):
                yield from self._file(layout, place, data_type)
        if self.sensor.bundle_styles:
            yield self._bundle()
        if self.sensor.id in REFLECTANCES:
            yield from self._reflectance(self.sensor.layouts[0])
        if self.sensor.id == "sentinel-2":
            yield self._optical()
        elif any(layout.delivery for layout in self.sensor.layouts):
            yield from self._radar()

    def _file(self, layout: Layout, place: int, data_type: str) -> Iterator[Case]:
        """Write a file of a layout, in one of its types."""
        bands, colours = bands_of(layout)
        values = np.stack([self.values(band, layout.kind, data_type) for band in bands])
        name = f"{place}-{data_type}/{example(layout)}.tif"
        looks = f"{hashlib.sha256(values.tobytes()).hexdigest()}{layout.styles}{colours}"
        if looks in self._made:
            return
        self._made.add(looks)
        path = self.write(name, values, kind=layout.kind, colours=colours, bands=bands)
        yield Case(words=f"{words(bands)}, {data_type}", path=path)

    def values(self, band: Band, kind: Kind, data_type: str) -> np.ndarray:
        """Give what a band stores."""
        name = band.common_name or "pan"
        if kind == "sar":
            return self._stored_power(name, band.unit, data_type)
        if kind == "night":
            return self._light(name, data_type)
        if kind in {"optical", "other"}:
            return stored_reflectance(self.ground.reflectance(name), data_type)
        values = self._measured(name)
        if band.unit == "1e-4":
            values = values * 10_000
        return (
            np.rint(values).astype(data_type)
            if np.dtype(data_type).kind in "iu"
            else values.astype(data_type)
        )

    def _stored_power(self, name: str, unit: str | None, data_type: str) -> np.ndarray:
        """Give power, decibels or amplitude."""
        power = self.ground.backscatter("cross" if name in {"hv", "vh"} else "co")
        if unit == "1":
            return power.astype(data_type)
        if unit == "dB":
            return (10 * np.log10(power)).astype(data_type)
        if np.dtype(data_type).kind == "f":
            return np.sqrt(power).astype(data_type)
        scale = 300.0 if data_type == "uint8" else SCALES.get(self.sensor.id, AMPLITUDE)
        return clipped(np.sqrt(power) * scale, data_type)

    def _light(self, name: str, data_type: str) -> np.ndarray:
        """Give radiance, of lamps that are warm in the old town and white at the works."""
        lights = self.ground.lights()
        white = 1 / (1 + np.exp(-2 * self.ground.noise("lamps", 500)))
        share = {"red": 1.0, "green": 0.72 + 0.25 * white, "blue": 0.38 + 0.6 * white}.get(name, 1.0)
        if np.dtype(data_type).kind == "f":
            return lights.astype(data_type)
        brightest = {"uint8": 250.0}.get(data_type, 4000.0)
        return clipped(lights * share * brightest / np.percentile(lights, 99.9), data_type)

    def _measured(self, name: str) -> np.ndarray:
        """Give a quantity by its common name, the vegetation index where it has none."""
        ground = self.ground
        known = {
            "elevation": lambda: with_gaps(ground.surface + 0.06 * ground.grain("dsm"), ground),
            "dh": lambda: ground.change()[0],
            "dh_error": lambda: ground.change()[1],
            "snow_height": lambda: ground.snow()[0],
            "snow_height_error": lambda: ground.snow()[1],
            "velocity": ground.deformation,
            "coherence": ground.coherence,
            "phase": ground.phase,
            "classes": ground.classes,
            "ndre": lambda: self._index("nir", "rededge"),
            "ndwi": lambda: self._index("green", "nir"),
        }
        return known.get(name, lambda: self._index("nir", "red"))()

    def _index(self, one: str, other: str) -> np.ndarray:
        """Give the normalised difference of two bands."""
        first, second = self.ground.reflectance(one), self.ground.reflectance(other)
        return (first - second) / (first + second)

    def write(
        self,
        name: str,
        values: np.ndarray,
        *,
        kind: Kind = "optical",
        colours: Sequence[str] = (),
        bands: Sequence[Band] = (),
        pixel: int = 1,
    ) -> Path:
        """Write (bands, rows, columns) as a plain GeoTIFF, nothing outside the slanted path."""
        gaps = kind in {"optical", "sar", "night", "other"}
        if gaps:
            seen = self.ground.seen()[::pixel, ::pixel][: values.shape[1], : values.shape[2]]
            values = np.where(seen, values, np.nan if values.dtype.kind == "f" else 0).astype(values.dtype)
        nodata = np.nan if values.dtype.kind == "f" else 0 if gaps or kind == "classes" else -9999
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=len(values),
            height=values.shape[1],
            width=values.shape[2],
            dtype=values.dtype,
            crs=LAMBERT,
            transform=self.ground.transform @ Affine.scale(pixel),
            nodata=None if values.dtype.kind == "c" else nodata,
            photometric="RGB" if len(values) == 3 and not colours else "MINISBLACK",
        ) as target:
            target.write(values)
            target.update_tags(TIFFTAG_IMAGEDESCRIPTION=DESCRIPTION)
            if "palette" in colours:
                target.write_colormap(1, CLASSES)
            elif colours:
                target.colorinterp = [ColorInterp[colour] for colour in colours]
            if any(band.common_name == "velocity" for band in bands):
                target.units = ["mm/yr"] * len(values)
        return path

    def _bundle(self) -> Case:
        """Write colours and, finer, the panchromatic image of the same scene."""
        layout = next(one for one in self.sensor.layouts if len(one.bands) in {4, 6})
        coarse = [
            block_mean(self.ground.reflectance(band.common_name or ""), PAN_FINER) for band in layout.bands
        ]
        colours = np.stack([stored_reflectance(values, "uint16") for values in coarse])
        sharp = stored_reflectance(self.ground.reflectance("pan"), "uint16")[np.newaxis]
        ms = self._group("ms", layout.bands, self.write("ms.tif", colours, pixel=PAN_FINER), colours)
        pan = self._group("pan", (Band(name="P", common_name="pan"),), self.write("pan.tif", sharp), sharp)
        delivery = self._delivery("bundle", (pan, ms))
        return Case(words="bundle of ms and pan", delivery=delivery, styles=self.sensor.bundle_styles)

    def _reflectance(self, layout: Layout) -> Iterator[Case]:
        """Write deliveries that say that they are reflectance times 10 000: of land, and of shallow water."""
        wet = tuple(style for style in WATER if style in layout.styles)
        dry = tuple(style for style in layout.styles if style not in WATER)
        for words, styles in (("reflectance", dry), ("reflectance of a sea", wet)):
            if not styles:
                continue
            field = self.ground.under_water if styles is wet else self.ground.reflectance
            bands = layout.bands
            values = np.stack([clipped(field(band.common_name or "") * 10_000, "uint16") for band in bands])
            path = self.write(f"{words}.tif", values)
            group = self._group("ms", bands, path, values, radiometry="reflectance")
            yield Case(words=f"delivery, {words}", delivery=self._delivery(words, (group,)), styles=styles)

    def _optical(self) -> Case:
        """Write a delivery of a file a band."""
        known = {band.common_name: band for layout in self.sensor.layouts for band in layout.bands}
        groups = []
        for name in SENTINEL_2:
            band, values = known[name], clipped(self.ground.reflectance(name) * 10_000, "uint16")[np.newaxis]
            path = self.write(f"{band.name}.tif", values)
            groups.append(self._group(band.name, (band,), path, values, radiometry="reflectance"))
        return Case(words="delivery, reflectance", delivery=self._delivery("granule", tuple(groups)))

    def _radar(self) -> Iterator[Case]:
        """Write what deliveries of a radar may hold: calibrated, counts, and complex numbers."""
        listed = next(layout.styles for layout in self.sensor.layouts if layout.delivery)
        pairs = (("vv", "vh"), ("hh", "hv")) if self.sensor.id == "sentinel-1" else (("hh", "hv"),)
        scale = SCALES.get(self.sensor.id, AMPLITUDE)
        calibrated = Power(factor=1 / scale**2)
        for pair in pairs:
            bands = [Band(name=name.upper(), common_name=name) for name in pair]
            values = np.stack([self._stored_power(name, None, "uint16") for name in pair])
            path = self.write(f"{pair[0]}.tif", values, kind="sar")
            if "sar-linear" in listed and pair is pairs[0]:
                group = self._group("image", bands, path, values, radiometry="radar")
                group = replace(group, quantity="sigma0", calibrations=(calibrated,) * len(bands))
                yield Case(words="delivery, calibrated", delivery=self._delivery("calibrated", (group,)))
            group = self._group("image", bands, path, values, radiometry="radar")
            yield Case(words="delivery, counts", delivery=self._delivery(f"counts-{pair[0]}", (group,)))
        if "sar-intensity" in listed:
            yield self._single_look(scale)

    def _single_look(self, scale: float) -> Case:
        """Write complex numbers of which no calibration is known."""
        power = self.ground.backscatter("co")
        turn = self.ground.place.random("single look").uniform(0, 2 * np.pi, power.shape)
        values = (np.sqrt(power) * scale * np.exp(1j * turn)).astype(np.complex64)[np.newaxis]
        path = self.write("slc.tif", values, kind="sar")
        bands = (Band(name="HH", common_name="hh"),)
        group = self._group("image", bands, path, values, radiometry="radar")
        group = replace(group, is_complex=True, nodata=None)
        return Case(words="delivery, complex", delivery=self._delivery("slc", (group,)))

    def _group(
        self, name: str, bands: Sequence[Band], path: Path, values: np.ndarray, **told: str
    ) -> BandGroup:
        """Describe an image of a delivery."""
        gain = 10_000.0 if told.get("radiometry") == "reflectance" else None
        ids = tuple(band.name for band in bands)
        return BandGroup(
            name=name,
            files=(ImageFile(path=path, row=1, column=1, bands=ids),),
            bands=tuple(ProductBand(id=band.name, common_name=band.common_name, gain=gain) for band in bands),
            height=values.shape[1],
            width=values.shape[2],
            geometry="ground",
            nodata=0,
            metadata=path,
            **told,
        )

    def _delivery(self, name: str, groups: tuple[BandGroup, ...]) -> Delivery:
        return Delivery(name=name, sensor_id=self.sensor.id, platform=self.sensor.title.en, groups=groups)


def types_of(layout: Layout) -> tuple[str, ...]:
    """Give the types that look different: of 8 bits as the provider stretched it, and the first of others."""
    listed = layout.data_types or ("uint16",)
    others = [each for each in listed if each != "uint8"]
    is_display = bool({"natural", "rgb", "pan"} & set(layout.styles))
    wanted = [*others[:1], *(["uint8"] if "uint8" in listed and (is_display or not others) else [])]
    return (*wanted, "uint8") if layout.styles == ("rgb",) else tuple(wanted)


def bands_of(layout: Layout) -> tuple[tuple[Band, ...], tuple[str, ...]]:
    """Give the bands of a file of a layout, and their colours where it must tell them."""
    colours = layout.colour_interpretation or tuple(sorted(layout.colours))
    if layout.bands:
        return layout.bands, colours
    named = colours or ("red", "green", "blue", "nir")
    return tuple(Band(name=colour, common_name=colour) for colour in named), colours


def example(layout: Layout) -> str:
    """Give a file name, without its extension, of which the layout is."""
    pattern = layout.filename_pattern
    return next(name for name in NAMES if pattern is None or pattern.search(f"{name}.tif"))


def words(bands: Sequence[Band]) -> str:
    """Name bands, briefly."""
    named = [band.name for band in bands]
    return " ".join(named) if len(named) <= 4 else f"{len(named)} bands"


def stored_reflectance(values: np.ndarray, data_type: str) -> np.ndarray:
    """Store reflectance: as brightness for eyes in 8 bits, else in counts."""
    if data_type == "uint8":
        return clipped(255 * np.clip((values - 0.02) / 0.42, 0, 1) ** 0.75, data_type)
    counts = values * COUNTS
    return counts.astype(data_type) if np.dtype(data_type).kind == "f" else clipped(counts, data_type)


def clipped(values: np.ndarray, data_type: str) -> np.ndarray:
    """Round to counts of a type, never 0, which means nothing."""
    return np.clip(np.rint(values), 1, np.iinfo(data_type).max).astype(data_type)


def block_mean(values: np.ndarray, size: int) -> np.ndarray:
    """Average blocks of size x size pixels."""
    rows, columns = (length // size for length in values.shape)
    return values[: rows * size, : columns * size].reshape(rows, size, columns, size).mean(axis=(1, 3))


def with_gaps(heights: np.ndarray, ground: Ground) -> np.ndarray:
    """Leave out heights where matching fails, on water."""
    return np.where((ground.water > 0.5) & (ground.noise("doubt", 36) > 0.35), np.nan, heights)
