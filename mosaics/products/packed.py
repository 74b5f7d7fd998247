"""Packed deliveries, recognised only so that they are refused with words; nothing is unpacked here."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Final

_ENDING: Final = re.compile(r".+(?P<ending>\.zip|\.tar|\.tar\.gz|\.tgz)", re.IGNORECASE)
_MEMBERS: Final = (
    (re.compile(r"(?:LED|IMG-[HV]{2})-ALOS2.+"), "ALOS-2"),
    (re.compile(r"(?:VOL|DIM)_.*\.XML", re.IGNORECASE), "Pléiades, SPOT 6 or 7 or Pléiades Neo (DIMAP 2)"),
    (re.compile(r"METADATA\.DIM", re.IGNORECASE), "SPOT 1 to 5 (DIMAP 1)"),
    (re.compile(r"MTD_MSIL\w+\.xml|S2._.+MTD_.+\.xml", re.IGNORECASE), "Sentinel-2"),
    (re.compile(r"s1.-.+\.tiff", re.IGNORECASE), "Sentinel-1"),
    (re.compile(r"(?:TSX1|TDX1|PAZ1)_SAR_.+\.xml", re.IGNORECASE), "TerraSAR-X, TanDEM-X or PAZ"),
    (re.compile(r"lutSigma\.xml", re.IGNORECASE), "RADARSAT-2"),
    (re.compile(r".+\.xemt", re.IGNORECASE), "SAOCOM"),
    (re.compile(r"ICEYE_.+\.(?:xml|json|tif)", re.IGNORECASE), "ICEYE"),
    (re.compile(r"JL1.+_meta\.xml", re.IGNORECASE), "Jilin-1"),
    (re.compile(r".+_3B_.+_metadata\.xml", re.IGNORECASE), "PlanetScope"),
)
"""Names of files by which a delivery is told in a ZIP, whose table of contents is read; a tar has none."""


def is_packed(path: Path) -> bool:
    """Tell whether a file is packed, by its name."""
    return _ENDING.fullmatch(path.name) is not None and path.is_file()


def product_in(path: Path) -> str | None:
    """Tell of which product a ZIP holds a delivery.

    Returns:
        None if it holds none that is known, or is no ZIP: to look into a tar is to read all of it.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            names = [name.rpartition("/")[2] for name in packed.namelist()]
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    return next(
        (product for pattern, product in _MEMBERS if any(pattern.fullmatch(name) for name in names)), None
    )


def is_unpacked_beside(path: Path) -> bool:
    """Tell whether a file or folder named as the packed file lies beside it, as after unpacking."""
    ending = _ENDING.fullmatch(path.name)
    stem = path.name if ending is None else path.name[: -len(ending["ending"])]
    return any(stem in {each.name, each.stem} for each in path.parent.iterdir() if each != path)


def refusal(path: Path) -> str:
    """Say what a packed file is and what to do, for the person who named it."""
    ending = _ENDING.fullmatch(path.name)
    product = product_in(path)
    what = f"a packed delivery of {product}" if product else "a packed file"
    kind = "" if ending is None else f" ({ending['ending'].lower()})"
    return f"{path.name}: it is {what}{kind}; unpack it first and bank the folder that comes of it"
