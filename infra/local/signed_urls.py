"""Checks CloudFront signed URLs with a canned policy, as CloudFront does: RSA-SHA1 over the policy of the full URL.

Source: Amazon CloudFront Developer Guide, "Create a signed URL using a canned policy".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SIGNING_PARAMETERS = ("Expires", "Signature", "Key-Pair-Id")


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

    def check(self, url: str, now_seconds: float) -> None:
        """Raises UrlRefused unless `url` (as the viewer sent it, with scheme and host) is signed and still valid."""
        resource, _, query = url.partition("?")
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        signing = {name: value for name, _, value in pairs if name in SIGNING_PARAMETERS}
        if len(signing) < len(SIGNING_PARAMETERS):
            raise UrlRefused("This file is opened by a signed URL; ask the API for one.")
        key = self._keys.get(signing["Key-Pair-Id"])
        expires = signing["Expires"]
        if key is None or not re.fullmatch(r"[0-9]{1,12}", expires):
            raise UrlRefused("The URL's signature is not valid.")
        rest = "&".join("".join(pair) for pair in pairs if pair[0] not in SIGNING_PARAMETERS)
        if rest:
            resource = f"{resource}?{rest}"
        condition = f'{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}'
        policy = f'{{"Statement":[{{"Resource":"{resource}","Condition":{condition}}}]}}'
        try:
            signature = base64.b64decode(signing["Signature"].translate(str.maketrans("-_~", "+=/")), validate=True)
            # SHA-1 is CloudFront's choice, not ours.
            key.verify(signature, policy.encode(), padding.PKCS1v15(), hashes.SHA1())  # nosec B303
        except (InvalidSignature, binascii.Error, ValueError):
            raise UrlRefused("The URL's signature is not valid.") from None
        if now_seconds >= int(expires):
            raise UrlRefused("The URL has expired; ask the API for a new one.")
