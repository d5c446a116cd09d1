"""SecretSealer by the vault that seals workspaces' provider keys: the same keys, other records."""

from __future__ import annotations

import base64

from atelier.provider_keys.model import ProviderCredentials, SealContext
from atelier.provider_keys.vault import Vault


class VaultSealer:
    """SecretSealer. The record is bound to the user, to this use, and to the factor."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, secret: str, user_id: str, factor_id: str) -> str:
        sealed = self._vault.seal(ProviderCredentials(secret), _context(user_id, factor_id))
        return base64.b64encode(sealed.record).decode()

    def open(self, record: str, user_id: str, factor_id: str) -> str:
        """Raises UnreadableKey for a record that was changed, or moved to another user or factor."""
        return self._vault.open(base64.b64decode(record), _context(user_id, factor_id)).key


def _context(user_id: str, factor_id: str) -> SealContext:
    return SealContext(user_id, "totp", factor_id)
