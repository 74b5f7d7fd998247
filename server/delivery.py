"""The end of every way that gives pixels or numbers: what is answered is paid for and counted, once."""

from __future__ import annotations

from collections.abc import Collection

from auth.decision import Allowance
from mosaics.point import PointValues
from server.answers import Answer, Goods, matches
from server.call import Call
from server.usage.meter import Charge

MILLIUNITS_PER_POINT = 100
"""Price of the values of a point, thousandths of a unit."""
PIXELS_PER_UNIT = 65_536


def price_of_pixels(width: int, height: int) -> int:
    """Give the price of a picture, thousandths of a unit: one unit is 65 536 pixels, a 256 px tile."""
    return max(1, round(width * height * 1000 / PIXELS_PER_UNIT))


async def deliver(call: Call, answer: Answer, goods: Goods) -> Answer:
    """Take the price of an answer and count it, before it is sent; what is no news or empty is free.

    Args:
        call: The request.
        answer: What would be sent.
        goods: What it holds.

    Raises:
        RateExceededError: If it comes too fast.
        QuotaExceededError: If a grant that was needed is used up.
        QuotaUnavailableError: If its quota can't be asked for now.
    """
    if call.request.method == "HEAD" or answer.status != 200 or not goods.contributors:
        return answer
    if matches(call.request.header("if-none-match"), answer.etag):
        return answer
    meter = call.services.meter
    await meter.spend(call.principal, _charges(call, goods.charged), goods.milliunits)
    meter.count(
        call.principal,
        call.secret,
        goods.contributors,
        ground_resolution=goods.ground_resolution,
        milliunits=goods.milliunits,
        size=len(answer.body),
    )
    return answer


def _charges(call: Call, grant_ids: Collection[str]) -> tuple[Charge, ...]:
    """Give what the needed grants ask: their quota and their rate."""
    if not grant_ids:
        return ()
    allowances: dict[str, Allowance] = {}
    for action in call.route.actions:
        for allowance in call.decision(action).allowances:
            allowances.setdefault(allowance.grant_id, allowance)
    return tuple(
        Charge(grant_id=id_, quota=allowances[id_].quota, rate=allowances[id_].rate)
        for id_ in grant_ids
        if id_ in allowances
    )


def point_goods(found: PointValues | None) -> Goods:
    """Say what the values of a point cost."""
    if found is None:
        return Goods(contributors=(), charged=(), ground_resolution=0.0, milliunits=0)
    scene = found.scene
    return Goods(
        contributors=((scene.collection_id, scene.id, scene.sensor_id, scene.licence_id),),
        charged=found.charged,
        ground_resolution=found.ground_resolution,
        milliunits=MILLIUNITS_PER_POINT,
    )
