"""Keys of issuers and verified tokens: who is asked how often, what outlives what, and what is remembered."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from auth.errors import TokenRefusedError
from auth.tokens import TrustedIssuer
from server.fetch import DocumentNotFetchedError
from server.issuers import DISCOVERY, MOST_TOKENS, RENEW_SECONDS, Issuer, Tokens

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
A, B = "https://a.example.org", "https://b.example.org/"


class Provider:
    """An identity provider that answers as it is told; fetched from threads."""

    def __init__(self, url, kid="k1"):
        self.url = url
        self.keys = {kid: ed25519.Ed25519PrivateKey.generate()}
        self.asked = []
        self.threads = set()
        self.down = False
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.discovery = {"issuer": url, "jwks_uri": f"{url}/jwks"}

    def __call__(self, address):
        self.asked.append(address)
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        assert self.gate.wait(20)
        if self.down:
            raise DocumentNotFetchedError("ConnectionRefusedError")
        if address.endswith(DISCOVERY):
            return self.discovery
        to_jwk = jwt.algorithms.OKPAlgorithm.to_jwk
        return {"keys": [json.loads(to_jwk(k.public_key())) | {"kid": n} for n, k in self.keys.items()]}

    def token(self, kid="k1", *, key=None, now=NOW, **more):
        claims = {"iss": self.url, "aud": "flux", "sub": "u", "exp": int(now.timestamp()) + 300} | more
        return jwt.encode(claims, key or self.keys[kid], "EdDSA", headers={"kid": kid})


class House:
    """Two issuers, their clock, and what checks their tokens."""

    def __init__(self, executor, **more):
        self.seconds = 1000.0
        self.results = []
        self.a, self.b = Provider(A), Provider(B)
        self.issuers = [
            Issuer(
                trusted=TrustedIssuer(url=provider.url, audience="flux"),
                jwks_url=f"{provider.url}/jwks",
                executor=executor,
                fetch=provider,
                fetched=self.results.append,
                clock=lambda: self.seconds,
                **more,
            )
            for provider in (self.a, self.b)
        ]
        self.tokens = Tokens(self.issuers)

    async def why(self, text, now=NOW):
        try:
            await self.tokens.check(text, now)
        except TokenRefusedError as error:
            return error.reason
        return "ok"

    async def settled(self):
        """Wait for what nobody waits for."""
        for issuer in self.issuers:
            if issuer._attempt is not None:
                await issuer._attempt


@pytest.fixture
def house():
    with ThreadPoolExecutor(2, thread_name_prefix="issuer") as executor:
        yield House(executor)


def run(work):
    return asyncio.run(asyncio.wait_for(work, 30))


def test_keys_are_fetched_once_and_never_on_the_loop(house):
    async def work():
        assert [await house.why(house.a.token()) for _ in range(5)] == ["ok"] * 5

    run(work())
    assert house.a.asked == [f"{A}/jwks"]
    assert all(name.startswith("issuer") for name in house.a.threads)
    assert house.results == ["ok"]


def test_a_thousand_at_once_share_one_fetch(house):
    async def work():
        house.a.gate.clear()
        waiting = [asyncio.create_task(house.why(house.a.token(number=n))) for n in range(1000)]
        assert await asyncio.to_thread(house.a.begun.wait, 20)
        assert len(house.a.asked) == 1
        house.a.gate.set()
        assert set(await asyncio.gather(*waiting)) == {"ok"}

    run(work())
    assert len(house.a.asked) == 1


def test_a_caller_who_leaves_does_not_end_the_fetch_of_others(house):
    async def work():
        house.a.gate.clear()
        leaver, other = (asyncio.create_task(house.why(house.a.token(number=n))) for n in range(2))
        assert await asyncio.to_thread(house.a.begun.wait, 20)
        leaver.cancel()
        house.a.gate.set()
        assert await other == "ok"

    run(work())


def test_unknown_keys_make_one_fetch_in_thirty_seconds(house):
    async def work():
        assert await house.why(house.a.token()) == "ok"
        for number in range(200):
            strange = jwt.encode({"iss": A}, house.a.keys["k1"], "EdDSA", headers={"kid": f"u{number}"})
            assert await house.why(strange) == "key"
        assert len(house.a.asked) == 1
        house.seconds += 30
        for number in range(200):
            strange = jwt.encode({"iss": A}, house.a.keys["k1"], "EdDSA", headers={"kid": f"v{number}"})
            assert await house.why(strange) == "key"
        assert len(house.a.asked) == 2
        assert house.b.asked == []

    run(work())


def test_rotation_is_followed_and_a_key_that_was_taken_back_goes(house):
    async def work():
        old = house.a.token()
        assert await house.why(old) == "ok"
        house.a.keys = {"k2": ed25519.Ed25519PrivateKey.generate()}
        new = house.a.token("k2")
        assert await house.why(new) == "key"  # asked a moment ago
        house.seconds += 30
        assert await house.why(new) == "ok"
        assert await house.why(old) == "ok"  # verified less than a minute ago
        assert await house.why(old, NOW + timedelta(seconds=60)) == "key"

    run(work())


def test_known_keys_are_renewed_in_passing(house):
    async def work():
        old = house.a.token()
        assert await house.why(old) == "ok"
        house.a.keys = {"k2": ed25519.Ed25519PrivateKey.generate()}
        house.seconds += RENEW_SECONDS + 1
        assert await house.why(old, NOW + timedelta(seconds=61)) == "ok"  # nobody waits for it
        await house.settled()
        assert await house.why(old, NOW + timedelta(seconds=122)) == "key"

    run(work())


def test_an_issuer_that_is_down_leaves_its_keys_for_a_day_and_opens_nothing(house):
    async def work():
        assert await house.why(house.a.token()) == "ok"
        house.a.down = True
        for hours in (1, 12, 23.9):
            house.seconds = 1000.0 + hours * 3600
            assert await house.why(house.a.token(hours=hours)) == "ok"
            await house.settled()
            strange = house.a.token("k9", key=ed25519.Ed25519PrivateKey.generate())
            assert await house.why(strange) == "key"
        house.seconds = 1000.0 + 24 * 3600 + 1
        assert await house.why(house.a.token(hours=24)) == "key"
        house.a.down = False
        house.seconds += 31
        assert await house.why(house.a.token(hours=25)) == "ok"

    run(work())
    assert house.results[0] == house.results[-1] == "ok"
    assert set(house.results[1:-1]) == {"failed"}


@pytest.mark.parametrize(
    "document", [{}, {"keys": []}, {"keys": [{"kty": "oct", "k": "AAAA", "kid": "k1"}]}, [], None]
)
def test_a_document_without_keys_leaves_the_known_ones(house, document):
    async def work():
        assert await house.why(house.a.token()) == "ok"
        house.issuers[0].fetch = lambda _: document
        house.seconds += 31
        assert await house.why(house.a.token("k9", key=house.a.keys["k1"])) == "key"
        assert await house.why(house.a.token(number=2)) == "ok"

    run(work())


def test_a_slow_issuer_does_not_hold_up_another(house):
    async def work():
        house.a.gate.clear()
        slow = asyncio.create_task(house.why(house.a.token()))
        await asyncio.sleep(0)
        assert await house.why(house.b.token()) == "ok"
        assert not slow.done()
        house.a.gate.set()
        assert await slow == "ok"

    run(work())


def test_a_key_of_one_issuer_opens_nothing_of_another(house):
    async def work():
        assert await house.why(house.a.token()) == "ok"
        assert await house.why(house.b.token()) == "ok"
        assert await house.why(house.b.token(key=house.a.keys["k1"])) == "signature"
        assert await house.why(house.a.token(iss=B)) == "signature"

    run(work())


@pytest.mark.parametrize("claimed", ["https://evil.example.org", A + "/", None, 1, ["x"], {"a": 1}])
def test_strangers_make_nobody_ask(house, claimed):
    async def work():
        strange = house.a.token()
        head, _, mac = strange.split(".")
        body = jwt.utils.base64url_encode(json.dumps({"iss": claimed}).encode()).decode()
        assert await house.why(f"{head}.{body}.{mac}") == "issuer"

    run(work())
    assert house.a.asked == house.b.asked == []


def test_without_issuers_no_token_holds():
    async def work():
        with pytest.raises(TokenRefusedError):
            await Tokens([]).check(Provider(A).token(), NOW)
        await Tokens([]).prepare()

    run(work())


def test_a_verified_token_is_remembered_for_a_minute_and_never_past_its_end(house):
    async def work():
        lasting, ending = house.a.token(), house.a.token(exp=int(NOW.timestamp()) + 20)
        assert [await house.why(text) for text in (lasting, ending)] == ["ok", "ok"]
        house.issuers[0]._keys = ()  # whatever is verified anew fails now
        house.issuers[0]._tried_at = house.seconds
        for seconds, first, second in (
            (19, "ok", "ok"),
            (20, "ok", "key"),
            (59, "ok", "key"),
            (60, "key", "key"),
        ):
            later = NOW + timedelta(seconds=seconds)
            assert (await house.why(lasting, later), await house.why(ending, later)) == (first, second)
        assert await house.why(lasting, NOW) == "key"

    run(work())


def test_what_is_refused_is_not_remembered_and_what_is_remembered_is_bounded(house):
    async def work():
        for number in range(MOST_TOKENS + 50):
            assert await house.why(house.a.token(number=number)) == "ok"
            assert await house.why(house.a.token(number=number) + "A") == "signature"
        assert len(house.tokens._kept) == MOST_TOKENS
        assert all(len(name) == 32 for name in house.tokens._kept)

    run(work())


def discovering(house, **said):
    house.issuers[0].jwks_url = None
    house.a.discovery |= said
    return run(house.why(house.a.token()))


def test_the_discovery_document_says_where_keys_are(house):
    assert discovering(house) == "ok"
    assert house.a.asked == [A + DISCOVERY, f"{A}/jwks"]


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": A + "/"},
        {"issuer": B},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": ["https://a.example.org/jwks"]},
        {"jwks_uri": "http://127.0.0.1:1/jwks"},
        {"jwks_uri": "https://[::1]/jwks"},
        {"jwks_uri": "https://localhost/jwks"},
    ],
)
def test_a_discovery_document_that_leads_astray_is_not_followed(house, said):
    assert discovering(house, **said) == "key"
    assert house.a.asked == [A + DISCOVERY]
    assert house.results == ["failed"]


def test_the_keys_are_asked_for_before_a_token_comes(house):
    async def work():
        await house.tokens.prepare()
        house.a.down = True
        assert await house.why(house.a.token()) == "ok"

    run(work())
    assert len(house.a.asked) == len(house.b.asked) == 1
