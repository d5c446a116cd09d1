"""Provider adapters, composed: with the platform's keys, or with a workspace's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from atelier.adapters.aws.secrets import Secret
from atelier.adapters.providers.registry import AdapterRegistry
from atelier.provider_port import Provider
from atelier.provider_settings import ProviderSecrets, ProviderUrls
from atelier.wiring.prices import enabled_providers, prices


def registry() -> AdapterRegistry:
    """What builds the adapters of this deployment."""
    return AdapterRegistry(prices().data.providers, ProviderUrls.read().by_provider(), simulator_hosts())


def platform_adapters(*, for_attempts: bool = False) -> Mapping[str, Provider]:
    """The adapters of the enabled providers that the platform has a key for, by id. They are made anew for each call,
    so that a rotated secret is used within minutes. for_attempts: the calling function has the time to wait for a
    synchronous provider's work."""
    return registry().create_enabled(enabled_providers(), lambda: _secret().value(), for_attempts=for_attempts)


def simulator_hosts() -> frozenset[str]:
    """`host:port` of the configured simulators, the only loopback addresses that may be called."""
    return ProviderUrls.read().simulator_hosts


@cache
def _secret() -> Secret:
    return Secret(ProviderSecrets.read().secret)
