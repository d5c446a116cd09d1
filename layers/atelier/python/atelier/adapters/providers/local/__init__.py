"""The embedded provider: images, videos, speech, text and pages without any key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from atelier.adapters.providers.local.provider import Local
    from atelier.provider_keys.model import ProviderCredentials
    from atelier.provider_port import AdapterOptions


def create_adapter(
    credentials: ProviderCredentials, local_hosts: frozenset[str], **options: Unpack[AdapterOptions]
) -> Local:
    """The adapter, which needs neither credentials nor options; see AdapterFactory in registry.py."""
    # Imported here, because the modules of this package are also used without the adapter.
    from atelier.adapters.providers.local.provider import Local

    return Local()
