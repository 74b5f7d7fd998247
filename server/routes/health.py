"""Is it alive, can it serve, what has it done."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from mosaics.errors import MosaicsError
from mosaics.filters import EVERYTHING
from mosaics.frames import layer_frame
from mosaics.layers import ANY_TIME, Layer
from mosaics.models import Scene
from mosaics.resolve import resolve
from server.answers import Answer, json_answer
from server.call import Call
from server.metrics import CONTENT_TYPE, Metrics
from server.rendering import make_tile
from server.services import Services

_TRIED = 3
"""Scenes tried before the server says that it can render none."""


async def live(_call: Call) -> Answer:
    """Serve `/health/live`: the event loop answers."""
    return json_answer({"status": "live"}, tagged=False)


@dataclass
class Readiness:
    """Says ready only when a tile could be rendered; renders one at most every few seconds."""

    services: Services
    seconds: float = 5.0
    draining: bool = False
    _until: float = field(default=float("-inf"), init=False)

    async def ready(self, _call: Call) -> Answer:
        """Serve `/health/ready`."""
        if self.draining or not self.services.knowledge.loaded:
            return json_answer({"status": "starting or stopping"}, status=503, tagged=False)
        if time.monotonic() > self._until:
            loop = asyncio.get_running_loop()
            if not await loop.run_in_executor(self.services.pool, self.renders):
                return json_answer({"status": "no scene can be rendered"}, status=503, tagged=False)
            self._until = time.monotonic() + self.seconds
        return json_answer({"status": "ready"}, tagged=False)

    def renders(self) -> bool:
        """Render a small picture of a scene; an empty catalogue has nothing to fail."""
        newest = self.services.knowledge.index.scenes.last_changed(_TRIED)
        return not newest or any(self._renders_scene(scene) for scene in newest)

    def _renders_scene(self, scene: Scene) -> bool:
        index = self.services.knowledge.index
        collection = index.collections[scene.collection_id]
        layer = Layer.of(scene.id, (scene,), collection=collection, single=True)
        try:
            tile = resolve(
                layer,
                EVERYTHING,
                layer_frame(layer, 64, 64),
                ground_resolution=float("inf"),
                span=ANY_TIME,
                style_id=None,
                styles=self.services.styles,
            )
            make_tile(self.services, tile, "webp", lambda: False)
        except MosaicsError:
            return False
        return True


@dataclass(frozen=True)
class MetricsRoute:
    """Serves the metrics of all workers to operators."""

    metrics: Metrics

    async def text(self, call: Call) -> Answer:
        """Serve `/metrics`."""
        text = self.metrics.text(call.policy.crises_at(call.now))
        return Answer(body=text, media_type=CONTENT_TYPE, cacheable=False)
