"""Facts to status codes: the one table, and the answers made of it in each protocol's form."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from auth.errors import (
    AlreadyExistsError,
    CredentialInvalidError,
    InvalidRightError,
    PolicyUnavailableError,
    StillNamedError,
    TokenRefusedError,
    UnknownIdError,
)
from mosaics.errors import (
    BandsNotFoundError,
    CatalogReadOnlyError,
    CatalogUnavailableError,
    ChangeUnsuitableError,
    ColormapNotFoundError,
    DefinitionInvalidError,
    GridNotFoundError,
    IndexNotFoundError,
    LayerNotFoundError,
    MosaicNotFoundError,
    NameTakenError,
    NobodyWaitsError,
    SceneUnreadableError,
    StyleFormatError,
    StyleNotFoundError,
    StyleUnsuitableError,
    TileOutsideGridError,
    TimeNotFoundError,
)
from mosaics.models import Text
from server.access import AccessDeniedError
from server.administration import RightChangedError
from server.admission import DeadlinePassedError, OverloadedError
from server.answers import Answer, problem
from server.client import ClientGoneError
from server.identity import CredentialConflictError
from server.requests import BadRequestError, TooLargeError
from server.routing import Protocol
from server.usage.meter import QuotaExceededError, QuotaUnavailableError, RateExceededError
from server.wmts.exceptions import MEDIA_TYPE as OWS_MEDIA_TYPE
from server.wmts.exceptions import ExceptionCode, OwsError, render_exception
from server.wmts.language import Language, in_language

CHALLENGE = (("WWW-Authenticate", 'Basic realm="dinamis-flux"'),)
TOKEN_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="dinamis-flux", error="invalid_token"'),)
PAGE_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="dinamis-flux"'),)
"""For what a page's script or image asks: to Basic a browser opens its login window, over the page."""
RETRY = (("Retry-After", "5"),)


class RouteNotFoundError(Exception):
    """No route has this path."""


class MethodNotAllowedError(Exception):
    """The path does not take this method."""

    def __init__(self, methods: frozenset[str]) -> None:
        super().__init__("method not allowed")
        self.methods = methods
        """Those that it takes."""


class CredentialRequiredError(Exception):
    """Nothing of this is public; the same for what exists and what does not."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """How an error is told."""

    status: int
    code: str
    """Stable word of problem documents."""
    said: Text | None = None
    """Sentence for the person who can act; None: the error's own message, which echoes nothing."""
    locator: str | None = None
    """OWS: the parameter that is wrong; with one, the code is InvalidParameterValue."""
    headers: tuple[tuple[str, str], ...] = ()


def _fact(status: int, code: str, fr: str, en: str, **more: Any) -> Fact:
    return Fact(status=status, code=code, said=Text(fr=fr, en=en), **more)


FACTS: dict[type[Exception], Fact] = {
    CredentialRequiredError: _fact(
        401, "credential_required", "Une clé est nécessaire ici.", "A key is needed here.", headers=CHALLENGE
    ),
    CredentialInvalidError: _fact(
        401, "credential_invalid", "La clé n'est pas valable.", "The key is not valid.", headers=CHALLENGE
    ),
    TokenRefusedError: _fact(
        401,
        "token_invalid",
        "Le jeton n'est pas valable.",
        "The token is not valid.",
        headers=TOKEN_CHALLENGE,
    ),
    CredentialConflictError: _fact(
        400,
        "credential_conflict",
        "Deux clés différentes dans une requête.",
        "Two different keys in one request.",
    ),
    AccessDeniedError: _fact(
        403, "forbidden", "Vos droits n'ouvrent pas cela.", "Your rights do not open this."
    ),
    LayerNotFoundError: _fact(
        404, "not_found", "Cette couche n'existe pas.", "There is no such layer.", locator="layer"
    ),
    RouteNotFoundError: _fact(
        404, "no_such_route", "Rien n'est servi à cette adresse.", "Nothing is served at this address."
    ),
    MethodNotAllowedError: _fact(
        405,
        "method_not_allowed",
        "Cette adresse ne prend pas cette méthode.",
        "This address does not take this method.",
    ),
    GridNotFoundError: _fact(
        404,
        "grid_not_found",
        "Cette grille n'existe pas.",
        "There is no such tile matrix set.",
        locator="TileMatrixSet",
    ),
    TileOutsideGridError: _fact(404, "outside_grid", "Hors de la grille.", "Outside the tile matrix set."),
    StyleNotFoundError: _fact(
        400, "style_not_found", "La couche n'a pas ce style.", "The layer has no such style.", locator="Style"
    ),
    StyleFormatError: _fact(
        400,
        "format_unfit",
        "Ce style ne se sert pas dans ce format : demandez png.",
        "This style is not given in this format: ask for png.",
        locator="format",
    ),
    IndexNotFoundError: _fact(400, "index_not_found", "Cet indice n'existe pas.", "There is no such index."),
    ColormapNotFoundError: _fact(
        400,
        "colormap_not_found",
        "Cette palette de couleurs n'existe pas.",
        "There is no such colour map.",
    ),
    BandsNotFoundError: _fact(
        400,
        "bands_not_found",
        "Aucune image de la couche n'a ces bandes.",
        "No image of the layer has these bands.",
    ),
    StyleUnsuitableError: _fact(
        400,
        "style_unsuitable",
        "Le style ne prend pas ces paramètres : une palette veut un seul canal, les intervalles de valeurs"
        " sont un pour tous les canaux ou un par canal, et un relief ombré n'en prend aucun.",
        "The style does not take these parameters: a colour map wants one channel, ranges are one for all"
        " channels or one for each, and a shaded relief takes none.",
    ),
    ChangeUnsuitableError: _fact(
        400,
        "change_unsuitable",
        "Deux dates se comparent par une seule valeur : demandez un indice, des hauteurs ou une bande, et"
        " rescale=MIN,MAX où rien ne dit l'échelle des différences.",
        "Two dates are compared by one value: ask for an index, heights or one band, and for rescale=LOW,HIGH"
        " where nothing says the scale of differences.",
    ),
    TimeNotFoundError: _fact(
        400, "time_not_found", "La couche n'a pas cette date.", "The layer has no such date.", locator="Time"
    ),
    BadRequestError: Fact(status=400, code="bad_request"),
    TooLargeError: Fact(status=422, code="too_large"),
    UnknownIdError: _fact(404, "no_such_right", "Cet identifiant n'existe pas.", "There is no such id."),
    RightChangedError: _fact(
        412,
        "changed",
        "Ce n'est plus ce que vous avez lu : relisez-le.",
        "This is not as you have read it: read it again.",
    ),
    AlreadyExistsError: Fact(status=409, code="already_exists"),
    StillNamedError: Fact(status=409, code="still_named"),
    InvalidRightError: Fact(status=422, code="invalid_right"),
    MosaicNotFoundError: _fact(
        404, "no_such_mosaic", "Cette mosaïque n'existe pas.", "There is no such mosaic."
    ),
    NameTakenError: _fact(
        409,
        "name_taken",
        "Une collection ou une mosaïque a déjà cet identifiant.",
        "A collection or a mosaic has that id already.",
    ),
    DefinitionInvalidError: Fact(status=422, code="invalid_definition"),
    RateExceededError: _fact(429, "rate", "Trop de demandes à la fois.", "Too many requests at once."),
    QuotaExceededError: _fact(
        429, "quota", "Le quota de votre droit est épuisé.", "The quota of your grant is used up."
    ),
    QuotaUnavailableError: _fact(
        503,
        "quota_unavailable",
        "Le quota ne peut pas être vérifié en ce moment.",
        "The quota can't be checked just now.",
        headers=RETRY,
    ),
    OverloadedError: _fact(
        503,
        "overloaded",
        "Le serveur a trop à faire en ce moment : réessayez un peu plus tard.",
        "The server has too much to do just now: try again a little later.",
        headers=RETRY,
    ),
    DeadlinePassedError: _fact(
        503,
        "too_late",
        "La réponse n'a pas pu être faite à temps : réessayez un peu plus tard.",
        "The answer could not be made in time: try again a little later.",
        headers=RETRY,
    ),
    ClientGoneError: _fact(499, "client_gone", "Le client est parti.", "The client has gone."),
    NobodyWaitsError: _fact(499, "abandoned", "Personne n'attend plus.", "Nobody waits any more."),
    SceneUnreadableError: _fact(
        502,
        "source_unreadable",
        "Un fichier source ne peut pas être lu.",
        "A source file can't be read.",
        headers=RETRY,
    ),
    PolicyUnavailableError: _fact(
        503,
        "rights_unavailable",
        "Les droits ne peuvent pas être lus en ce moment.",
        "The rights can't be read just now.",
        headers=RETRY,
    ),
    CatalogReadOnlyError: _fact(
        409,
        "catalogue_read_only",
        "Les scènes et les collections sont tenues dans pgSTAC : changez-les avec ses propres outils.",
        "Scenes and collections are kept in pgSTAC: change them with its own tools.",
    ),
    CatalogUnavailableError: _fact(
        503,
        "catalogue_unavailable",
        "Le catalogue ne peut pas être lu en ce moment.",
        "The catalogue can't be read just now.",
        headers=RETRY,
    ),
}

INTERNAL = _fact(
    500,
    "internal",
    "Une erreur interne ; son numéro de requête la nomme dans le journal.",
    "An internal error; the request id names it in the log.",
)


def fact_of(error: Exception) -> Fact:
    """Give how an error is told: as it says itself, else by its nearest listed class."""
    if isinstance(error, OwsError):
        return Fact(status=error.status, code="ows", said=error.message)
    for kind in type(error).__mro__:
        if kind in FACTS:
            return FACTS[kind]
    return INTERNAL


def answer_for(
    error: Exception, *, protocol: Protocol, kvp: bool, language: str, by_page: bool = False
) -> Answer:
    """Make the answer of an error in the protocol's own form.

    Args:
        error: What was raised.
        protocol: The route's protocol.
        kvp: True for OWS key-value requests, where wrong values are 400 (the conformance suite asserts it).
        language: fr or en.
        by_page: True where a browser asks for a page that it shows, not for the page itself.
    """
    spoken: Language = "en" if language == "en" else "fr"
    if isinstance(error, OwsError):
        return _ows_answer(error, spoken, ())
    fact = _with_data(fact_of(error), error)
    if by_page and fact.headers == CHALLENGE:
        fact = replace(fact, headers=PAGE_CHALLENGE)
    words = error.reason if isinstance(error, DefinitionInvalidError) else str(error)
    said = fact.said or Text(fr=words, en=words)
    if protocol == "problem":
        code = error.code if isinstance(error, AccessDeniedError) else fact.code
        return problem(fact.status, code, in_language(said, spoken), fact.headers)
    return _ows_answer(_as_ows(error, fact, said, kvp=kvp), spoken, fact.headers)


def _with_data(fact: Fact, error: Exception) -> Fact:
    """Add the headers that hold something of the error itself."""
    if isinstance(error, RateExceededError | QuotaExceededError | OverloadedError):
        return replace(fact, headers=(("Retry-After", str(max(1, math.ceil(error.seconds)))),))
    if isinstance(error, MethodNotAllowedError):
        return replace(fact, headers=(("Allow", ", ".join(sorted(error.methods | {"OPTIONS"}))),))
    return fact


def _as_ows(error: Exception, fact: Fact, said: Text, *, kvp: bool) -> OwsError:
    status = 400 if kvp and fact.status == 404 else fact.status
    if isinstance(error, TileOutsideGridError):
        locator = {"matrix": "TileMatrix", "row": "TileRow", "col": "TileCol"}[error.part]
        code: ExceptionCode = "InvalidParameterValue" if error.part == "matrix" else "TileOutOfRange"
        return OwsError(code, said, locator=locator, status=status)
    if fact.locator is not None:
        return OwsError("InvalidParameterValue", said, locator=fact.locator, status=status)
    return OwsError("NoApplicableCode", said, status=fact.status)


def _ows_answer(error: OwsError, language: Language, headers: tuple[tuple[str, str], ...]) -> Answer:
    return Answer(
        status=error.status,
        body=render_exception(error, language),
        media_type=OWS_MEDIA_TYPE,
        headers=headers,
        cacheable=False,
    )
