"""KMS as the source of data keys: the plain one is used and forgotten, the wrapped one is kept with what it sealed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from atelier.aws.clients import client
from atelier.credentials.model import UnreadableKey
from atelier.credentials.record import KEY_BYTES, KID_BYTES

# KMS says by these that it does not open this blob, with these facts, by this key: asking again is useless.
REFUSALS = ("InvalidCiphertextException", "IncorrectKeyException", "InvalidKeyUsageException", "ValidationException")


class KmsDataKeys:
    """DataKeys by one KMS key. `arn`: of the key itself, not of an alias, which may come to mean another."""

    def __init__(self, arn: str) -> None:
        self.arn = arn

    @property
    def kid(self) -> bytes:
        """The first bytes of the ARN's digest: KMS rotates what is behind an ARN by itself."""
        return hashlib.sha256(self.arn.encode()).digest()[:KID_BYTES]

    def new(self, facts: Mapping[str, str]) -> tuple[bytes, bytes]:
        made = client("kms").generate_data_key(KeyId=self.arn, NumberOfBytes=KEY_BYTES, EncryptionContext=dict(facts))
        return made["Plaintext"], made["CiphertextBlob"]

    def unwrap(self, wrapped: bytes, facts: Mapping[str, str]) -> bytes:
        from botocore.exceptions import ClientError

        try:
            opened = client("kms").decrypt(CiphertextBlob=wrapped, KeyId=self.arn, EncryptionContext=dict(facts))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in REFUSALS:
                raise
            raise UnreadableKey("KMS does not open a data key at this place") from error
        plain: bytes = opened["Plaintext"]
        return plain
