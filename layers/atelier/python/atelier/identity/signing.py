"""The key set that signs access tokens, and ES256 itself (RFC 7518 §3.4): ECDSA on P-256 with SHA-256.

A key set is one secret, JWKs (RFC 7517) newest first: the newest signs, all verify.

    {"keys": [{"kty": "EC", "crv": "P-256", "x": …, "y": …, "d": …, "kid": …, "alg": "ES256", "use": "sig"}, …]}

`kid` is the RFC 7638 thumbprint, so a key cannot be stored under another's name. Only `cryptography` is used, and on
first use: a JOSE library brings every algorithm there is, for one that we allow and several times the cold start.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

ALGORITHM = "ES256"
CURVE = "P-256"
COORDINATE_BYTES = 32
# Two old keys beside the new one: rotating daily, a token still verifies for far longer than its ten minutes.
KEYS_MAX = 3
_PUBLIC = ("kty", "crv", "x", "y", "kid", "alg", "use")

Jwk = Mapping[str, str]
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


def sign(key: Jwk, message: bytes) -> bytes:
    """The 64 bytes of an ES256 signature."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    private = ec.derive_private_key(_number(key["d"]), ec.SECP256R1())
    r, s = utils.decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(COORDINATE_BYTES, "big") + s.to_bytes(COORDINATE_BYTES, "big")


def verifies(key: Jwk, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is `key`'s over `message`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    if len(signature) != 2 * COORDINATE_BYTES:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:COORDINATE_BYTES], signature[COORDINATE_BYTES:]))
    public_key = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), ec.SECP256R1()).public_key()
    try:
        public_key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def to_base64url(value: bytes) -> str:
    """Without padding, as JOSE writes it."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """The inverse of `to_base64url`; raises ValueError for every other spelling of the same bytes."""
    value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_base64url(value) != text:
        raise ValueError("this is not base64url")
    return value


def _new_key() -> dict[str, Any]:
    from cryptography.hazmat.primitives.asymmetric import ec

    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    x, y = _coordinate(numbers.public_numbers.x), _coordinate(numbers.public_numbers.y)
    # RFC 7638: the required members in lexical order, no spaces.
    essence = json.dumps({"crv": CURVE, "kty": "EC", "x": x, "y": y}, separators=(",", ":"))
    kid = to_base64url(hashlib.sha256(essence.encode()).digest())
    secret = _coordinate(numbers.private_value)
    return {"kty": "EC", "crv": CURVE, "x": x, "y": y, "d": secret, "kid": kid, "alg": ALGORITHM, "use": "sig"}


def _coordinate(number: int) -> str:
    return to_base64url(number.to_bytes(COORDINATE_BYTES, "big"))


def _number(text: str) -> int:
    return int.from_bytes(from_base64url(text), "big")
