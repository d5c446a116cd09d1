"""The public keys with which a provider signs its webhooks, as it publishes them at a URL."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from atelier.provider_port import WebhookInvalid

KEYS_SECONDS_MAX = 24 * 3600
# A signature that matches no known key may be made with a new key, so the keys are fetched again, but no more often
# than this.
KEYS_SECONDS_MIN = 300
KEYS_BYTES_MAX, KEYS_MAX, KEYS_ANSWER_SECONDS_MAX = 64 * 1024, 16, 5.0


class SigningKeys:
    """A provider's public keys (Ed25519, in a JWKS document), cached for a day at most."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: tuple[bytes, ...] = ()
        self._fetched_at_seconds: int | None = None

    def verify(self, signature: bytes, message: bytes, now_seconds: int) -> bool:
        """Whether the signature was made with one of the keys. Raises WebhookInvalid when no keys can be fetched."""
        age = self._age_seconds(now_seconds)
        if age <= KEYS_SECONDS_MAX and self._is_signed_by_known_key(signature, message):
            return True
        if age <= KEYS_SECONDS_MIN:
            return False
        self._fetch(now_seconds)
        return self._is_signed_by_known_key(signature, message)

    def _age_seconds(self, now_seconds: int) -> float:
        return math.inf if self._fetched_at_seconds is None else abs(now_seconds - self._fetched_at_seconds)

    def _is_signed_by_known_key(self, signature: bytes, message: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        for key in self._keys:
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
            except InvalidSignature:
                continue
            return True
        return False

    def _fetch(self, now_seconds: int) -> None:
        # The standard library is enough: the webhook function makes no other request and has no HTTP client.
        import urllib.request

        if not self._url.startswith(("https://", "http://127.0.0.1:")):
            raise WebhookInvalid("the keys have no safe address")
        try:
            with urllib.request.urlopen(self._url, timeout=KEYS_ANSWER_SECONDS_MAX) as answer:  # nosec B310
                keys = tuple(_public_keys(json.loads(answer.read(KEYS_BYTES_MAX))))
        except (OSError, ValueError) as error:
            raise WebhookInvalid(f"the keys could not be fetched: {type(error).__name__}") from error
        if not keys:
            raise WebhookInvalid("there are no keys")
        self._keys, self._fetched_at_seconds = keys, now_seconds


@cache
def signing_keys(url: str) -> SigningKeys:
    """The keys at a URL, cached for the life of the process, because adapters are short-lived."""
    return SigningKeys(url)


def _public_keys(document: Any) -> Iterator[bytes]:
    keys: Any = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    for key in cast("list[Any]", keys)[:KEYS_MAX] if isinstance(keys, list) else []:
        public_key: Any = cast("dict[str, Any]", key).get("x") if isinstance(key, dict) else None
        if isinstance(public_key, str) and re.fullmatch(r"[A-Za-z0-9_-]{43}=?", public_key):
            yield base64.urlsafe_b64decode(public_key[:43] + "=")
