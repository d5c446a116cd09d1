"""Verify ID tokens (OpenID Connect Core 1.0, §3.1.3.7) with `joserfc`: RS256 or ES256 by a public key of the provider.

Neither `none` nor an algorithm with a shared secret is allowed, so a public key cannot be taken for a secret one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from atelier.identity.oauth.model import ProviderRefused

ALGORITHM_BY_KEY_TYPE = {"RSA": "RS256", "EC": "ES256"}
CLOCK_SKEW_SECONDS = 30
# No sign-in takes longer, so an older token is a replayed one.
AGE_SECONDS_MAX = 600
TOKEN_CHARACTERS_MAX = 16 * 1024
KEY_BITS_MIN = 2048


class IdTokens:
    """Verifies tokens of these issuers (all names of one) for one client."""

    def __init__(self, issuers: Collection[str], client_id: str) -> None:
        self._issuers = frozenset(issuers)
        self._client_id = client_id

    def verify(self, token: str, jwk: dict[str, Any], now: datetime) -> dict[str, Any]:
        """The claims of a token that is signed by this key and valid now; the nonce is left to the caller. Raises
        ProviderRefused."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import ECKey, RSAKey

        algorithm = ALGORITHM_BY_KEY_TYPE.get(str(jwk.get("kty")))
        if algorithm is None or jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
            raise ProviderRefused("the ID token is signed by a key of another kind")
        public = {name: jwk[name] for name in ("kty", "kid", "n", "e", "crv", "x", "y") if name in jwk}
        try:
            key = RSAKey.import_key(public) if algorithm == "RS256" else ECKey.import_key(public)
            claims = jwt.decode(token, key, algorithms=[algorithm]).claims
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ProviderRefused(f"the ID token is not valid: {type(error).__name__}") from error
        self._check(claims, now.timestamp())
        return claims

    def _check(self, claims: dict[str, Any], now_seconds: float) -> None:
        if claims.get("iss") not in self._issuers:
            raise ProviderRefused("the ID token is of another issuer")
        audience: Any = claims.get("aud")
        audiences = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
        authorized_party = claims.get("azp", self._client_id if len(audiences) == 1 else None)
        if self._client_id not in audiences or authorized_party != self._client_id:
            raise ProviderRefused("the ID token is for another client")
        expires_at, issued_at = claims.get("exp"), claims.get("iat")
        if not (isinstance(expires_at, int | float) and isinstance(issued_at, int | float)):
            raise ProviderRefused("the ID token has no times")
        if now_seconds >= expires_at + CLOCK_SKEW_SECONDS:
            raise ProviderRefused("the ID token has expired")
        if not -CLOCK_SKEW_SECONDS <= now_seconds - issued_at <= AGE_SECONDS_MAX:
            raise ProviderRefused("the ID token was not issued just now")
        not_before = claims.get("nbf", issued_at)
        if not isinstance(not_before, int | float) or now_seconds < not_before - CLOCK_SKEW_SECONDS:
            raise ProviderRefused("the ID token is not valid yet")


def unverified_key_id(token: str) -> str | None:
    """The id of the key that a token says it is signed by; None when it says none. Raises ProviderRefused."""
    head = token.partition(".")[0]
    try:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise ValueError
        header: Any = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        key_id: Any = header.get("kid")
    except (ValueError, AttributeError) as error:
        raise ProviderRefused("the ID token has no header") from error
    if not isinstance(key_id, str | None):
        raise ProviderRefused("the ID token names no key")
    return key_id
