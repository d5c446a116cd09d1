"""Remove a workspace's own key for good, or switch it off and on."""

from __future__ import annotations

from datetime import datetime

from atelier.provider_keys.model import ProviderKey
from atelier.provider_keys.ports import ProviderKeys


def remove_key(workspace_id: str, key_id: str, *, keys: ProviderKeys, now: datetime) -> None:
    """Remove a key with its secret. A preference that names the key then means the platform's access. Raises
    NotFound."""
    keys.remove(keys.get(workspace_id, key_id), now)


def set_key_active(workspace_id: str, key_id: str, *, is_active: bool, keys: ProviderKeys) -> ProviderKey:
    """Switch a key off or on. Raises NotFound."""
    keys.set_active(workspace_id, key_id, is_active=is_active)
    return keys.get(workspace_id, key_id)
