"""Remove a workspace's own key for good, or switch it off and on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from atelier.audit_log.model import Origin, audit_event
from atelier.provider_keys.model import ProviderKey
from atelier.provider_keys.ports import ProviderKeys


def remove_key(workspace_id: str, key_id: str, *, keys: ProviderKeys, origin: Origin, now: datetime) -> None:
    """Remove a key with its secret. A preference that names the key then means the platform's access. Raises
    NotFound."""
    key = keys.get(workspace_id, key_id)
    facts: dict[str, Any] = {"provider": key.provider, "name": key.name, "last_four": key.last_four}
    keys.remove(key, now, [audit_event(workspace_id, "key.removed", origin, now, target=key_id, **facts)])


def set_key_active(
    workspace_id: str, key_id: str, *, is_active: bool, keys: ProviderKeys, origin: Origin, now: datetime
) -> ProviderKey:
    """Switch a key off or on. Raises NotFound."""
    action = "key.switched_on" if is_active else "key.switched_off"
    switched = audit_event(workspace_id, action, origin, now, target=key_id)
    keys.set_active(workspace_id, key_id, is_active=is_active, events=[switched])
    return keys.get(workspace_id, key_id)
