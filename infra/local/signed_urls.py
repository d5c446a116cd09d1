"""Checks CloudFront signed URLs with a canned policy, and signed cookies with a custom one, as CloudFront does:
RSA-SHA1 over the policy, which names the full URL, or with `*` those that it opens.

Source: Amazon CloudFront Developer Guide, "Create a signed URL using a canned policy" and "Set signed cookies using a
custom policy".
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SIGNING_PARAMETERS = ("Expires", "Signature", "Key-Pair-Id")
COOKIES = ("CloudFront-Policy", "CloudFront-Signature", "CloudFront-Key-Pair-Id")
NOT_VALID = "The URL's signature is not valid."


class UrlRefused(Exception):
    """The URL is not valid; the text says why without helping to forge one."""


class SignedUrls:
    """Checks URLs against public keys. keys: key pair id → PEM."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys: dict[str, rsa.RSAPublicKey] = {}
        for key_id, pem in keys.items():
            key = serialization.load_pem_public_key(pem.encode())
            if not isinstance(key, rsa.RSAPublicKey):
                raise TypeError("CloudFront's signed URLs take RSA keys")
            self._keys[key_id] = key

    def check(self, url: str, now_seconds: float, cookies: Mapping[str, str] | None = None) -> None:
        """Raises UrlRefused unless `url` (as the viewer sent it, with scheme and host) is signed, or opened by the
        cookies, and that is still valid."""
        resource, _, query = url.partition("?")
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        signing = {name: value for name, _, value in pairs if name in SIGNING_PARAMETERS}
        if not signing and cookies is not None and all(name in cookies for name in COOKIES):
            self._check_cookies(url, now_seconds, *(cookies[name] for name in COOKIES))
            return
        if len(signing) < len(SIGNING_PARAMETERS):
            raise UrlRefused("This file is opened by a signed URL; ask the API for one.")
        key = self._keys.get(signing["Key-Pair-Id"])
        expires = signing["Expires"]
        if key is None or not re.fullmatch(r"[0-9]{1,12}", expires):
            raise UrlRefused(NOT_VALID)
        rest = "&".join("".join(pair) for pair in pairs if pair[0] not in SIGNING_PARAMETERS)
        if rest:
            resource = f"{resource}?{rest}"
        condition = f'{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}'
        policy = f'{{"Statement":[{{"Resource":"{resource}","Condition":{condition}}}]}}'
        _verify(key, policy.encode(), signing["Signature"])
        if now_seconds >= int(expires):
            raise UrlRefused("The URL has expired; ask the API for a new one.")

    def _check_cookies(self, url: str, now_seconds: float, policy: str, signature: str, key_id: str) -> None:
        key = self._keys.get(key_id)
        if key is None:
            raise UrlRefused(NOT_VALID)
        try:
            text = _decoded(policy)
        except (binascii.Error, ValueError):
            raise UrlRefused(NOT_VALID) from None
        _verify(key, text, signature)
        [statement] = json.loads(text)["Statement"]
        # Only `*` and `?` have a meaning in a policy.
        if not fnmatch.fnmatchcase(url, statement["Resource"].replace("[", "[[]")):
            raise UrlRefused("The cookies are for other files.")
        if now_seconds >= statement["Condition"]["DateLessThan"]["AWS:EpochTime"]:
            raise UrlRefused("The cookies have expired; ask the API for new ones.")


def _verify(key: rsa.RSAPublicKey, policy: bytes, signature: str) -> None:
    try:
        # SHA-1 is CloudFront's choice, not ours.
        key.verify(_decoded(signature), policy, padding.PKCS1v15(), hashes.SHA1())  # nosec B303
    except (InvalidSignature, binascii.Error, ValueError):
        raise UrlRefused(NOT_VALID) from None


def _decoded(text: str) -> bytes:
    """The bytes of a text in CloudFront's variant of base64."""
    return base64.b64decode(text.translate(str.maketrans("-_~", "+=/")), validate=True)
