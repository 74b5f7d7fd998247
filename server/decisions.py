"""Remembers what was decided for as long as it must be the same, and the layers that it opens."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cachetools import LRUCache

from auth.decision import Decision, Principal
from auth.models import Action
from auth.policy import decide
from auth.reach import UNKNOWN, Circumstances
from auth.snapshot import PolicySnapshot
from mosaics.catalog.index import CatalogIndex
from mosaics.errors import LayerNotFoundError
from mosaics.filters import SceneFilter
from mosaics.finding import find_layer, list_layers, visible_layers
from mosaics.layers import Layer
from server.access import Rules


class _Kept(NamedTuple):
    decision: Decision
    filter: SceneFilter
    made: datetime


class Decisions:
    """The one `decide`, asked once for equal questions; used on the event loop only.

    An answer is kept until a right begins or ends; another epoch of the rights is another question. What
    belongs to an earlier epoch, or an earlier state of the catalogue, is forgotten: it is not asked again.
    """

    def __init__(self, size: int = 4096) -> None:
        self._epoch: int | None = None
        self._sequence: int | None = None
        self._kept: LRUCache[tuple[object, ...], _Kept] = LRUCache(size)
        self._rules = Rules()
        self._layers: LRUCache[tuple[object, ...], Layer] = LRUCache(size)
        self._collections: LRUCache[tuple[object, ...], frozenset[str]] = LRUCache(size)
        self._lists: LRUCache[tuple[object, ...], tuple[Layer, ...]] = LRUCache(64)

    def decide(  # noqa: PLR0917 - the question
        self,
        snapshot: PolicySnapshot,
        principal: Principal,
        action: Action,
        now: datetime,
        circumstances: Circumstances,
        exhausted: frozenset[str],
    ) -> tuple[Decision, SceneFilter]:
        """Give the decision and the filter that is made of it."""
        if snapshot.epoch != self._epoch:
            self._epoch = snapshot.epoch
            self._kept.clear()
            self._rules = Rules()
        asked_from = circumstances if snapshot.conditional or principal.caveats else UNKNOWN
        question = (snapshot.epoch, principal, action, asked_from, exhausted)
        kept = self._kept.get(question)
        if (
            kept is not None
            and kept.made <= now
            and (kept.decision.until is None or now < kept.decision.until)
        ):
            return kept.decision, kept.filter
        decision = decide(snapshot, principal, action, now, circumstances=circumstances, exhausted=exhausted)
        made = _Kept(decision, self._rules.filter(decision), now)
        self._kept[question] = made
        return made.decision, made.filter

    def layer(self, index: CatalogIndex, layer_id: str, opened: SceneFilter) -> Layer:
        """Give a layer as a filter leaves it.

        Raises:
            LayerNotFoundError: If there is none, or nothing of it is left.
        """
        self._turn_to(index)
        view = (index.sequence, opened.digest, layer_id)
        layer = self._layers.get(view)
        if layer is None:
            # hidden and missing cost the same, however many scenes are hidden
            if layer_id.partition(":")[0] not in self._visible(index, opened):
                raise LayerNotFoundError(layer_id)
            layer = self._layers[view] = find_layer(index, layer_id, opened)
        return layer

    def _visible(self, index: CatalogIndex, opened: SceneFilter) -> frozenset[str]:
        view = (index.sequence, opened.digest)
        visible = self._collections.get(view)
        if visible is None:
            visible = self._collections[view] = visible_layers(index, opened)
        return visible

    def layers(self, index: CatalogIndex, opened: SceneFilter) -> tuple[Layer, ...]:
        """Give all collections of which a filter leaves something."""
        self._turn_to(index)
        view = (index.sequence, opened.digest)
        layers = self._lists.get(view)
        if layers is None:
            layers = self._lists[view] = list_layers(index, opened)
        return layers

    def _turn_to(self, index: CatalogIndex) -> None:
        """Forget the layers of another state of the catalogue: each holds all its scenes."""
        if index.sequence != self._sequence:
            self._sequence = index.sequence
            self._layers.clear()
            self._collections.clear()
            self._lists.clear()
