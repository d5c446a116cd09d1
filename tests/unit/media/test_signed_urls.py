"""Signed media URLs, checked as CloudFront checks a canned policy: rebuilt from the URL, verified by the public key."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from atelier.adapters.aws.cloudfront import UrlSigner

NOW = datetime(2026, 11, 20, 21, 4, 5, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
SIGNER = UrlSigner("https://atelier.example", "K2JCJMDEHXQW5F", private_key_pem=lambda: PEM)
OBJECT = "media/wsp_01K9/abc.png"


def accepted(url: str, host: str = "https://atelier.example") -> int:
    """The expiry of a URL whose signature is valid; raises InvalidSignature otherwise."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    expires = int(query["Expires"])
    policy = (
        f'{{"Statement":[{{"Resource":"{host}{parts.path}","Condition":{{"DateLessThan":'
        f'{{"AWS:EpochTime":{expires}}}}}}}]}}'
    )
    signature = base64.b64decode(query["Signature"].translate(str.maketrans("-_~", "+=/")))
    KEY.public_key().verify(signature, policy.encode(), padding.PKCS1v15(), hashes.SHA1())
    assert query["Key-Pair-Id"] == "K2JCJMDEHXQW5F"
    return expires


def test_a_signed_url_verifies_as_cloudfront_verifies_it() -> None:
    url = SIGNER.sign(OBJECT, NOW)
    assert url.startswith(f"/{OBJECT}?Expires=")
    assert accepted(url)


@pytest.mark.parametrize("offset", range(0, 240, 17))
def test_a_signed_url_is_valid_for_eight_to_ten_minutes(offset: int) -> None:
    at = NOW + timedelta(seconds=offset)
    assert 480 <= accepted(SIGNER.sign(OBJECT, at)) - at.timestamp() <= 600


def test_an_object_keeps_its_url_within_a_two_minute_window() -> None:
    start = NOW.replace(second=0)
    assert SIGNER.sign(OBJECT, start) == SIGNER.sign(OBJECT, start + timedelta(seconds=119))
    assert SIGNER.sign(OBJECT, start) != SIGNER.sign(OBJECT, start + timedelta(seconds=120))


def test_a_signature_is_valid_for_one_object_host_and_expiry() -> None:
    url = SIGNER.sign(OBJECT, NOW)
    for forged in (
        url.replace("abc", "abd"),
        url.replace("wsp_01K9", "wsp_01K8"),
        url.replace("Expires=1", "Expires=2"),
    ):
        with pytest.raises(InvalidSignature):
            accepted(forged)
    with pytest.raises(InvalidSignature):
        accepted(url, "https://other.example")


def test_the_private_key_is_loaded_once_at_the_first_url() -> None:
    reads: list[int] = []

    def pem() -> str:
        reads.append(1)
        return PEM

    signer = UrlSigner("https://atelier.example", "K2", private_key_pem=pem)
    assert reads == []
    signer.sign(OBJECT, NOW)
    signer.sign(OBJECT, NOW)
    assert reads == [1]
