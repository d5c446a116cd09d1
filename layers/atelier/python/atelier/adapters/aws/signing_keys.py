"""Keys that a deployment generates for itself. They are written once: a secret with a value is never overwritten."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from atelier.adapters.aws.clients import client

RSA_BITS = 2048  # what CloudFront takes
HMAC_BYTES = 32


def fill_if_empty(secret: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """The secret's value. If it is empty (`{}`), `make` creates the value and it is written first. secret: its name or
    ARN."""
    manager = client("secretsmanager")
    try:
        present: Mapping[str, Any] = json.loads(manager.get_secret_value(SecretId=secret)["SecretString"] or "{}")
    except manager.exceptions.ResourceNotFoundException:
        # The secret has no version, for example because only its description was restored.
        present = {}
    if not present:
        present = make()
        manager.put_secret_value(SecretId=secret, SecretString=json.dumps(present))
    return present


class SecretText:
    """One secret, read and written without a cache. name: its name or ARN."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self) -> Mapping[str, Any]:
        return json.loads(client("secretsmanager").get_secret_value(SecretId=self._name)["SecretString"] or "{}")

    def write(self, value: Mapping[str, Any]) -> None:
        client("secretsmanager").put_secret_value(SecretId=self._name, SecretString=json.dumps(value))


def new_url_keys() -> dict[str, str]:
    """An RSA key pair for signed media URLs: {"private_key_pem": …, "public_key_pem": …}."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {"private_key_pem": private.decode(), "public_key_pem": public.decode()}


def new_hmac_key() -> dict[str, str]:
    """A key for webhook paths and cursors: {"key": <hex>}."""
    return {"key": secrets.token_hex(HMAC_BYTES)}
