"""The key set of access tokens, and the signature algorithm ES256 (RFC 7518 §3.4): ECDSA on P-256 with SHA-256.

A key set is the JSON of one secret: JWKs (RFC 7517), newest first. The newest key signs, all keys verify.

    {"keys": [{"kty": "EC", "crv": "P-256", "x": …, "y": …, "d": …, "kid": …, "alg": "ES256", "use": "sig"}, …]}

`kid` is the RFC 7638 thumbprint, so a key cannot be stored under the id of another. The only library is `cryptography`,
imported on first use: a JOSE library has many algorithms, of which we allow one, and takes several times the cold
start."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

ALGORITHM = "ES256"
CURVE = "P-256"
COORDINATE_BYTES = 32
# The new key and two old ones: with a daily rotation a key verifies tokens for days, and a token lives ten minutes.
KEYS_MAX = 3
_PUBLIC = ("kty", "crv", "x", "y", "kid", "alg", "use")

Jwk = Mapping[str, str]
KeySet = dict[str, list[dict[str, Any]]]


def new_key_set() -> KeySet:
    """A key set with one new key, to be stored as the JSON of the secret."""
    return {"keys": [_new_key()]}


def with_new_key(key_set: Mapping[str, Any]) -> KeySet:
    """The key set with a new key in front, which signs from now on, and at most KEYS_MAX keys in all."""
    return {"keys": [_new_key(), *key_set["keys"][: KEYS_MAX - 1]]}


def public_key_set(key_set: Mapping[str, Any]) -> KeySet:
    """The JWKS to publish: the public parts of the keys, without the private ones."""
    return {"keys": [{name: key[name] for name in _PUBLIC} for key in key_set["keys"]]}


def sign(key: Jwk, message: bytes) -> bytes:
    """The ES256 signature of a message: 64 bytes, r and s."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    private = ec.derive_private_key(_number(key["d"]), ec.SECP256R1())
    r, s = utils.decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(COORDINATE_BYTES, "big") + s.to_bytes(COORDINATE_BYTES, "big")


def is_valid_signature(key: Jwk, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the ES256 signature of `message` by `key`."""
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
    """Bytes in base64url without padding, as JOSE requires."""
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
    thumbprint_input = json.dumps({"crv": CURVE, "kty": "EC", "x": x, "y": y}, separators=(",", ":"))
    kid = to_base64url(hashlib.sha256(thumbprint_input.encode()).digest())
    private_value = _coordinate(numbers.private_value)
    return {"kty": "EC", "crv": CURVE, "x": x, "y": y, "d": private_value, "kid": kid, "alg": ALGORITHM, "use": "sig"}


def _coordinate(number: int) -> str:
    return to_base64url(number.to_bytes(COORDINATE_BYTES, "big"))


def _number(text: str) -> int:
    return int.from_bytes(from_base64url(text), "big")
