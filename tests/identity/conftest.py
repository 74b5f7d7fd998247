"""A real identity provider on loopback: npm's certified oidc-provider, under Node."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.conftest import free_port, need_program, wait_until

FOLDER = Path(__file__).with_name("issuer")
CALLBACK = "https://portal.example.org/callback"
ALGORITHMS = ("RS256", "ES256", "EdDSA")


def new_jwks(name: str) -> dict[str, Any]:
    """Make a private key for each algorithm; the name tells the sets apart."""
    made = (
        (jwt.algorithms.RSAAlgorithm, rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        (jwt.algorithms.ECAlgorithm, ec.generate_private_key(ec.SECP256R1())),
        (jwt.algorithms.OKPAlgorithm, ed25519.Ed25519PrivateKey.generate()),
    )
    keys = []
    for algorithm, (writer, key) in zip(ALGORITHMS, made, strict=True):
        document = json.loads(writer.to_jwk(key))
        document.pop("key_ops", None)
        keys.append(document | {"kid": f"{name}-{algorithm}", "use": "sig", "alg": algorithm})
    return {"keys": keys}


@dataclass
class RealIssuer:
    """The provider, which may be stopped and started anew with other keys."""

    port: int
    claims: dict[str, dict[str, Any]]
    expired: tuple[str, ...]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, jwks: dict[str, Any]) -> None:
        node = need_program("node")
        settings = {"port": self.port, "jwks": jwks, "claims": self.claims, "expired": self.expired}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [node, str(FOLDER / "issuer.mjs")], stdin=subprocess.PIPE, stdout=output, stderr=output
            )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(settings).encode())
        self.process.stdin.close()
        wait_until(self._answers, seconds=30, what=self.log.read_text)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def token(self, client: str, algorithm: str = "RS256", audience: str = "flux") -> str:
        """Get a token as a machine does, by its own credentials."""
        asked = {
            "grant_type": "client_credentials",
            "resource": f"urn:{audience}:{algorithm}",
            "scope": "imagery",
            "client_id": client,
            "client_secret": f"secret of {client}",
        }
        answer = httpx.post(f"{self.url}/token", data=asked, trust_env=False)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def token_of_person(self, account: str, algorithm: str = "RS256", audience: str = "flux") -> str:
        """Get a token as a portal does: the person signs in and consents, the portal changes the code."""
        resource = f"urn:{audience}:{algorithm}"
        verifier = "v" * 43
        asked = {
            "client_id": "portal",
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid imagery",
            "resource": resource,
            "code_challenge": jwt.utils.base64url_encode(hashlib.sha256(verifier.encode()).digest()).decode(),
            "code_challenge_method": "S256",
        }
        with httpx.Client(base_url=self.url, trust_env=False) as browser:
            answer = browser.get("/auth", params=asked)
            for form in ({"prompt": "login", "login": account, "password": "any"}, {"prompt": "consent"}):
                page = answer.headers["location"]
                answer = browser.post(page, data=form)
                answer = browser.get(answer.headers["location"])
            code = httpx.URL(answer.headers["location"]).params["code"]
            asked = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": CALLBACK,
                "code_verifier": verifier,
                "resource": resource,
                "client_id": "portal",
                "client_secret": "secret of portal",
            }
            answer = browser.post("/token", data=asked)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/jwks", timeout=5) as answer:
            return answer.status == 200
        return False


@contextlib.contextmanager
def real_issuer(
    folder: Path, claims: dict[str, dict[str, Any]], expired: tuple[str, ...] = ()
) -> Iterator[RealIssuer]:
    """Run a provider until the block ends."""
    if not (FOLDER / "node_modules").is_dir():
        message = "the identity provider is not installed: scripts/test does it (npm ci)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    issuer = RealIssuer(free_port(), claims, expired, folder / "issuer.log")
    issuer.start(new_jwks("first"))
    try:
        yield issuer
    finally:
        issuer.stop()
