"""A simulator of Google's sign-in: OpenID Connect with PKCE, and a person who is whatever address they type.

`python -m infra.simulators.oauth.google` serves it alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from infra.simulators.kit.html import form_of
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import Route, main
from infra.simulators.oauth.identity_provider import (
    CLIENT_ID,
    SHARED_FAULTS,
    Grant,
    IdentityProviderSimulator,
    base64url,
    number_of,
)

SUBJECT_DIGITS = 21
TOKEN_SECONDS = 3600


class GoogleSimulator(IdentityProviderSimulator):
    """Google's sign-in, on loopback."""

    title: ClassVar[str] = "Google"
    authorize_path: ClassVar[str] = "/authorize"
    sends_issuer: ClassVar[bool] = True
    faults_offered: ClassVar[Mapping[str, str]] = SHARED_FAULTS | {
        "verified_text": "say so by the text “true”, not by the value",
        "no_iss": "leave out the callback's issuer",
        "token_iss": "name another issuer in the ID token",
        "no_nonce": "leave out the nonce",
        "other_nonce": "repeat another nonce",
        "other_aud": "issue the ID token for another client",
        "two_auds": "issue the ID token for two clients, without a party",
        "other_azp": "name another client as the party",
        "expired": "issue an ID token that has expired",
        "old": "issue an ID token of an hour ago",
        "alg_none": "leave the ID token unsigned",
        "alg_hs256": "sign the ID token with the public key as a secret",
        "unknown_key": "sign with a key that nobody knows",
        "wrong_signature": "sign with another key under the same name",
        "rotate": "change the keys before signing (which is allowed)",
        "no_id_token": "send no ID token",
    }

    def __init__(self, port: int = 0, **options: Any) -> None:
        # Made at first use: it takes a tenth of a second, and most people never sign in with Google here.
        self._made_keys: list[_SigningKey] = []
        super().__init__(port, **options)

    def routes(self) -> list[Route]:
        return [
            *super().routes(),
            ("GET", "/.well-known/openid-configuration", self._discovery),
            ("GET", "/jwks", self._jwks),
            ("POST", "/token", self._token),
        ]

    @property
    def _keys(self) -> list[_SigningKey]:
        """The keys, newest first."""
        with self.lock:
            self._made_keys = self._made_keys or [_SigningKey()]
            return self._made_keys

    def _discovery(self, _request: Request) -> Response:
        return Response(
            200,
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.public_url}/authorize",
                "token_endpoint": f"{self.public_url}/token",
                "jwks_uri": f"{self.public_url}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            },
        )

    def _jwks(self, _request: Request) -> Response:
        return Response(200, {"keys": [key.jwk for key in self._keys]})

    def _token(self, request: Request) -> Response:
        grant = self.take_grant(form_of(request))
        if grant is None:
            return Response(400, {"error": "invalid_grant"})
        failure = self.fault_of_server(grant.fault)
        if failure is not None:
            return failure
        answer = {"access_token": secrets.token_urlsafe(24), "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return Response(200, answer if grant.fault == "no_id_token" else answer | {"id_token": self._id_token(grant)})

    def _id_token(self, grant: Grant) -> str:
        if grant.fault == "rotate":
            self._made_keys = [_SigningKey(), *self._keys[:1]]
        claims, key = self._claims(grant), self._keys[0]
        match grant.fault:
            case "alg_none":
                return _token({"alg": "none", "kid": key.jwk["kid"]}, claims, b"")
            case "alg_hs256":
                header = {"alg": "HS256", "kid": key.jwk["kid"]}
                signed = _token(header, claims, b"").rpartition(".")[0]
                return f"{signed}.{base64url(hmac.digest(key.public_pem, signed.encode(), 'sha256'))}"
            case "unknown_key":
                return _SigningKey().sign(claims)
            case "wrong_signature":
                return _SigningKey().sign(claims, key.jwk["kid"])
            case _:
                return key.sign(claims)

    def _claims(self, grant: Grant) -> dict[str, Any]:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "azp": CLIENT_ID,
            "sub": str(number_of(f"google {grant.email.lower()}", SUBJECT_DIGITS)),
            "email": grant.email,
            "email_verified": True,
            "name": grant.email.partition("@")[0].replace(".", " ").title(),
            "nonce": grant.parameters.get("nonce", ""),
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }
        changes: dict[str, dict[str, Any]] = {
            "unverified": {"email_verified": False},
            "verified_text": {"email_verified": "true"},
            "token_iss": {"iss": "https://elsewhere.example"},
            "other_nonce": {"nonce": secrets.token_urlsafe(24)},
            "other_aud": {"aud": "another-client", "azp": "another-client"},
            "two_auds": {"aud": [CLIENT_ID, "another-client"]},
            "other_azp": {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"},
            "expired": {"exp": now - 60},
            "old": {"iat": now - 3600, "exp": now + 60},
        }
        missing = {"no_email": ("email", "email_verified"), "no_nonce": ("nonce",), "two_auds": ("azp",)}
        claims |= changes.get(grant.fault, {})
        return {name: value for name, value in claims.items() if name not in missing.get(grant.fault, ())}


class _SigningKey:
    """An RSA key with its public form."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._key.public_key()
        numbers = public.public_numbers()
        self.public_pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        modulus = base64url(numbers.n.to_bytes(256))
        kid = hashlib.sha256(modulus.encode()).hexdigest()[:40]
        self.jwk = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": modulus, "e": "AQAB"}

    def sign(self, claims: Mapping[str, Any], kid: str | None = None) -> str:
        """The token with these claims, in the name of this key, or of another."""
        header = {"alg": "RS256", "typ": "JWT", "kid": kid or self.jwk["kid"]}
        signed = _token(header, claims, b"").rpartition(".")[0]
        return f"{signed}.{base64url(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _token(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes) -> str:
    return ".".join([*(base64url(json.dumps(part).encode()) for part in (header, claims)), base64url(signature)])


if __name__ == "__main__":
    main(GoogleSimulator, "oauth.google")
