"""A software authenticator: makes passkeys and signs with them, as WebAuthn (level 3) describes. It judges our use of
the library, and can do what a real one never would."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED = 1, 4, 8, 16, 64


def to_base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SoftwareAuthenticator:
    """One passkey. `origin` and `rp_id` are those of the page that the browser shows; `counter` grows with each use
    unless it is 0 (as of synchronised passkeys)."""

    origin: str
    rp_id: str
    counter: int = 1
    verifies_user: bool = True
    user_handle: bytes = b""
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def register(self, options: dict[str, Any]) -> dict[str, Any]:
        """The credential for `navigator.credentials.create`'s options."""
        self.user_handle = from_base64url(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        credential = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cbor2.dumps(cose)
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._data(ATTESTED) + credential}
        client_data = self._client_data("webauthn.create", options["challenge"])
        response = {"clientDataJSON": client_data, "attestationObject": cbor2.dumps(attestation)}
        return self._credential(response)

    def sign(self, options: dict[str, Any]) -> dict[str, Any]:
        """The credential for `navigator.credentials.get`'s options."""
        self.counter += self.counter > 0
        data = self._data(0)
        client_data = self._client_data("webauthn.get", options["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        response = {"clientDataJSON": client_data, "authenticatorData": data, "signature": signature}
        return self._credential({**response, "userHandle": self.user_handle})

    def _data(self, flags: int) -> bytes:
        flags |= USER_PRESENT | BACKUP_ELIGIBLE | BACKED_UP | (USER_VERIFIED if self.verifies_user else 0)
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _credential(self, response: dict[str, bytes]) -> dict[str, Any]:
        identity = to_base64url(self.credential_id)
        encoded = {name: to_base64url(value) for name, value in response.items()}
        return {"id": identity, "rawId": identity, "type": "public-key", "response": encoded}
