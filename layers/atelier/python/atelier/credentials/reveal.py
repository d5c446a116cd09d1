"""The one way from a stored key to its plaintext: for the provider's request, and for nothing else."""

from __future__ import annotations

from datetime import datetime

from atelier.credentials.model import Credentials
from atelier.credentials.ports import ProviderKeys
from atelier.credentials.vault import Vault
from atelier.errors import NotFound


def reveal(
    workspace_id: str, provider: str, key_id: str, *, keys: ProviderKeys, vault: Vault, now: datetime
) -> Credentials:
    """The credentials of a workspace's key for a provider, about to be used.

    A key that is switched off is revealed too: what was begun with it is asked about and cancelled with it. Raises
    NotFound for a key that is not there or is another provider's, and UnreadableKey."""
    key = keys.get(workspace_id, key_id)
    if key.provider != provider:
        raise NotFound
    credentials = vault.open(key.record, key.place)
    if key.use_is_due(now):
        keys.note_use(workspace_id, key_id, now)
    return credentials
