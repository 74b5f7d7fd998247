"""Tokens: only what the issuer signed, for us, now; every known way of forging one opens nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from auth.errors import CredentialInvalidError, TokenRefusedError
from auth.tokens import (
    LONGEST_TOKEN,
    MOST_KEYS,
    TrustedIssuer,
    keys_of,
    looks_like_token,
    read_token,
    verified,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = int(NOW.timestamp())
ISSUER = TrustedIssuer(url="https://sso.example.org/realms/geo", audience="flux")
OTHER = TrustedIssuer(url="https://other.example.org", audience="flux")
PRIVATE = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
CLAIMS = {
    "iss": ISSUER.url,
    "aud": "flux",
    "sub": "u1",
    "exp": SECOND + 300,
    "nbf": SECOND - 5,
    "iat": SECOND - 5,
}
ABSENT = object()


def jwk(key, kid=None, **more):
    maker = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
    }.get(next((c for c in (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey) if isinstance(key, c)), None))
    maker = maker or jwt.algorithms.OKPAlgorithm
    return {**json.loads(maker.to_jwk(key.public_key())), **({"kid": kid} if kid else {}), **more}


JWKS = {"keys": [jwk(key, kid) for kid, key in PRIVATE.items()]}
KEYS = keys_of(JWKS)
OTHERS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHERS_KEYS = keys_of({"keys": [jwk(OTHERS_KEY, "RS256")]})


def encoded(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(algorithm="RS256", *, key=None, head=None, **claims):
    body = {name: value for name, value in (CLAIMS | claims).items() if value is not ABSENT}
    headers = {"kid": algorithm, **(head or {})}
    headers = {name: value for name, value in headers.items() if value is not ABSENT}
    return jwt.encode(body, key or PRIVATE[algorithm], algorithm, headers=headers)


def raw_token(head, body, algorithm="RS256"):
    """Sign any bytes as head and body: what no library would make."""
    signed = f"{encoded(head)}.{encoded(body)}"
    maker = jwt.algorithms.get_default_algorithms()[algorithm]
    return f"{signed}.{encoded(maker.sign(signed.encode(), PRIVATE[algorithm]))}"


def check(text, issuer=ISSUER, keys=KEYS, now=NOW):
    return verified(read_token(text), issuer, keys, now)


def refusal(text, **more):
    with pytest.raises(TokenRefusedError) as caught:
        check(text, **more)
    assert isinstance(caught.value, CredentialInvalidError)
    assert str(caught.value) == "invalid credential"
    return caught.value.reason


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_what_the_issuer_signed_holds(algorithm):
    found = check(token(algorithm, org="ign"))
    assert (found.issuer, found.subject, found.claims["org"]) == (ISSUER.url, "u1", "ign")
    assert found.expires == CLAIMS["exp"]


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", ABSENT])
def test_the_types_of_tokens_hold(kind):
    text = raw_token({"alg": "RS256", "kid": "RS256"} | ({} if kind is ABSENT else {"typ": kind}), CLAIMS)
    assert check(text).subject == "u1"


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", "", 1, [], {}, True])
def test_tokens_of_other_types_do_not(kind):
    text = raw_token({"alg": "RS256", "kid": "RS256", "typ": kind}, CLAIMS)
    assert refusal(text) == "type"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_unsigned_tokens_are_refused(algorithm, signature):
    head = {"alg": algorithm, "typ": "JWT", "kid": "RS256"}
    assert refusal(f"{encoded(head)}.{encoded(CLAIMS)}.{signature}") == "algorithm"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_shared_secret(algorithm):
    public = PRIVATE["RS256"].public_key()
    for secret in (
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        json.dumps(JWKS["keys"][0]).encode(),
    ):
        signed = f"{encoded({'alg': algorithm, 'kid': 'RS256', 'typ': 'JWT'})}.{encoded(CLAIMS)}"
        name = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
        mac = hmac.digest(secret, signed.encode(), name)
        assert refusal(f"{signed}.{encoded(mac)}") == "algorithm"


@pytest.mark.parametrize("algorithm", ["PS256", "RS384", "RS512", "ES384", "ES512", "ES256K", "RS1", 5, None])
def test_algorithms_that_were_not_chosen_are_refused(algorithm):
    assert refusal(f"{encoded({'alg': algorithm})}.{encoded(CLAIMS)}.AAAA") == "algorithm"


def test_an_issuer_may_be_held_to_fewer_algorithms():
    strict = TrustedIssuer(url=ISSUER.url, audience="flux", algorithms=frozenset({"ES256"}))
    assert check(token("ES256"), issuer=strict)
    assert refusal(token("RS256"), issuer=strict) == "algorithm"


@pytest.mark.parametrize("algorithm", PRIVATE)
@pytest.mark.parametrize("named", PRIVATE)
def test_a_key_verifies_its_own_algorithm_only(algorithm, named):
    if algorithm != named:
        assert refusal(token(algorithm, head={"kid": named})) == "key"


@pytest.mark.parametrize(
    "issuer",
    [
        ABSENT,
        None,
        "",
        ISSUER.url + "/",
        ISSUER.url.upper(),
        ISSUER.url + "\0",
        f" {ISSUER.url}",
        OTHER.url,
        [ISSUER.url],
        {ISSUER.url: 1},
        1,
        "https://sso.example.org",
    ],
)
def test_the_issuer_is_compared_letter_by_letter(issuer):
    body = {k: v for k, v in (CLAIMS | {"iss": issuer}).items() if v is not ABSENT}
    assert refusal(raw_token({"alg": "RS256", "kid": "RS256"}, body)) == "issuer"


def test_a_key_of_one_issuer_never_verifies_for_another():
    forged = token(key=OTHERS_KEY)  # says that it is of ISSUER, with a kid that both have
    assert refusal(forged) == "signature"
    assert refusal(forged, issuer=OTHER, keys=OTHERS_KEYS) == "issuer"
    own = token(key=OTHERS_KEY, iss=OTHER.url)
    assert check(own, issuer=OTHER, keys=OTHERS_KEYS).issuer == OTHER.url
    assert refusal(own) == "issuer"


@pytest.mark.parametrize("kid", ["unknown", "", "rs256", "RS256 ", "../../etc/passwd", "' or 1=1", ABSENT])
def test_an_unknown_key_opens_nothing(kid):
    text = token(head={"kid": kid}) if kid != ABSENT else token(head={"kid": ABSENT})
    if kid is ABSENT:  # the only RSA key there is could be meant
        assert check(text)
        two = (*KEYS, *OTHERS_KEYS)
        assert refusal(text, keys=two) == "key"
    else:
        assert refusal(text) == "key"


@pytest.mark.parametrize("kid", [1, ["RS256"], {"a": 1}, True, "x" * 256])
def test_the_name_of_a_key_is_a_short_text(kid):
    assert refusal(raw_token({"alg": "RS256", "kid": kid}, CLAIMS)) == "key"


@pytest.mark.parametrize(
    "audience",
    [
        ABSENT,
        None,
        "",
        "Flux",
        "flux2",
        "fl",
        [],
        ["other"],
        ["flux", 1],
        ["flux", None],
        {"flux": 1},
        1,
        True,
    ],
)
def test_a_token_for_others_is_refused(audience):
    body = {k: v for k, v in (CLAIMS | {"aud": audience}).items() if v is not ABSENT}
    assert refusal(raw_token({"alg": "RS256", "kid": "RS256"}, body)) == "audience"


@pytest.mark.parametrize("audience", ["flux", ["flux"], ["account", "flux"]])
def test_a_token_for_us_and_others_holds(audience):
    assert check(token(aud=audience))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": ABSENT}, "expired"),
        ({"exp": SECOND - 60}, "expired"),
        ({"exp": SECOND - 10_000}, "expired"),
        ({"exp": 0, "iat": ABSENT}, "expired"),
        ({"nbf": SECOND + 61}, "not_yet"),
        ({"iat": SECOND + 61}, "issued"),
        ({"iat": SECOND + 301}, "issued"),
        ({"iat": SECOND, "exp": SECOND - 1}, "issued"),
        *(({name: value}, name) for name in ("exp", "nbf", "iat") for value in ("1", None, True, [], -1, {})),
        *(({name: value}, name) for name in ("exp", "nbf", "iat") for value in (2**40, 10**400, -(10**400))),
    ],
)
def test_times_are_numbers_and_hold_within_a_minute(claims, reason):
    body = {k: v for k, v in (CLAIMS | claims).items() if v is not ABSENT}
    assert refusal(raw_token({"alg": "RS256", "kid": "RS256"}, body)) == reason


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": SECOND - 59, "iat": SECOND - 400},
        {"nbf": SECOND + 60},
        {"iat": SECOND + 60},
        {"nbf": ABSENT, "iat": ABSENT},
        {"exp": SECOND + 0.5},
    ],
)
def test_clocks_may_differ_by_a_minute(claims):
    assert check(token(**claims))


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 5000])
def test_numbers_that_are_none_are_refused(number):
    body = json.dumps(CLAIMS).encode().replace(str(CLAIMS["exp"]).encode(), number)
    assert refusal(raw_token({"alg": "RS256", "kid": "RS256"}, body)) in {"exp", "malformed"}


@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": None},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
    ],
)
def test_critical_extensions_are_refused(more):
    assert refusal(raw_token({"alg": "RS256", "kid": "RS256", **more}, CLAIMS)) == "critical"


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t"])
def test_a_key_that_a_token_brings_along_is_not_looked_at(name):
    value = {
        "jwk": jwk(OTHERS_KEY, "RS256"),
        "jku": "https://evil.example.org/jwks",
        "x5u": "https://evil.example.org/x5u",
        "x5c": ["AAAA"],
        "x5t": "AAAA",
    }[name]
    assert refusal(token(key=OTHERS_KEY, head={name: value})) == "signature"
    assert refusal(token(key=OTHERS_KEY, head={name: value, "kid": "evil"})) == "key"
    assert check(token(head={name: value})).subject == "u1"  # signed by the issuer: nothing is wrong with it


@pytest.mark.parametrize("claims", [{"cnf": {"jkt": "x"}}, {"cnf": {"x5t#S256": "x"}}, {"cnf": None}])
def test_a_token_bound_to_a_key_of_its_holder_is_no_bearer(claims):
    assert refusal(token(**claims)) == "bound"


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\nb", "\ud800", 1, ["u1"], {}])
def test_a_subject_is_a_short_line(subject):
    assert refusal(raw_token({"alg": "RS256", "kid": "RS256"}, CLAIMS | {"sub": subject})) == "subject"


def test_a_token_without_a_subject_is_nobody_in_particular():
    assert check(token(sub=ABSENT)).subject is None


def test_too_long_is_not_read():
    assert check(token(padding="x" * 5000))
    text = token(padding="x" * 6200)
    assert len(text) > LONGEST_TOKEN
    assert refusal(text) == "oversize"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b'{"alg":"RS256","alg":"RS256","kid":"RS256"}', json.dumps(CLAIMS).encode()),
        (b'{"alg":"none","alg":"RS256","kid":"RS256"}', json.dumps(CLAIMS).encode()),
        (b'{"alg":"RS256","kid":"RS256"}', json.dumps(CLAIMS).encode()[:-1] + b',"aud":"flux"}'),
        (b'{"alg":"RS256","kid":"RS256"}', json.dumps(CLAIMS).encode()[:-1] + b',"o":{"a":1,"a":2}}'),
        (b'{"alg":"RS256","kid":"RS256"}', b"[]"),
        (b'{"alg":"RS256","kid":"RS256"}', b"null"),
        (b'{"alg":"RS256","kid":"RS256"}', b""),
        (b'{"alg":"RS256","kid":"RS256"}', b"{"),
        (b'{"alg":"RS256","kid":"RS256"}', b'{"iss":"\xff"}'),
        (b'{"alg":"RS256","kid":"RS256"}', b"[" * 3000),
        (b'"RS256"', b"{}"),
        (b"\xef\xbb\xbf{}", b"{}"),
    ],
)
def test_what_is_no_plain_object_is_refused(head, body):
    assert refusal(raw_token(head, body)) == "malformed"


GOOD = token()


@given(place=st.integers(0, len(GOOD) - 1), character=st.sampled_from("AZaz09-_.= \n\0é"))
def test_any_other_character_anywhere_is_refused(place, character):
    other = GOOD[:place] + character + GOOD[place + 1 :]
    head, _, last = other.rpartition(".")
    same = head == GOOD.rpartition(".")[0] and len(last) == 342 and last[:-1] == GOOD[-342:-1]
    if other != GOOD and not same:  # the last sign of 256 bytes holds two bits that mean nothing
        with pytest.raises(TokenRefusedError):
            check(other)


@given(st.one_of(st.text(max_size=200), st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")))
def test_no_text_raises_anything_but_refused(text):
    with pytest.raises(TokenRefusedError):
        check(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    head=st.fixed_dictionaries({}, optional=dict.fromkeys(("alg", "kid", "typ", "crit", "jwk"), json_values)),
    claims=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("iss", "aud", "exp", "nbf", "iat", "sub"), json_values)
    ),
)
def test_no_signed_nonsense_raises_anything_but_refused(head, claims):
    text = raw_token({"alg": "EdDSA", "kid": "EdDSA"} | head, CLAIMS | claims, "EdDSA")
    try:
        check(text)
    except TokenRefusedError:
        return
    assert claims.get("iss", ISSUER.url) == ISSUER.url
    assert "flux" in (claims.get("aud", "flux") or ())


@given(
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "kid", "key_ops", "d"]), json_values
    )
)
def test_no_odd_key_is_an_error(said):
    keys_of({"keys": [said, JWKS["keys"][0] | said, JWKS["keys"][1] | said, JWKS["keys"][2] | said]})


@pytest.mark.parametrize(
    "odd",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"},
        jwk(PRIVATE["RS256"], "k", use="enc"),
        jwk(PRIVATE["RS256"], "k", alg="RS512"),
        jwk(PRIVATE["RS256"], "k", alg="HS256"),
        jwk(PRIVATE["RS256"], "k", alg=["RS256"]),
        jwk(PRIVATE["RS256"], "k", key_ops=["encrypt"]),
        jwk(PRIVATE["RS256"], "k", key_ops="verify"),
        jwk(PRIVATE["RS256"], "k", d="AQAB"),
        jwk(PRIVATE["ES256"], "k", crv="P-384"),
        jwk(PRIVATE["ES256"]) | {"kid": 1},
        jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "k"),
        jwk(ec.generate_private_key(ec.SECP384R1()), "k"),
        jwk(ed448.Ed448PrivateKey.generate(), "k"),
        {"kty": "RSA", "n": "AQAB"},
        {"kty": "RSA", "n": "", "e": ""},
        "key",
        None,
    ],
)
def test_keys_that_are_not_for_this_are_left_out(odd):
    assert keys_of({"keys": [odd]}) == ()


@pytest.mark.parametrize("document", [None, [], "keys", {}, {"keys": None}, {"keys": {}}])
def test_a_document_that_is_no_jwks_is_told(document):
    with pytest.raises(ValueError, match="JWKS"):
        keys_of(document)


def test_not_more_keys_than_anybody_needs():
    many = [jwk(PRIVATE["EdDSA"], f"k{number}") for number in range(MOST_KEYS + 9)]
    assert len(keys_of({"keys": many})) == MOST_KEYS


def test_our_own_credentials_do_not_look_like_tokens():
    assert not looks_like_token("flx_live_abcdefgh_" + "a" * 38)
    assert not looks_like_token("s1.2.abc.def")
    assert not looks_like_token("a.b.c.d.e")  # an encrypted one
    assert looks_like_token(GOOD)


def test_a_token_is_never_shown_by_accident():
    unproven = read_token(GOOD)
    for value in (unproven, check(GOOD), KEYS[0]):
        assert GOOD.rpartition(".")[2][:20] not in repr(value)
        assert "u1" not in repr(unproven)
    assert hashlib.sha256(GOOD.encode()).hexdigest() not in repr(unproven)


def test_the_end_holds_to_the_second():
    text = token()
    end = NOW + timedelta(seconds=300 + 60)
    assert check(text, now=end - timedelta(microseconds=1))
    assert refusal(text, now=end) == "expired"
