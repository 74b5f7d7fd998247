"""Which grant, tier or forbid decided about a place of a layer: the one `decide`, told to a person; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from auth.credentials import principal_of
from auth.decision import REFUSALS, Allowance, Decision, Principal, Refusal
from auth.errors import CredentialInvalidError, UnknownIdError
from auth.models import Action, Grant, GrantKind, InstitutionStatus, Key
from auth.policy import decide
from auth.reach import UNKNOWN, Circumstances
from auth.rules import key_chain
from auth.snapshot import PolicySnapshot
from mosaics.catalog.index import CatalogIndex
from mosaics.errors import LayerNotFoundError
from mosaics.filters import EVERYTHING, Fineness, Part, SceneFilter, SceneRule
from mosaics.geodesy import GEOD
from mosaics.layers import find_layer
from mosaics.models import Scene, Text
from server.access import is_tier, scene_filter
from server.reasons import Asker, Reason, Source, dead, refused, shown

_AT_THE_PLACE: Final = ("forbidden", "zoom_limit", "outside_area")
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
    snapshot: PolicySnapshot, index: CatalogIndex, key_id: str, question: Question, now: datetime
) -> Explanation:
    """Explain what a key sees; a dead one opens nothing, and that is told.

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
    return explain(snapshot, index, principal, question, now)


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
    scenes = _scenes(index, question)
    if scenes and only_known and not _knows(snapshot, principal, question, now, scenes):
        scenes = ()
    if not scenes:
        reason = Reason(code="no_layer", action=question.action)
        return Explanation(code=reason.code, ids=(), sentence=refused(asker, reason), imagery=False)
    there = tuple(s for s in scenes if _meets(s.footprint, question))
    place = _Place(
        snapshot, principal, question, decision, scene_filter(decision), there or scenes, imagery=bool(there)
    )
    return place.opened(asker) or place.refused(asker)


class _Place:
    """One question, decided, to the scenes that it is about."""

    def __init__(  # noqa: PLR0917 - private, called once
        self,
        snapshot: PolicySnapshot,
        principal: Principal,
        question: Question,
        decision: Decision,
        opened: SceneFilter,
        scenes: tuple[Scene, ...],
        *,
        imagery: bool,
    ) -> None:
        self._snapshot = snapshot
        self._principal = principal
        self._question = question
        self._decision = decision
        self._filter = opened
        self._scenes = scenes
        self._imagery = imagery

    def opened(self, asker: Asker) -> Explanation | None:
        """Tell what opens the place; None: nothing does."""
        question = self._question
        for scene in self._scenes:
            opening = self._filter.opening(scene, question.ground_resolution)
            if opening is None or not _inside(opening.area, question):
                continue
            parts = [p for p in opening.parts if p.area is None or _meets(p.area, question)]
            limits = {
                opener.rule.label: opener.limit
                for opener in self._filter.openers_at(scene, question.longitude, question.latitude)
            }

            def order(part: Part, scene: Scene = scene, limits: dict[str, float] = limits) -> Any:
                label = part.rule.label
                return is_tier(label), limits.get(label, part.rule.fineness.limit(scene)), label

            parts.sort(key=order)
            _, limit, label = order(parts[0])
            reason = self._reason("ok", label, limit=limit, licence=scene.licence_id)
            return Explanation(
                code="ok",
                ids=tuple(part.rule.label for part in parts),
                sentence=shown(asker, reason, imagery=self._imagery),
                scene=_scene_id(scene),
                imagery=self._imagery,
            )
        return None

    def refused(self, asker: Asker) -> Explanation:
        """Tell the nearest miss, and the others after it."""
        if self._decision.code == "suspended":
            id_ = self._principal.institution_id
            reason = Reason(
                code="suspended",
                id=id_,
                source="institution",
                action=self._question.action,
                state=_state(self._snapshot, id_),
            )
            misses = [(reason, self._scenes[0])]
        else:
            misses = self._misses()
        told = [
            Explanation(
                code=reason.code,
                ids=() if reason.id is None else (_label(reason),),
                sentence=refused(asker, reason),
                scene=_scene_id(scene),
                imagery=self._imagery,
            )
            for reason, scene in misses
        ]
        return replace(told[0], others=tuple(told[1:]))

    def _misses(self) -> list[tuple[Reason, Scene]]:
        """Give what does not open the place, each once, the nearest first."""
        found: dict[tuple[str, str | None], tuple[tuple[int, ...], Reason, Scene]] = {}
        for scene in self._scenes:
            for order, reason in (*self._missed_rules(scene), *self._missed_grants(scene)):
                key = (_label(reason), reason.code)
                if key not in found or order < found[key][0]:
                    found[key] = order, reason, scene
        ordered = sorted(found.values(), key=lambda miss: (miss[0], miss[1].id or ""))
        if not ordered:
            return [(Reason(code="no_grant", action=self._question.action), self._scenes[0])]
        return [(reason, scene) for _, reason, scene in ordered]

    def _missed_rules(self, scene: Scene) -> Iterator[tuple[tuple[int, ...], Reason]]:
        """Tell of each grant and tier that holds, why it does not open the place of a scene."""
        for allowance, rule in zip(self._decision.allowances, self._filter.rules, strict=True):
            tier = int(is_tier(rule.label))
            if rule.scenes.holds(scene):
                reasons = list(self._at_the_place(allowance, rule, scene))
                reasons.sort(key=lambda reason: _AT_THE_PLACE.index(reason.code))
                yield (0, len(reasons), tier, _AT_THE_PLACE.index(reasons[0].code)), reasons[0]
            elif replace(rule.scenes, acquired_from=None, acquired_before=None).holds(scene):
                grant = self._snapshot.grants.get(rule.label)
                window = None if grant is None else grant.acquired
                by_key = window is None or scene.acquired is None or window.contains(scene.acquired)
                reason = self._reason("date_window", rule.label, by_key=by_key, at=scene.acquired)
                yield (1, REFUSALS.index("date_window"), tier, 0), reason
            elif self._granted(rule.label, scene):
                yield (
                    (1, REFUSALS.index("no_grant"), tier, 0),
                    self._reason("no_grant", rule.label, by_key=True),
                )

    def _at_the_place(self, allowance: Allowance, rule: SceneRule, scene: Scene) -> Iterator[Reason]:
        """Give everything that keeps a rule which holds a scene from opening the place of it."""
        question, asked, made = self._question, self._question.ground_resolution, False
        for exclusion, cut in zip(allowance.exclusions, rule.exclusions, strict=True):
            if not cut.closes(scene, asked) or not (cut.area is None or _meets(cut.area, question)):
                continue
            made = True
            if cut.finer_than is None:
                yield Reason(code="forbidden", id=exclusion.id, source="forbid", action=question.action)
            else:
                limit = cut.finer_than.limit(scene)
                yield self._reason("zoom_limit", exclusion.id, limit=limit, asked=asked)
        if SceneFilter((replace(rule, area=None, exclusions=()),)).opening(scene, asked) is None:
            made = True
            by_key = not _too_fine(self._own_limit(rule.label, scene), asked)
            limit = rule.fineness.limit(scene)
            yield self._reason("zoom_limit", rule.label, by_key=by_key, limit=limit, asked=asked)
        if not _inside(rule.area, question) or not made:
            grant = self._snapshot.grants.get(rule.label)
            own = None if grant is None or grant.area is None else shapely.from_wkb(grant.area.wkb)
            distance, direction = _way(rule.area, question)
            yield self._reason(
                "outside_area",
                rule.label,
                by_key=_inside(own, question),
                distance=distance,
                direction=direction,
            )

    def _missed_grants(self, scene: Scene) -> Iterator[tuple[tuple[int, ...], Reason]]:
        """Tell of each grant that opens nothing now, though it names the scene, why."""
        for refusal in self._decision.refusals:
            if self._granted(refusal.grant_id, scene):
                yield (1, REFUSALS.index(refusal.code), 0, 0), self._of_refusal(refusal)

    def _of_refusal(self, refusal: Refusal) -> Reason:
        code, grant = refusal.code, self._snapshot.grants[refusal.grant_id]
        more: dict[str, Any] = {}
        if code == "action":
            more["by_key"] = self._question.action in grant.actions
        elif code == "origin":
            more["by_key"] = grant.conditions.hold(self._question.circumstances)
        elif code in {"expired", "not_yet"}:
            more["at"] = grant.valid.end if code == "expired" else grant.valid.start
        elif code == "date_window" or (code == "no_grant" and grant.approved):
            more["by_key"] = True
        elif code == "quota" and grant.quota is not None:
            more["amount"] = f"{grant.quota.amount}/{grant.quota.period}"
        return self._reason(code, grant.id, **more)

    def _granted(self, grant_id: str, scene: Scene) -> bool:
        """Tell whether a grant names a scene, whatever the key leaves of it."""
        grant = self._snapshot.grants.get(grant_id)
        return grant is not None and _names(grant, scene)

    def _own_limit(self, label: str, scene: Scene) -> float:
        """Give the limit of a grant or tier itself, without what narrows the key."""
        grant = self._snapshot.grants.get(label)
        if grant is not None:
            return grant.finest_ground_resolution or 0.0
        _, licence_id, name = label.split(":")
        tier = getattr(self._snapshot.licences[licence_id], name)
        return Fineness(ground_resolution=tier.ground_resolution, times_pan=tier.times_pan).limit(scene)

    def _reason(self, code: str, label: str, **more: Any) -> Reason:
        """Make a reason that names a grant, a tier or a ceiling by its label."""
        grant = self._snapshot.grants.get(label)
        source: Source = "grant"
        event = None
        if grant is not None:
            id_ = grant.id
            if grant.kind is GrantKind.CRISIS:
                source, event = "crisis", grant.event_id
        else:
            _, id_, *tier = label.split(":")
            source = "licence" if not tier else "public" if tier == ["public"] else "partner"
        return Reason(code=code, id=id_, source=source, event=event, action=self._question.action, **more)


def _scenes(index: CatalogIndex, question: Question) -> tuple[Scene, ...]:
    """Give the scenes of a layer at a time, newest first; none where there is no such layer."""
    try:
        layer = find_layer(index, question.layer_id, EVERYTHING)
    except LayerNotFoundError:
        return ()
    span = layer.span(question.time)
    return tuple(scene for scene in layer.scenes if span.holds(scene))


def _knows(
    snapshot: PolicySnapshot,
    principal: Principal,
    question: Question,
    now: datetime,
    scenes: Iterable[Scene],
) -> bool:
    """Tell whether the caller may know of a layer in any way."""
    known = tuple(scenes)
    filters = (
        scene_filter(decide(snapshot, principal, action, now, circumstances=question.circumstances))
        for action in _KNOWN_BY
    )
    return any(opened.sees(scene) for opened in filters for scene in known)


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


def _names(grant: Grant, scene: Scene) -> bool:
    selector = grant.selector
    return all(
        names is None or value in names
        for names, value in (
            (selector.collections, scene.collection_id),
            (selector.licences, scene.licence_id),
            (selector.sensors, scene.sensor_id),
            (selector.scenes, scene.id),
        )
    )


def _too_fine(limit: float, asked: float) -> bool:
    return asked < limit * (1 - 1e-6)


def _inside(area: BaseGeometry | None, question: Question) -> bool:
    return area is None or bool(shapely.contains_xy(area, question.longitude, question.latitude))


def _meets(area: BaseGeometry, question: Question) -> bool:
    return bool(shapely.intersects_xy(area, question.longitude, question.latitude))


def _way(area: BaseGeometry | None, question: Question) -> tuple[float | None, int]:
    """Give the metres from the place to an area, and the direction in eighths of a turn from north."""
    if area is None or area.is_empty:
        return None, 0
    scale = np.array([max(np.cos(np.radians(question.latitude)), 1e-6), 1.0])
    here = shapely.Point(np.array([question.longitude, question.latitude]) * scale)
    flat = shapely.transform(area, lambda points: points * scale)
    near = shapely.get_coordinates(shapely.shortest_line(flat, here))[0] / scale
    azimuth, _, metres = GEOD.inv(question.longitude, question.latitude, *near)
    return (float(metres), round(azimuth / 45) % 8) if metres > 0 else (None, 0)
