"""Asks the routes that give pictures, and compares each with the scenes' own, cut by the naive model."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np

from auth.credentials import authenticate
from auth.decision import ANONYMOUS
from auth.models import Action
from auth.policy import decide
from mosaics.filters import SceneFilter
from mosaics.finding import find_layer
from mosaics.frames import layer_frame
from mosaics.models import Scene
from mosaics.terrain import backdrop
from server.access import scene_filter
from tests.access.leak_oracle import (
    ambiguous,
    check_picture,
    compose_expected,
    frame_pixels,
    in_span,
    rgba,
    visible,
    whole_scene,
)
from tests.access.leak_requests import Asked, draw_layer, draw_tile, draw_time, query, said
from tests.access.leak_world import World, ask_as
from tests.conftest import Reply

KERNELS = ("hillshade", "relief", "slope", "contours")
OWN_STYLES = (
    "bands=1",
    "bands=3,2,1&rescale=20,200",
    "bands=1&colormap=viridis&gamma=1.5",
    "bands=4",
    "index=ndvi",
)


def whole_tile(world: World, scene: Scene, asked: Asked) -> np.ndarray | None:
    """Ask for the tile of one scene as somebody who may see all; None where it has not the style."""
    key = (scene.collection_id, scene.id, asked.tms, asked.z, asked.x, asked.y, asked.scale, asked.style)
    key = (*key, asked.own)
    if key not in world.references:
        at = "@2x" if asked.scale == 2 else ""
        more = (f"style={asked.style}" if asked.style else "", asked.own or "")
        query = f"?{'&'.join(filter(None, more))}"
        layer = f"{scene.collection_id}:{scene.id}"
        reply = world.seeing_all(f"/tiles/{layer}/{asked.tms}/{asked.z}/{asked.x}/{asked.y}{at}.png{query}")
        assert reply.status in {200, 400}
        world.references[key] = unbacked(rgba(reply.body), asked.style) if reply.status == 200 else None
    found: np.ndarray | None = world.references[key]
    return found


def unbacked(pixels: np.ndarray, style: str | None) -> np.ndarray:
    """Give what a tile of heights shows: nothing where it says 0 m, since clients know no transparent ground.

    No height of the world is near 0 m.
    """
    colour = backdrop(style)
    if colour is None:
        return pixels
    assert (pixels[..., 3] == 255).all()
    return np.where((pixels[..., :3] == colour).all(axis=-1, keepdims=True), np.uint8(0), pixels)


def is_kernel(scene: Scene, style: str | None) -> bool:
    return (style or scene.styles[0]) in KERNELS


def check_tile(world: World, asked: Asked, reply: Reply, seen: Counter[str], name: str) -> None:
    """Compare a tile with the scenes' own pictures, cut by the naive model and laid over each other."""
    pixels = asked.pixels
    if ambiguous(world, pixels.detail):
        seen["ambiguous"] += 1
        return
    stack = [
        (scene, picture, not asked.own and is_kernel(scene, asked.style))
        for scene in world.layer_scenes(asked.layer)
        if in_span(scene, asked.time) and (picture := whole_tile(world, scene, asked)) is not None
    ]
    expected = compose_expected(world, stack, "tile", pixels)
    filled = bool(expected.picture[..., 3].any())
    if reply.status != 200:
        assert reply.status in {400, 401, 403, 404}, reply
        assert not filled, f"{name} {reply.status}, though something is open"
        seen[f"{name} refused"] += 1
        return
    kind = reply.headers["content-type"]
    if kind == "image/jpeg":
        check_jpeg(reply, expected.picture)
    else:
        seen["on an edge"] += check_picture(
            world, unbacked(rgba(reply.body), asked.style), expected, pixels, exact=kind == "image/png"
        )
    seen["pixels"] += pixels.width * pixels.height
    seen[name] += filled
    cut = [picture[..., 3] > 0 for _, picture, _ in stack]
    seen[f"{name} cut"] += filled and bool((np.any(cut, axis=0) & (expected.picture[..., 3] == 0)).any())


def check_jpeg(reply: Reply, expected: np.ndarray) -> None:
    """Where nothing is open a JPEG is white, apart from ringing in blocks that have something."""
    shown = rgba(reply.body)[..., :3]
    blocks = expected[..., 3].reshape(shown.shape[0] // 16, 16, -1, 16).any(axis=(1, 3))
    padded = np.pad(blocks, 1)
    rows, columns = blocks.shape
    near = np.any([padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)], axis=0)
    assert (shown[~near.repeat(16, axis=0).repeat(16, axis=1)] >= 254).all()


def xyz_tile(world: World, rnd: random.Random, seen: Counter[str], more: str = "") -> None:
    asked = draw_tile(world, rnd, scales=(1, 1, 2))
    if asked.scale == 2 and asked.tms.endswith("_512"):
        asked = replace(asked, scale=1)
    lossless = backdrop(asked.style) is not None
    extension = rnd.choice((".png", "") if lossless else (".png", ".png", ".png", ".webp", ".jpg", ""))
    at = "@2x" if asked.scale == 2 else ""
    target = f"/tiles/{asked.layer}/{asked.tms}/{asked.z}/{asked.x}/{asked.y}{at}{extension}"
    target += query(style=asked.style, time=asked.time)
    if more:
        target += ("&" if "?" in target else "?") + more
    said(target)
    accept = {"accept": "image/webp"} if not extension and rnd.random() < 0.5 else {}
    reply = world.asgi.get(target) if more else world.get(target, **accept)
    check_tile(world, asked, reply, seen, "sign" if more else "xyz_tile")


def ahead_tile(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """Ask for a tile that may have been drawn ahead."""
    asked = replace(draw_tile(world, rnd, grids=("WebMercatorQuad",)), style=None, time=None)
    extension = rnd.choice((".jpg", ".webp", ""))
    target = f"/tiles/{asked.layer}/{asked.tms}/{asked.z}/{asked.x}/{asked.y}{extension}"
    said(target)
    reply = world.get(target, accept="image/webp")
    check_tile(world, asked, reply, seen, "ahead_tile")


def own_tile(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """A style of one's own opens nothing: what rights cut stays cut."""
    asked = replace(draw_tile(world, rnd), own=rnd.choice(OWN_STYLES))
    target = f"/tiles/{asked.layer}/{asked.tms}/{asked.z}/{asked.x}/{asked.y}.png"
    target += query(style=asked.style, time=asked.time)
    target += f"{'&' if '?' in target else '?'}{asked.own}"
    said(target)
    check_tile(world, asked, world.get(target), seen, "own_tile")


def wmts_tile(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    asked = draw_tile(world, rnd)
    when = (asked.time or "default").replace("/", "--")
    target = f"/wmts/1.0.0/{asked.layer}/{asked.style or 'default'}/{when}/{asked.tms}"
    target += f"/{asked.z}/{asked.y}/{asked.x}.png"
    said(target)
    check_tile(world, asked, world.get(target), seen, "wmts_tile")


def sign(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """A signed address opens what the key opens."""
    reply = world.get("/sign", "POST", b"{}", **{"content-type": "application/json"})
    if not world.headers:
        assert reply.status == 401
        return
    xyz_tile(world, rnd, seen, more=reply.json["query"])


def same_tile(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """One tile for several callers in turn, so that one may meet what was kept for another."""
    asked = draw_tile(world, rnd)
    target = f"/tiles/{asked.layer}/{asked.tms}/{asked.z}/{asked.x}/{asked.y}.png"
    for who in ("root", "child", None):
        ask_as(world, who)
        reply = world.get(target + query(style=asked.style, time=asked.time))
        check_tile(world, asked, reply, seen, "same_tile")


def own_filter(world: World, action: Action) -> SceneFilter:
    """The filter that the server makes, to know which rectangle it answers for; not what is in it."""
    principal = ANONYMOUS
    if world.headers:
        peppers, text = world.asgi.application.services.peppers, world.headers["x-api-key"]
        principal = authenticate(world.rights, peppers, text, in_url=False, now=world.now).principal
    return scene_filter(decide(world.rights, principal, action, world.now))


def preview(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    layer, when = draw_layer(world, rnd), draw_time(rnd)
    width = rnd.choice((16, 57, 200))
    styles = [style for scene in world.layer_scenes(layer) for style in scene.styles]
    style = rnd.choice((None, None, rnd.choice(styles)))
    target = f"/preview/{layer}.png{query(width=str(width), style=style, time=when)}"
    said(target)
    reply = world.get(target)
    if not visible(world, layer, "preview"):
        assert reply.status in {401, 403, 404}
        seen["preview refused"] += 1
        return
    index = world.asgi.application.services.knowledge.index
    frame = layer_frame(find_layer(index, layer, own_filter(world, Action.PREVIEW)), width, 1024)
    pixels = frame_pixels(frame)
    if ambiguous(world, pixels.detail):
        return
    stack = [
        (scene, picture, is_kernel(scene, style))
        for scene in world.layer_scenes(layer)
        if in_span(scene, when) and (picture := whole_scene(world, scene, frame, style)) is not None
    ]
    expected = compose_expected(world, stack, "preview", pixels)
    if reply.status != 200:
        assert reply.status in {400, 401, 403, 404}
        assert not expected.picture[..., 3].any()
        seen["preview refused"] += 1
        return
    shown = unbacked(rgba(reply.body), style)
    seen["on an edge"] += check_picture(world, shown, expected, pixels, exact=True)
    seen["preview"] += bool(expected.picture[..., 3].any())
