"""Take a key away for good, or switch it off and on."""

from __future__ import annotations

from datetime import datetime

from atelier.credentials.model import ProviderKey
from atelier.credentials.ports import ProviderKeys


def remove_key(workspace_id: str, key_id: str, *, keys: ProviderKeys, now: datetime) -> None:
    """Nothing of the secret stays. What names the key in the workspace's wishes then means the platform's. Raises
    NotFound."""
    keys.remove(keys.get(workspace_id, key_id), now)


def switch_key(workspace_id: str, key_id: str, *, is_active: bool, keys: ProviderKeys) -> ProviderKey:
    """Switch a key off, and on again. Raises NotFound."""
    keys.switch(workspace_id, key_id, is_active=is_active)
    return keys.get(workspace_id, key_id)
