"""OWS exceptions of WMTS: what is wrong, and the report that says so.

Locators are spelled as the OGC conformance suite (ets-wmts10) expects them: a missing parameter is named
`layer`, `style`, `format`, `infoFormat`, an invalid one `layer`, `Style`, `format`, `InfoFormat`.
"""

from __future__ import annotations

from typing import Literal

from mosaics.models import Text
from server.wmts.language import Language, in_language
from server.wmts.templating import render

MEDIA_TYPE = "application/xml"
"""Media type of an exception report, and of the capabilities."""

ExceptionCode = Literal[
    "OperationNotSupported",
    "MissingParameterValue",
    "InvalidParameterValue",
    "VersionNegotiationFailed",
    "InvalidUpdateSequence",
    "NoApplicableCode",
    "TileOutOfRange",
    "PointIJOutOfRange",
]
"""Source: OGC 06-121r3 table 27, OGC 07-057r7 tables 24 and 31."""


class OwsError(Exception):
    """A request that is answered by an exception report."""

    def __init__(
        self, code: ExceptionCode, message: Text, *, locator: str | None = None, status: int = 400
    ) -> None:
        """Hold what the report says.

        Args:
            code: Exception code.
            message: What the caller can act on; it never repeats a name that the caller sent.
            locator: The parameter or operation that is wrong, spelled by us.
            status: HTTP status of the answer.
        """
        super().__init__(message.en)
        self.code = code
        self.message = message
        self.locator = locator
        self.status = status


def missing(locator: str) -> OwsError:
    """Make the error for a mandatory parameter that is absent or empty."""
    message = Text(
        fr=f"Le paramètre {locator} manque ou est vide.",
        en=f"The parameter {locator} is missing or empty.",
    )
    return OwsError("MissingParameterValue", message, locator=locator)


def invalid(locator: str) -> OwsError:
    """Make the error for a value that is malformed, unknown, or that this caller may not know of."""
    message = Text(
        fr=f"La valeur du paramètre {locator} n'est pas valable.",
        en=f"The value of the parameter {locator} is not valid.",
    )
    return OwsError("InvalidParameterValue", message, locator=locator)


def contradictory(locator: str) -> OwsError:
    """Make the error for a parameter that is given twice with two values."""
    message = Text(
        fr=f"Le paramètre {locator} est donné plusieurs fois avec des valeurs différentes.",
        en=f"The parameter {locator} is given several times with different values.",
    )
    return OwsError("InvalidParameterValue", message, locator=locator)


def tile_out_of_range(locator: Literal["TileRow", "TileCol"]) -> OwsError:
    """Make the error for a row or column that the tile matrix does not have."""
    message = Text(
        fr=f"{locator} est hors de la matrice de tuiles.",
        en=f"{locator} is outside the tile matrix.",
    )
    return OwsError("TileOutOfRange", message, locator=locator)


def version_negotiation_failed() -> OwsError:
    """Make the error for AcceptVersions without 1.0.0; it has no locator."""
    message = Text(
        fr="Aucune des versions acceptées n'est offerte : ce service parle WMTS 1.0.0.",
        en="None of the accepted versions is offered: this service speaks WMTS 1.0.0.",
    )
    return OwsError("VersionNegotiationFailed", message)


def invalid_update_sequence() -> OwsError:
    """Make the error for an updateSequence beyond the current one; it has no locator."""
    message = Text(
        fr="La valeur de updateSequence est supérieure à celle du service.",
        en="The value of updateSequence is greater than the service's.",
    )
    return OwsError("InvalidUpdateSequence", message)


def feature_info_not_supported() -> OwsError:
    """Make the error for GetFeatureInfo on a layer that has no information format (501)."""
    message = Text(
        fr="Cette couche ne répond pas à GetFeatureInfo.",
        en="This layer does not answer GetFeatureInfo.",
    )
    return OwsError("OperationNotSupported", message, locator="GetFeatureInfo", status=501)


def not_acceptable() -> OwsError:
    """Make the error for an Accept header that no form of the document satisfies (406)."""
    message = Text(
        fr=f"Ce document n'existe qu'en {MEDIA_TYPE}.",
        en=f"This document exists as {MEDIA_TYPE} only.",
    )
    return OwsError("NoApplicableCode", message, status=406)


def refused(status: int, message: Text) -> OwsError:
    """Make the error for what OWS has no code for, such as 401, 403, 404, 429, 502, 503."""
    return OwsError("NoApplicableCode", message, status=status)


def render_exception(error: OwsError, language: Language) -> bytes:
    """Render an exception report.

    Args:
        error: What is wrong.
        language: Language of the message, stated in xml:lang.

    Returns:
        UTF-8 XML of media type `MEDIA_TYPE`, valid against owsExceptionReport.xsd.

    Source: OGC 06-121r3 (OWS Common 1.1.0), 8.
    """
    return render(
        "exception.xml",
        language=language,
        code=error.code,
        locator=error.locator,
        message=in_language(error.message, language),
    )
