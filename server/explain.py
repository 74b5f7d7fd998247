"""Which grant, tier or forbid decided about a place of a layer: the one `decide`, told to a person; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from auth.credentials import principal_of
from auth.decision import Principal
from auth.errors import CredentialInvalidError, UnknownIdError
from auth.models import Action, InstitutionStatus, Key
from auth.policy import decide
from auth.reach import UNKNOWN, Circumstances
from auth.rules import key_chain
from auth.snapshot import PolicySnapshot
from mosaics.catalog.index import CatalogIndex
from mosaics.errors import LayerNotFoundError
from mosaics.filters import EVERYTHING, SceneFilter
from mosaics.finding import find_layer
from mosaics.layers import Layer
from mosaics.models import Bounds, Scene, Text
from server.access import is_tier, scene_filter
from server.misses import Misses, Order, Place
from server.reasons import Asker, Reason, alone, dead, refused, shown

_KNOWN_BY: Final = (Action.CATALOGUE, Action.TILE, Action.PREVIEW, Action.INFO)


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One place of one layer."""

    layer_id: str
    longitude: float
    """Degrees."""
    latitude: float
    """Degrees."""
    ground_resolution: float
    """Of what would be shown, metres per pixel."""
    action: Action = Action.TILE
    """One that can be granted."""
    time: str | None = None
    """As in a request; None: the default."""
    circumstances: Circumstances = UNKNOWN
    """From where it would come."""
    exhausted: frozenset[str] = frozenset()
    """Grants whose quota is used up."""

    @property
    def place(self) -> Place:
        """Where, and how fine."""
        return Place(
            longitude=self.longitude, latitude=self.latitude, ground_resolution=self.ground_resolution
        )


_MOST_TOLD_OF: Final = 256
"""Scenes that are asked about where none lies at the place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """What was decided, and why."""

    code: str
    """ok, no_layer, forbidden, zoom_limit, outside_area, suspended, revoked, or one of REFUSALS."""
    ids: tuple[str, ...]
    """Of what decided: grants, `licence:ID:public`, `licence:ID` (a ceiling), forbids, a key."""
    sentence: Text
    scene: str | None = None
    """Of which scene it is told."""
    imagery: bool = True
    """False where the layer has no image at the place, so that only rights are told of."""
    others: tuple[Explanation, ...] = ()
    """What else does not open it, the nearest miss first."""

    @property
    def allowed(self) -> bool:
        """True where it is shown."""
        return self.code == "ok"

    def document(self) -> dict[str, Any]:
        """Write it for programs."""
        document: dict[str, Any] = {
            "code": self.code,
            "allowed": self.allowed,
            "ids": list(self.ids),
            "sentence": {"fr": self.sentence.fr, "en": self.sentence.en},
            "scene": self.scene,
            "imagery": self.imagery,
        }
        if self.others:
            document["others"] = [other.document() for other in self.others]
        return document


def explain_key(
    snapshot: PolicySnapshot,
    index: CatalogIndex,
    key_id: str,
    question: Question,
    now: datetime,
    *,
    only_known: bool = False,
) -> Explanation:
    """Explain what a key sees; a dead one opens nothing, and that is told.

    Args:
        snapshot: All rights.
        index: The catalogue.
        key_id: Which key.
        question: What for.
        now: The clock, with a time zone.
        only_known: Whether a layer that the key may not know of is told as if it were missing.

    Raises:
        UnknownIdError: If there is no such key.
        TimeNotFoundError: If the layer has no such time.
    """
    key = snapshot.keys.get(key_id)
    if key is None:
        raise UnknownIdError("key", key_id)
    try:
        principal = principal_of(snapshot, key, now)
    except CredentialInvalidError:
        reason = replace(_death(snapshot, key, now), action=question.action)
        asker = Asker(key_id=key.id, institution=_name(snapshot, key.institution_id))
        ids = () if reason.id is None else (reason.id,)
        return Explanation(code=reason.code, ids=ids, sentence=dead(asker, reason))
    return explain(snapshot, index, principal, question, now, only_known=only_known)


def explain(
    snapshot: PolicySnapshot,
    index: CatalogIndex,
    principal: Principal,
    question: Question,
    now: datetime,
    *,
    only_known: bool = False,
) -> Explanation:
    """Explain what a caller sees of a layer at a place.

    It is ok exactly when the filter of the decision opens the place, at the resolution, of a scene that lies
    there; where none does, of any scene of the layer.

    Args:
        snapshot: All rights.
        index: The catalogue.
        principal: Who asks.
        question: What for.
        now: The clock, with a time zone.
        only_known: Whether a layer that the caller may not know of is told as if it were missing.

    Raises:
        TimeNotFoundError: If the layer has no such time.
    """
    asker = Asker(key_id=principal.key_id, institution=_name(snapshot, principal.institution_id))
    decision = decide(
        snapshot,
        principal,
        question.action,
        now,
        circumstances=question.circumstances,
        exhausted=question.exhausted,
    )
    layer = _layer(index, question, EVERYTHING)
    if layer is not None and only_known and not _knows(snapshot, index, principal, question, now):
        layer = None
    if layer is None:
        reason = Reason(code="no_layer", action=question.action)
        return Explanation(code=reason.code, ids=(), sentence=refused(asker, reason), imagery=False)
    there = _there(layer, question)
    opened = scene_filter(decision)
    misses = Misses(
        snapshot,
        decision,
        opened,
        question.place,
        action=question.action,
        circumstances=question.circumstances,
    )
    told = _Told(question, opened, misses, there or _first(layer, question), asker=asker, imagery=bool(there))
    if decision.code == "suspended":
        id_ = principal.institution_id
        return told.suspended(id_, _state(snapshot, id_))
    return told.opened() or told.refused()


class _Told:
    """One question, decided, and the scenes that it is about."""

    def __init__(
        self,
        question: Question,
        opened: SceneFilter,
        misses: Misses,
        scenes: tuple[Scene, ...],
        *,
        asker: Asker,
        imagery: bool,
    ) -> None:
        self._question = question
        self._filter = opened
        self._misses = misses
        self._scenes = scenes
        self._asker = asker
        self._imagery = imagery

    def opened(self) -> Explanation | None:
        """Tell what opens the place; None: nothing does."""
        place = self._question.place
        for scene in self._scenes:
            opening = self._filter.opening(scene, place.ground_resolution)
            if opening is None or not place.inside(opening.area):
                continue
            limits = {
                opener.rule.label: opener.limit
                for opener in self._filter.openers_at(scene, place.longitude, place.latitude)
            }
            openers = sorted(
                (is_tier(label), limits.get(label, part.rule.fineness.limit(scene)), label)
                for part in opening.parts
                if place.meets(part.area)
                for label in (part.rule.label,)
            )
            _, limit, label = openers[0]
            reason = self._misses.reason("ok", label, limit=limit, licence=scene.licence_id)
            return Explanation(
                code="ok",
                ids=tuple(label for _, _, label in openers),
                sentence=shown(self._asker, reason, imagery=self._imagery),
                scene=_scene_id(scene),
                imagery=self._imagery,
            )
        return None

    def suspended(self, institution_id: str | None, state: str) -> Explanation:
        """Tell that the institution has no rights at all."""
        reason = Reason(
            code="suspended",
            id=institution_id,
            source="institution",
            action=self._question.action,
            state=state,
        )
        return self._refused(reason, self._scenes[0])

    def refused(self) -> Explanation:
        """Tell the nearest miss, and the others after it."""
        found: dict[tuple[str, str], tuple[Order, Reason, Scene]] = {}
        for scene in self._scenes:
            for order, reason in self._misses.of(scene):
                key = (_label(reason), reason.code)
                if key not in found or order < found[key][0]:
                    found[key] = order, reason, scene
        nearest, *others = sorted(found.values(), key=lambda miss: (miss[0], _label(miss[1]))) or [
            ((), Reason(code="no_grant", action=self._question.action), self._scenes[0])
        ]
        told = self._refused(nearest[1], nearest[2])
        return replace(
            told,
            others=tuple(
                replace(self._refused(reason, scene), sentence=alone(reason)) for _, reason, scene in others
            ),
        )

    def _refused(self, reason: Reason, scene: Scene) -> Explanation:
        return Explanation(
            code=reason.code,
            ids=() if reason.id is None else (_label(reason),),
            sentence=refused(self._asker, reason),
            scene=_scene_id(scene),
            imagery=self._imagery,
        )


def _layer(index: CatalogIndex, question: Question, opened: SceneFilter) -> Layer | None:
    """Give the layer that is asked about as a filter leaves it; None: it leaves nothing of that time."""
    try:
        layer = find_layer(index, question.layer_id, opened)
        whole = layer if opened is EVERYTHING else find_layer(index, question.layer_id, EVERYTHING)
    except LayerNotFoundError:
        return None
    return layer if layer.has(whole.span(question.time)) else None


def _there(layer: Layer, question: Question) -> tuple[Scene, ...]:
    """Give the scenes that lie at the place, newest first."""
    place = question.place
    box = Bounds(place.longitude, place.latitude, place.longitude, place.latitude)
    made = (found.scene for found in layer.places(box, layer.span(question.time)))
    return tuple(scene for scene in made if scene is not None and place.meets(scene.footprint))


def _first(layer: Layer, question: Question) -> tuple[Scene, ...]:
    """Give the newest scenes of a layer, where none lies at the place."""
    made = (found.scene for found in layer.places(span=layer.span(question.time))[:_MOST_TOLD_OF])
    return tuple(scene for scene in made if scene is not None)


def _knows(
    snapshot: PolicySnapshot, index: CatalogIndex, principal: Principal, question: Question, now: datetime
) -> bool:
    """Tell whether the caller may know of a layer in any way."""
    filters = (
        scene_filter(decide(snapshot, principal, action, now, circumstances=question.circumstances))
        for action in _KNOWN_BY
    )
    return any(_layer(index, question, opened) is not None for opened in filters)


def _death(snapshot: PolicySnapshot, key: Key, now: datetime) -> Reason:
    """Tell why a key that lives no more does not: it or one above it, or its institution."""
    try:
        chain = key_chain(snapshot, key)
    except UnknownIdError:
        return Reason(code="no_grant")
    for each in chain:
        if each.revoked is not None:
            return Reason(code="revoked", id=each.id, source="key", at=each.revoked)
        if each.expires is not None and each.expires <= now:
            return Reason(code="expired", id=each.id, source="key", at=each.expires)
    id_ = key.institution_id
    return Reason(code="suspended", id=id_, source="institution", state=_state(snapshot, id_))


def _state(snapshot: PolicySnapshot, institution_id: str | None) -> str:
    institution = snapshot.institutions.get(institution_id or "")
    return (institution.status if institution else InstitutionStatus.CLOSED).value


def _name(snapshot: PolicySnapshot, institution_id: str | None) -> str | None:
    institution = snapshot.institutions.get(institution_id or "")
    return institution_id if institution is None else institution.name


def _scene_id(scene: Scene) -> str:
    return f"{scene.collection_id}:{scene.id}"


def _label(reason: Reason) -> str:
    if reason.source in {"public", "partner"}:
        return f"licence:{reason.id}:{reason.source}"
    return f"licence:{reason.id}" if reason.source == "licence" else reason.id or ""
