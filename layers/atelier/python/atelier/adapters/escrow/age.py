"""Encryption in age's format (https://age-encryption.org/v1), which the program `age` decrypts."""

from __future__ import annotations

from typing import Any

from atelier.backups.ports import RecoveryKeyInvalid


class AgeRecipient:
    """RecoveryRecipient of one X25519 key. key: `age1…`, as `age-keygen` shows it."""

    def __init__(self, key: str) -> None:
        self.key = key

    def encrypt(self, data: bytes) -> bytes:
        import pyrage  # pyright: ignore[reportMissingTypeStubs]

        # Its native module has no types.
        age: Any = pyrage
        try:
            recipient = age.x25519.Recipient.from_str(self.key)
        except age.RecipientError as error:
            raise RecoveryKeyInvalid(f"the recovery key is no age key: {error}") from error
        sealed: bytes = age.encrypt(data, [recipient])
        return sealed
