"""WebhookSealer by the vault that seals workspaces' provider keys: the same keys, other records."""

from __future__ import annotations

import base64

from atelier.provider_keys.model import ProviderCredentials, SealContext
from atelier.provider_keys.vault import Vault
from atelier.webhook_endpoints.model import SealedText


class VaultWebhookSealer:
    """WebhookSealer. The record is bound to the workspace, to this use, and to the endpoint."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, secret: str, workspace_id: str, endpoint_id: str) -> SealedText:
        sealed = self._vault.seal(ProviderCredentials(secret), seal_context(workspace_id, endpoint_id))
        return SealedText(base64.b64encode(sealed.record).decode(), sealed.kid)

    def open(self, sealed: SealedText, workspace_id: str, endpoint_id: str) -> str:
        """Raises UnreadableKey for a record that was changed, or moved to another endpoint."""
        return self._vault.open(base64.b64decode(sealed.record), seal_context(workspace_id, endpoint_id)).key


def seal_context(workspace_id: str, endpoint_id: str) -> SealContext:
    """What the record of an endpoint's secret is bound to."""
    return SealContext(workspace_id, "webhook", endpoint_id)
