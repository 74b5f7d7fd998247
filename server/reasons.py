"""Why something is shown or not, in one sentence that a person understands, in French and English; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from auth.models import Action
from mosaics.models import Text

Source = Literal["grant", "crisis", "public", "partner", "licence", "forbid", "key", "institution"]
"""What decided: a grant, the preview tier of a licence, its ceiling, a forbid ..."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asker:
    """Who asks, as people know them."""

    key_id: str | None = None
    institution: str | None = None
    """Name; None: nobody."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One thing that opens, or does not, and what is to be told of it."""

    code: str
    """As in `auth.decision.Decision.code`, or no_layer, revoked."""
    id: str | None = None
    """Of what decided, such as the grant's; None: there is nothing to name."""
    source: Source = "grant"
    by_key: bool = False
    """True where the source would open it, and what the key is narrowed to does not."""
    action: Action = Action.TILE
    limit: float = 0.0
    """Finest detail that it opens, metres per pixel; 0: native."""
    asked: float = 0.0
    """Detail that was asked for, metres per pixel."""
    at: datetime | None = None
    """When it ended, begins, was revoked; of date_window: when the image was taken."""
    distance: float | None = None
    """Metres from here to its area; None: it has none, or nothing of it is left."""
    direction: int = 0
    """Eighths of a turn from north, clockwise: where its area lies from here."""
    event: str | None = None
    """Of a crisis."""
    licence: str | None = None
    """Of the scene that is opened."""
    amount: str = ""
    """Of a quota, such as 1000/month."""
    state: str = ""
    """Of an institution, such as closed."""


def shown(asker: Asker, reason: Reason, *, imagery: bool) -> Text:
    """Say that something is open, and by what.

    Args:
        asker: Who asks.
        reason: What opens it.
        imagery: False where the layer has no image at the place.
    """
    verb = _VERBS[reason.action][0]
    who, source = _asker(asker), _source(reason)
    fine = _fine(reason.limit)
    licence = f"licence {reason.licence}, " if reason.licence else ""
    more = Text(fr="", en="")
    if not imagery:
        more = Text(fr=" Aucune image de la couche ne s'y trouve.", en=" No image of the layer lies there.")
    return Text(
        fr=f"{who.fr} {verb.fr} grâce {_to(source.fr)} ({licence}{fine.fr}).{more.fr}",
        en=f"{who.en} {verb.en} by {source.en} ({licence}{fine.en}).{more.en}",
    )


def refused(asker: Asker, reason: Reason) -> Text:
    """Say that something is not open, and why."""
    verb, who, why = _VERBS[reason.action][1], _asker(asker), because(reason)
    return Text(
        fr=f"{who.fr} {verb.fr} : {why.fr} ({reason.code}).",
        en=f"{who.en} {verb.en}: {why.en} ({reason.code}).",
    )


def dead(asker: Asker, reason: Reason) -> Text:
    """Say that a key opens nothing at all, and why."""
    who, why = _asker(asker), because(reason)
    return Text(
        fr=f"{who.fr} n'ouvre rien : {why.fr} ({reason.code}).",
        en=f"{who.en} opens nothing: {why.en} ({reason.code}).",
    )


def alone(reason: Reason) -> Text:
    """Say why, without who and what: a further reason after the first."""
    why = because(reason)
    return Text(
        fr=f"{why.fr[0].upper()}{why.fr[1:]} ({reason.code}).",
        en=f"{why.en[0].upper()}{why.en[1:]} ({reason.code}).",
    )


def because(reason: Reason) -> Text:
    """Say why in a clause, without who."""
    return _CLAUSES[reason.code](reason)


_VERBS: Final = {
    Action.CATALOGUE: (
        Text(fr="connaît cette couche ici", en="knows this layer here"),
        Text(fr="ne connaît pas cette couche ici", en="does not know this layer here"),
    ),
    Action.PREVIEW: (
        Text(fr="voit l'aperçu de cette couche ici", en="sees the preview of this layer here"),
        Text(fr="ne voit pas l'aperçu de cette couche ici", en="does not see the preview of this layer here"),
    ),
    Action.TILE: (
        Text(fr="voit cette couche ici", en="sees this layer here"),
        Text(fr="ne voit pas cette couche ici", en="does not see this layer here"),
    ),
    Action.INFO: (
        Text(fr="lit les valeurs de cette couche ici", en="reads the values of this layer here"),
        Text(
            fr="ne lit pas les valeurs de cette couche ici", en="does not read the values of this layer here"
        ),
    ),
    Action.EXPORT: (
        Text(fr="exporte cette couche ici", en="exports this layer here"),
        Text(fr="n'exporte pas cette couche ici", en="does not export this layer here"),
    ),
}
"""What is done, and what is not."""

_DIRECTIONS: Final = (
    ("au nord", "north"),
    ("au nord-est", "north-east"),
    ("à l'est", "east"),
    ("au sud-est", "south-east"),
    ("au sud", "south"),
    ("au sud-ouest", "south-west"),
    ("à l'ouest", "west"),
    ("au nord-ouest", "north-west"),
)


def _asker(asker: Asker) -> Text:
    if asker.key_id is not None:
        name = f" ({asker.institution})" if asker.institution else ""
        return Text(fr=f"La clé {asker.key_id}{name}", en=f"The key {asker.key_id}{name}")
    if asker.institution is not None:
        return Text(fr=asker.institution, en=asker.institution)
    return Text(fr="Le public", en="The public")


def _source(reason: Reason) -> Text:
    id_ = reason.id
    event = f" ({reason.event})" if reason.event else ""
    fr, en = {
        "grant": (f"le droit {id_}", f"the grant {id_}"),
        "crisis": (f"le droit de crise {id_}{event}", f"the crisis grant {id_}{event}"),
        "public": (f"l'aperçu public de la licence {id_}", f"the public preview of the licence {id_}"),
        "partner": (
            f"l'aperçu de la licence {id_} pour les partenaires",
            f"the preview of the licence {id_} for partners",
        ),
        "licence": (f"la licence {id_}", f"the licence {id_}"),
        "forbid": (f"l'interdiction {id_}", f"the forbid {id_}"),
        "key": (f"la clé {id_}", f"the key {id_}"),
        "institution": (f"l'institution {id_}", f"the institution {id_}"),
    }[reason.source]
    return Text(fr=fr, en=en)


def _to(source: str) -> str:
    return f"au {source[3:]}" if source.startswith("le ") else f"à {source}"


def _of(source: str) -> str:
    return f"du {source[3:]}" if source.startswith("le ") else f"de {source}"


def _narrowed(reason: Reason) -> Text:
    """Name the key where its own limits decide, else what it would see by."""
    return Text(fr="la clé", en="the key") if reason.by_key else _source(reason)


def _fine(limit: float) -> Text:
    if limit <= 0:
        return Text(fr="à pleine résolution", en="at full resolution")
    return Text(fr=f"à {_fr(limit)} m et plus", en=f"at {_en(limit)} m and coarser")


def _fr(number: float) -> str:
    return _en(number).replace(".", ",")


def _en(number: float) -> str:
    return f"{number:.4g}" if number < 1000 else f"{number:.0f}"


def _day(instant: datetime | None) -> str:
    if instant is None:
        return "?"
    midnight = (instant.hour, instant.minute, instant.second) == (0, 0, 0)
    return f"{instant:%Y-%m-%d}" if midnight else f"{instant:%Y-%m-%d %H:%M} UTC"


def _no_layer(_: Reason) -> Text:
    return Text(fr="il n'y a pas de couche de ce nom", en="there is no layer of that name")


def _no_grant(reason: Reason) -> Text:
    if reason.id is None:
        return Text(fr="aucun droit ne l'ouvre", en="no grant opens it")
    source = _source(reason)
    if reason.by_key:
        return Text(
            fr=f"la clé se limite à d'autres images, alors que {source.fr} l'ouvrirait",
            en=f"the key is limited to other images, though {source.en} would open it",
        )
    return Text(fr=f"il manque une approbation {_to(source.fr)}", en=f"{source.en} lacks an approval")


def _action(reason: Reason) -> Text:
    source = _narrowed(reason)
    return Text(
        fr=f"{source.fr} ne donne pas l'action {reason.action.value}",
        en=f"{source.en} does not give the action {reason.action.value}",
    )


def _origin(reason: Reason) -> Text:
    source = _narrowed(reason)
    return Text(
        fr=f"{source.fr} ne vaut que depuis certains sites ou réseaux",
        en=f"{source.en} holds only from certain sites or networks",
    )


def _quota(reason: Reason) -> Text:
    source = _source(reason)
    return Text(
        fr=f"le quota {_of(source.fr)} est épuisé ({reason.amount})",
        en=f"the quota of {source.en} is used up ({reason.amount})",
    )


def _suspended(reason: Reason) -> Text:
    source = _source(reason)
    state = "fermée" if reason.state == "closed" else "suspendue"
    return Text(fr=f"{source.fr} est {state}", en=f"{source.en} is {reason.state or 'suspended'}")


def _expired(reason: Reason) -> Text:
    source = _source(reason)
    return Text(
        fr=f"{source.fr} a pris fin le {_day(reason.at)}", en=f"{source.en} ended on {_day(reason.at)}"
    )


def _not_yet(reason: Reason) -> Text:
    source = _source(reason)
    return Text(
        fr=f"{source.fr} ne commence que le {_day(reason.at)}",
        en=f"{source.en} begins only on {_day(reason.at)}",
    )


def _revoked(reason: Reason) -> Text:
    source = _source(reason)
    return Text(
        fr=f"{source.fr} a été révoquée le {_day(reason.at)}",
        en=f"{source.en} was revoked on {_day(reason.at)}",
    )


def _date_window(reason: Reason) -> Text:
    source = _narrowed(reason)
    if reason.at is None:
        return Text(
            fr=f"l'image n'a pas de date, et {source.fr} n'ouvre que certaines dates",
            en=f"the image has no date, and {source.en} opens only some dates",
        )
    return Text(
        fr=f"l'image du {_day(reason.at)} est hors des dates d'acquisition {_of(source.fr)}",
        en=f"the image of {_day(reason.at)} is outside the acquisition dates of {source.en}",
    )


def _delegation(reason: Reason) -> Text:
    source = _source(reason)
    return Text(
        fr=f"{source.fr} ne s'étend pas à une clé faite ainsi par une autre",
        en=f"{source.en} does not reach a key that was made so by another",
    )


def _zoom_limit(reason: Reason) -> Text:
    source, fine = _narrowed(reason), _fine(reason.limit)
    return Text(
        fr=f"{source.fr} n'ouvre qu'{fine.fr}, et {_fr(reason.asked)} m est demandé",
        en=f"{source.en} opens only {fine.en}, and {_en(reason.asked)} m was asked for",
    )


def _outside_area(reason: Reason) -> Text:
    source = _narrowed(reason)
    if reason.distance is None:
        return Text(
            fr=f"l'aire {_of(source.fr)} ne couvre pas ce lieu",
            en=f"the area of {source.en} does not hold this place",
        )
    number, unit = _length(reason.distance)
    fr, en = _DIRECTIONS[reason.direction]
    return Text(
        fr=f"l'aire {_of(source.fr)} s'arrête à {_fr(number)} {unit} {fr} d'ici",
        en=f"{source.en} ends its area {_en(number)} {unit} {en} of here",
    )


def _forbidden(reason: Reason) -> Text:
    source = _source(reason)
    return Text(fr=f"{source.fr} s'y oppose", en=f"{source.en} stands against it")


def _length(metres: float) -> tuple[float, str]:
    """Round a length as a person says it."""
    if metres < 1000:
        return max(1, round(metres)), "m"
    return round(metres / 1000, 1 if metres < 10_000 else None), "km"


_CLAUSES: Final[dict[str, Callable[[Reason], Text]]] = {
    "no_layer": _no_layer,
    "no_grant": _no_grant,
    "action": _action,
    "origin": _origin,
    "quota": _quota,
    "suspended": _suspended,
    "expired": _expired,
    "not_yet": _not_yet,
    "revoked": _revoked,
    "date_window": _date_window,
    "delegation": _delegation,
    "zoom_limit": _zoom_limit,
    "outside_area": _outside_area,
    "forbidden": _forbidden,
}
"""Every code that refuses, with its sentence."""
