"""CloudFront signed URLs with a canned policy, and signed cookies with a custom one (RSA-SHA1, as CloudFront's
documentation prescribes for both)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LIFETIME_SECONDS = 600
# Within a window the URL of an object stays the same, so that browsers can cache it.
WINDOW_SECONDS = 120


class UrlSigner:
    """Signs paths of one distribution. `private_key_pem` is called when the first URL is signed."""

    def __init__(self, public_url: str, key_pair_id: str, *, private_key_pem: Callable[[], str]) -> None:
        self._public_url = public_url
        self._key_pair_id = key_pair_id
        self._private_key_pem = private_key_pem

    def sign(self, key: str, now: datetime) -> str:
        """The signed path and query of a media key, valid for 8 to 10 minutes."""
        started = int(now.timestamp()) // WINDOW_SECONDS * WINDOW_SECONDS
        expires = started + LIFETIME_SECONDS
        resource = f"{self._public_url}/{key}"
        until = {"DateLessThan": {"AWS:EpochTime": expires}}
        signature = self._signature(_policy(resource, until))
        return f"/{key}?Expires={expires}&Signature={signature}&Key-Pair-Id={self._key_pair_id}"

    def cookies(self, folder: str, expires_at: datetime) -> dict[str, str]:
        """The cookies, name → value, that open every key below a folder until a time, to the second."""
        until = {"DateLessThan": {"AWS:EpochTime": int(expires_at.timestamp())}}
        policy = _policy(f"{self._public_url}/{folder}/*", until)
        return {
            "CloudFront-Policy": _text(policy.encode()),
            "CloudFront-Signature": self._signature(policy),
            "CloudFront-Key-Pair-Id": self._key_pair_id,
        }

    def _signature(self, policy: str) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        # SHA-1 is CloudFront's choice, not ours.
        return _text(self._private_key.sign(policy.encode(), padding.PKCS1v15(), hashes.SHA1()))  # nosec B303

    @cached_property
    def _private_key(self) -> RSAPrivateKey:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        return cast("RSAPrivateKey", load_pem_private_key(self._private_key_pem().encode(), password=None))


def _policy(resource: str, condition: dict[str, dict[str, int]]) -> str:
    return json.dumps({"Statement": [{"Resource": resource, "Condition": condition}]}, separators=(",", ":"))


def _text(data: bytes) -> str:
    """Bytes in CloudFront's variant of base64."""
    return base64.b64encode(data).decode().translate(str.maketrans("+=/", "-_~"))
