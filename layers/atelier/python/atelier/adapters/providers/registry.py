"""Builds provider adapters: with the platform's keys, or with a workspace's own.

An adapter's module is named after the provider's id and exports `create_adapter`. It is imported on first use, because
most functions call few providers; what must be known earlier stands in the catalogue (`ProviderFacts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from importlib import import_module
from typing import Any, Protocol, Unpack, cast

from atelier.catalogue.model import ProviderFacts
from atelier.provider_keys.model import CustomModel, ProviderCredentials
from atelier.provider_port import WORK_SECONDS_MAX, AdapterOptions, Provider
from atelier.telemetry import logger

KEYLESS = ProviderCredentials("")


class AdapterFactory(Protocol):
    """`create_adapter` of each adapter's module. local_hosts: `host:port` pairs at private addresses that may be called
    although a workspace chose the address: the simulators of a local stack."""

    def __call__(
        self, credentials: ProviderCredentials, local_hosts: frozenset[str], **options: Unpack[AdapterOptions]
    ) -> Provider: ...


class AdapterRegistry:
    """The adapters of one deployment. `providers`: the catalogue's facts by provider; `base_urls`: overrides by
    provider; `local_hosts`: see AdapterFactory."""

    def __init__(
        self, providers: Mapping[str, ProviderFacts], base_urls: Mapping[str, str], local_hosts: frozenset[str]
    ) -> None:
        self._providers = providers
        self._base_urls = base_urls
        self._local_hosts = local_hosts

    def create(
        self,
        provider_id: str,
        credentials: ProviderCredentials,
        *,
        answer_seconds_max: float | None = None,
        for_attempts: bool = False,
    ) -> Provider:
        """The adapter of a provider. for_attempts: the caller has the time to wait for the work of a synchronous
        provider. Raises KeyError for a provider that the catalogue does not know."""
        options = AdapterOptions()
        base_url = credentials.base_url or self._base_urls.get(provider_id)
        if base_url:
            options["base_url"] = base_url
        if for_attempts and self._providers[provider_id]["synchronous"]:
            options["answer_seconds_max"] = float(WORK_SECONDS_MAX)
        elif answer_seconds_max is not None:
            options["answer_seconds_max"] = answer_seconds_max
        return self._factory(provider_id)(credentials, self._local_hosts, **options)

    def create_enabled(
        self, enabled: Set[str], access: Callable[[], Mapping[str, Any]], *, for_attempts: bool = False
    ) -> dict[str, Provider]:
        """The adapters of the enabled providers that the platform has access to, by id. access: reads the platform's
        access by provider; it is called only when an enabled provider needs a key."""
        known = sorted(enabled & self._providers.keys())
        keyless = [provider_id for provider_id in known if not self._providers[provider_id]["needs_key"]]
        found = dict.fromkeys(keyless, KEYLESS)
        if len(found) < len(known):
            found |= _platform_credentials(access(), known)
        return {
            provider_id: self.create(provider_id, credentials, for_attempts=for_attempts)
            for provider_id, credentials in found.items()
        }

    def _factory(self, provider_id: str) -> AdapterFactory:
        if provider_id not in self._providers:
            raise KeyError(provider_id)
        module = import_module(f"atelier.adapters.providers.{provider_id}")
        return cast("AdapterFactory", module.create_adapter)


def _platform_credentials(access: Mapping[str, Any], provider_ids: list[str]) -> dict[str, ProviderCredentials]:
    found: dict[str, ProviderCredentials] = {}
    for provider_id in provider_ids:
        entry = access.get(provider_id)
        if entry is None:
            continue
        key = entry.get("api_key") or entry.get("api_token")
        if not key:
            logger.warning("the secret names a provider without a key", provider=provider_id)
            continue
        found[provider_id] = ProviderCredentials(
            key=key,
            base_url=entry.get("base_url"),
            webhook_secret=entry.get("webhook_secret"),
            models=tuple(CustomModel(each["name"], each["kind"]) for each in entry.get("models", ())),
            account=entry.get("user_id"),
        )
    return found
