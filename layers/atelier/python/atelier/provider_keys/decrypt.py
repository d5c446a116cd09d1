"""Decrypt a stored key: the only way to its plaintext, used for requests to the provider and nothing else."""

from __future__ import annotations

from datetime import datetime

from atelier.errors import NotFound
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_keys.ports import ProviderKeys
from atelier.provider_keys.vault import Vault


def decrypt_key(
    workspace_id: str, provider: str, key_id: str, *, keys: ProviderKeys, vault: Vault, now: datetime
) -> ProviderCredentials:
    """Decrypt a workspace's key for a provider for use now, and store the time of use.

    A key that is switched off is decrypted too: jobs that were started with it are polled and cancelled with it. Raises
    NotFound when there is no such key for this provider, and UnreadableKey."""
    key = keys.get(workspace_id, key_id)
    if key.provider != provider:
        raise NotFound
    credentials = vault.open(key.record, key.seal_context)
    if key.use_is_due(now):
        keys.record_use(workspace_id, key_id, now)
    return credentials
