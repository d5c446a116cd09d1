"""Data keys from KMS. The plain data key is used once and not stored; the wrapped one is stored with the sealed
data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from atelier.adapters.aws.clients import client
from atelier.provider_keys.envelope import KEY_BYTES, KID_BYTES
from atelier.provider_keys.model import UnreadableKey

# Error codes for a blob that KMS cannot decrypt with this key and encryption context. A retry would fail again.
REFUSAL_CODES = (
    "InvalidCiphertextException",
    "IncorrectKeyException",
    "InvalidKeyUsageException",
    "ValidationException",
)


class KmsDataKeys:
    """DataKeys on one KMS key. `arn`: the ARN of the key itself, not of an alias, which could later point to another
    key."""

    def __init__(self, arn: str) -> None:
        self.arn = arn

    @property
    def kid(self) -> bytes:
        """The master key's id in sealed records: the first bytes of the ARN's SHA-256. It stays the same when KMS
        rotates the key material behind the ARN."""
        return hashlib.sha256(self.arn.encode()).digest()[:KID_BYTES]

    def generate(self, facts: Mapping[str, str]) -> tuple[bytes, bytes]:
        response = client("kms").generate_data_key(
            KeyId=self.arn, NumberOfBytes=KEY_BYTES, EncryptionContext=dict(facts)
        )
        return response["Plaintext"], response["CiphertextBlob"]

    def unwrap(self, wrapped: bytes, facts: Mapping[str, str]) -> bytes:
        from botocore.exceptions import ClientError

        try:
            response = client("kms").decrypt(CiphertextBlob=wrapped, KeyId=self.arn, EncryptionContext=dict(facts))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in REFUSAL_CODES:
                raise
            raise UnreadableKey("KMS does not open a data key at this place") from error
        plain: bytes = response["Plaintext"]
        return plain
