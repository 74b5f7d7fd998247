"""What a caller learns of itself, and what it hands on: whoami, signed credentials, usage, explanations."""

from __future__ import annotations

import functools
import math
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from auth.errors import TokenRefusedError, UnknownIdError
from auth.models import Action
from auth.signing import LONGEST, Signed, sign
from mosaics.errors import LayerNotFoundError
from server.access import AccessDeniedError
from server.answers import Answer, json_answer
from server.call import Call
from server.errors import CredentialRequiredError
from server.explain import Question, explain_key
from server.identity import COOKIE_NAME, SIGNATURE_NAME
from server.requests import BadRequestError, json_body, single
from server.usage.meter import QuotaExceededError
from server.usage_report import csv_of, days_of, dimensions_of, rows_of

DEFAULT_MINUTES = 15
_MOST_MINUTES = int(LONGEST.total_seconds() // 60)


async def whoami(call: Call) -> Answer:
    """Serve `/whoami`: who the credential says that the caller is."""
    principal = call.principal
    institution = call.policy.institutions.get(principal.institution_id or "")
    key = call.policy.keys.get(principal.key_id or "")
    return json_answer(
        {
            "kind": principal.kind.value,
            "institution": institution and {"id": institution.id, "name": institution.name},
            "role": None if principal.anonymous else principal.role.value,
            "subject": principal.subject,
            "credential": call.way.value,
            "key": key
            and {
                "id": key.id,
                "label": key.label,
                "expires": key.expires.isoformat() if key.expires else None,
                "in_urls": principal.url_allowed,
                "secret": call.secret or None,
            },
            "narrowed": principal.narrowed,
        },
        tagged=False,
    )


async def sign_credential(call: Call) -> Answer:
    """Serve `POST /sign`: a credential for an hour at most, as an address or a cookie."""
    principal = call.principal
    if principal.anonymous:
        raise CredentialRequiredError
    if call.signed:
        raise AccessDeniedError("signed")
    if principal.institution_id is None:
        raise AccessDeniedError("no_institution")
    asked = _asked(json_body(call.request))
    layer_id = asked.get("layer")
    if layer_id is not None:
        _see(call, layer_id)
    expires = _end(call, asked["minutes"])
    by_key = principal.key_id is not None
    text = sign(
        call.services.peppers,
        Signed(
            use="cookie" if asked["as"] == "cookie" else "url",
            expires=expires,
            key_id=principal.key_id,
            institution_id=None if by_key else principal.institution_id,
            membership_id=principal.membership_id,
            layer=layer_id,
        ),
        call.now,
    )
    if asked["as"] == "cookie":
        return _with_cookie(text, math.ceil((expires - call.now).total_seconds()), expires.isoformat())
    query = f"{SIGNATURE_NAME}={quote(text, safe='')}"
    found = {"query": query, "expires": expires.isoformat(), "wmts": f"{call.root}/wmts?{query}"}
    if layer_id is not None:
        tiles = f"{call.root}/tiles/{layer_id}/WebMercatorQuad/{{z}}/{{x}}/{{y}}"
        found["tiles"] = f"{tiles}?{query}"
    return json_answer(found, tagged=False)


async def drop_cookie(_call: Call) -> Answer:
    """Serve `DELETE /sign`: forget the cookie."""
    return _with_cookie("", 0, None)


async def usage(call: Call) -> Answer:
    """Serve `/usage`: what was shown to whom, within what the caller manages."""
    by = dimensions_of(single(call.query, "by") or "month,institution,sensor")
    first, last = days_of(single(call.query, "from"), single(call.query, "to"), call.now.date())
    realm = call.decision(Action.MANAGE).realm
    wanted = single(call.query, "institution")
    if realm is not None and wanted not in {None, realm}:
        raise AccessDeniedError("not_manager")
    report = functools.partial(
        call.services.meter.store.report, first, last, by=by, institution_id=realm or wanted
    )
    rows = rows_of(await call.elsewhere(report))
    if _wants_csv(call):
        body = csv_of(rows, by).encode()
        headers = (("Content-Disposition", 'attachment; filename="usage.csv"'),)
        return Answer(body=body, media_type="text/csv; charset=utf-8", headers=headers, cacheable=False)
    shown = {"from": first.isoformat(), "to": last.isoformat(), "by": list(by), "usage": rows}
    return json_answer(shown, tagged=False)


async def explain_question(call: Call) -> Answer:
    """Serve `/explain`: which grant or forbid decides, for a key that the caller manages."""
    key_id = _needed(call, "key_id")
    realm = call.decision(Action.MANAGE).realm
    key = call.policy.keys.get(key_id)
    if key is None or realm not in {None, key.institution_id}:
        raise UnknownIdError("key", key_id)
    try:
        longitude, latitude = (float(part) for part in _needed(call, "at").split(","))
        detail = float(single(call.query, "gsd") or 0)
        action = Action(single(call.query, "action") or Action.TILE)
    except ValueError:
        raise BadRequestError("at is LON,LAT, gsd metres per pixel, and action one that is granted") from None
    question = Question(
        layer_id=_needed(call, "layer"),
        longitude=longitude,
        latitude=latitude,
        ground_resolution=detail,
        action=action,
    )
    look = functools.partial(explain_key, call.policy, call.index, key_id, question, call.now)
    found = await call.elsewhere(look)
    return json_answer(found.document(), tagged=False)


def _asked(body: Any) -> dict[str, Any]:
    """Check what is to be signed."""
    if not isinstance(body, dict) or not body.keys() <= {"layer", "minutes", "as"}:
        raise BadRequestError("the body has layer, minutes and as")
    minutes = body.get("minutes", DEFAULT_MINUTES)
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 1 <= minutes <= _MOST_MINUTES:
        raise BadRequestError(f"minutes must be a whole number from 1 to {_MOST_MINUTES}")
    layer_id = body.get("layer")
    if layer_id is not None and not isinstance(layer_id, str):
        raise BadRequestError("layer must be the id of a layer")
    use = body.get("as", "url")
    if use not in {"url", "cookie"}:
        raise BadRequestError("as must be url or cookie")
    return {"layer": layer_id, "minutes": minutes, "as": use}


def _end(call: Call, minutes: int) -> datetime:
    """Give when a signature ends: as asked, and with the token in whose name it is made."""
    end = call.now + timedelta(minutes=minutes)
    if call.until is not None and call.until < end:
        end = call.until
    end = end.replace(microsecond=0)
    if end <= call.now:
        raise TokenRefusedError("expired")
    return end


def _see(call: Call, layer_id: str) -> None:
    """Check that the layer is open to the caller as tiles or as a preview."""
    try:
        call.layer(layer_id, Action.TILE)
    except (LayerNotFoundError, AccessDeniedError, QuotaExceededError):
        call.layer(layer_id, Action.PREVIEW)


def _with_cookie(text: str, seconds: int, expires: str | None) -> Answer:
    cookie = f"{COOKIE_NAME}={text}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax"
    answer = json_answer({"expires": expires}, tagged=False)
    return Answer(
        body=answer.body, media_type=answer.media_type, headers=(("Set-Cookie", cookie),), cacheable=False
    )


def _wants_csv(call: Call) -> bool:
    form = single(call.query, "format")
    if form not in {None, "json", "csv"}:
        raise BadRequestError("format must be json or csv")
    return form == "csv" or (form is None and "text/csv" in (call.request.header("accept") or ""))


def _needed(call: Call, name: str) -> str:
    value = single(call.query, name)
    if value is None:
        raise BadRequestError(f"{name} is needed")
    return value
