"""CredentialSealer by the vault that seals workspaces' provider keys: the same keys, other records."""

from __future__ import annotations

import base64

from atelier.deployments.model import Integration
from atelier.deployments.ports import SealedCredentials
from atelier.provider_keys.model import ProviderCredentials, SealContext
from atelier.provider_keys.vault import Vault


class VaultCredentialSealer:
    """CredentialSealer. The record is bound to the workspace, to this use, and to the integration."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, credentials: str, workspace_id: str, integration_id: str) -> SealedCredentials:
        sealed = self._vault.seal(ProviderCredentials(credentials), seal_context(workspace_id, integration_id))
        return SealedCredentials(base64.b64encode(sealed.record).decode(), sealed.kid)

    def open(self, integration: Integration) -> str:
        """Raises UnreadableKey for a record that was changed, or moved to another integration."""
        context = seal_context(integration.workspace_id, integration.id)
        return self._vault.open(base64.b64decode(integration.record), context).key


def seal_context(workspace_id: str, integration_id: str) -> SealContext:
    """What the record of an integration's credentials is bound to."""
    return SealContext(workspace_id, "integration", integration_id)
