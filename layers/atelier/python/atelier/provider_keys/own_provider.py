"""The adapter of a provider with a workspace's own key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.errors import NotFound
from atelier.provider_keys.decrypt import decrypt_key
from atelier.provider_keys.model import ProviderCredentials, UnreadableKey
from atelier.provider_keys.ports import ProviderKeys
from atelier.provider_keys.vault import Vault
from atelier.provider_port import Provider
from atelier.telemetry import logger


def own_provider(
    workspace_id: str,
    provider: str,
    key_id: str,
    *,
    keys: ProviderKeys,
    vault: Vault,
    adapter: Callable[[str, ProviderCredentials], Provider],
    now: datetime,
) -> Provider | None:
    """The adapter with a workspace's own key; None when the key was removed or cannot be decrypted."""
    try:
        return adapter(provider, decrypt_key(workspace_id, provider, key_id, keys=keys, vault=vault, now=now))
    except (NotFound, UnreadableKey) as error:
        logger.warning("own key cannot be used", workspace_id=workspace_id, key=key_id, reason=type(error).__name__)
        return None
