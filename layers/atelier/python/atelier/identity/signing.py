"""The key set that signs access tokens: P-256 keys as JWKs (RFC 7517), newest first, kept as one secret.

    {"keys": [{"kty": "EC", "crv": "P-256", "x": …, "y": …, "d": …, "kid": …, "alg": "ES256", "use": "sig"}, …]}

The newest key signs; all verify. `kid` is the RFC 7638 thumbprint, so a key cannot be stored under another's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ALGORITHM = "ES256"
# Two old keys beside the new one: rotating daily, a token still verifies for far longer than its ten minutes.
KEYS_MAX = 3
_PUBLIC = ("kty", "crv", "x", "y", "kid", "alg", "use")

KeySet = dict[str, list[dict[str, Any]]]


def new_key_set() -> KeySet:
    """A key set with one fresh key, to be written as the secret's JSON."""
    return {"keys": [_new_key()]}


def rotated(key_set: Mapping[str, Any]) -> KeySet:
    """The key set with a fresh key that signs from now on, and without the keys that are too old to matter."""
    return {"keys": [_new_key(), *key_set["keys"][: KEYS_MAX - 1]]}


def public(key_set: Mapping[str, Any]) -> KeySet:
    """The JWKS to publish: what verifies, nothing that signs."""
    return {"keys": [{name: key[name] for name in _PUBLIC} for key in key_set["keys"]]}


def _new_key() -> dict[str, Any]:
    from joserfc.jwk import ECKey

    key = ECKey.generate_key("P-256", {"alg": ALGORITHM, "use": "sig"})
    key.ensure_kid()
    return dict(key.as_dict(private=True))
