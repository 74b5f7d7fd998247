"""What the common names of bands mean, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mosaics.models import Band, Text

MEANINGS: Final[Mapping[str, Text]] = MappingProxyType(
    {
        "coastal": Text(fr="bleu profond", en="deep blue"),
        "blue": Text(fr="bleu", en="blue"),
        "green": Text(fr="vert", en="green"),
        "green05": Text(fr="vert, 530 nm", en="green, 530 nm"),
        "yellow": Text(fr="jaune", en="yellow"),
        "red": Text(fr="rouge", en="red"),
        "rededge": Text(fr="red edge", en="red edge"),
        "rededge071": Text(fr="red edge, 710 nm", en="red edge, 710 nm"),
        "rededge075": Text(fr="red edge, 750 nm", en="red edge, 750 nm"),
        "rededge078": Text(fr="red edge, 780 nm", en="red edge, 780 nm"),
        "nir": Text(fr="proche infrarouge", en="near infrared"),
        "nir08": Text(fr="proche infrarouge, 860 nm", en="near infrared, 860 nm"),
        "nir09": Text(fr="proche infrarouge, 940 nm", en="near infrared, 940 nm"),
        "cirrus": Text(fr="cirrus", en="cirrus"),
        "swir16": Text(fr="infrarouge moyen, 1,6 µm", en="shortwave infrared, 1.6 µm"),
        "swir22": Text(fr="infrarouge moyen, 2,2 µm", en="shortwave infrared, 2.2 µm"),
        "pan": Text(fr="panchromatique", en="panchromatic"),
        "classes": Text(fr="classes", en="classes"),
        "elevation": Text(fr="altitude", en="elevation"),
        "night": Text(fr="lumières nocturnes", en="night lights"),
        "amplitude": Text(fr="amplitude radar", en="radar amplitude"),
        "db": Text(fr="rétrodiffusion (dB)", en="backscatter (dB)"),
        "power": Text(fr="rétrodiffusion radar", en="radar backscatter"),
        "dh": Text(fr="différence d'altitude", en="difference of height"),
        "dh_error": Text(fr="erreur de la différence d'altitude", en="error of the difference of height"),
        "snow_height": Text(fr="hauteur de neige", en="snow height"),
        "snow_height_error": Text(fr="erreur de la hauteur de neige", en="error of snow height"),
        "velocity": Text(fr="vitesse dans la ligne de visée", en="velocity along the line of sight"),
        "phase": Text(fr="phase", en="phase"),
        "coherence": Text(fr="cohérence", en="coherence"),
        "ndvi": Text(fr="NDVI (végétation)", en="NDVI (vegetation)"),
        "ndre": Text(fr="NDRE (végétation)", en="NDRE (vegetation)"),
        "ndwi": Text(fr="NDWI (eau)", en="NDWI (water)"),
        "hh": Text(fr="polarisation HH", en="HH polarisation"),
        "hv": Text(fr="polarisation HV", en="HV polarisation"),
        "vh": Text(fr="polarisation VH", en="VH polarisation"),
        "vv": Text(fr="polarisation VV", en="VV polarisation"),
    }
)
"""By common name; wavelengths are those of STAC's eo:common_name, rounded.

Source: STAC eo extension v1.1, table of common names; the words for other kinds are ours, as in the sensors.
"""


def meaning(band: Band) -> Text:
    """Give what a band is in words: what its common name means, else its own name."""
    known = MEANINGS.get(band.common_name or "")
    return known or Text(fr=band.name, en=band.name)
