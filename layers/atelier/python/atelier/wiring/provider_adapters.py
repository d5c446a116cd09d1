"""The one place that makes provider adapters: with the platform's key, or with a workspace's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from atelier.adapters.aws.secrets import Secret
from atelier.provider_keys.model import CustomModel, ProviderCredentials
from atelier.provider_port import WORK_SECONDS_MAX, Provider
from atelier.settings import Deployment, ProviderSecrets, ProviderUrls
from atelier.telemetry import logger
from atelier.wiring.prices import enabled_providers

# Providers whose response to a request is the finished work.
SYNCHRONOUS_PROVIDERS = frozenset({"anthropic", "custom", "openai", "stability", "xai"})


def make_adapter(
    provider_id: str, credentials: ProviderCredentials, *, answer_seconds_max: float | None = None
) -> Provider:
    """The adapter of a provider that needs a key. Its module is imported here, on first use. Raises KeyError for a
    provider without an adapter."""
    base_url = credentials.base_url or base_urls().get(provider_id)
    options: dict[str, Any] = {"base_url": base_url, "answer_seconds_max": answer_seconds_max}
    # Options left out keep the adapter's defaults.
    options = {name: value for name, value in options.items() if value is not None}
    match provider_id:
        case "anthropic":
            from atelier.adapters.providers.anthropic import Anthropic

            return Anthropic(api_key=credentials.key, **options)
        case "custom":
            from atelier.adapters.providers.custom import Custom

            return Custom(api_key=credentials.key, local_hosts=simulator_hosts(), **options)
        case "fal":
            from atelier.adapters.providers.fal import Fal

            # fal has two hosts; with a base-URL override one host serves both.
            options |= {"rest_url": base_url} if base_url else {}
            return Fal(api_key=credentials.key, user_id=credentials.account or "", **options)
        case "openai":
            from atelier.adapters.providers.openai import OpenAI

            return OpenAI(api_key=credentials.key, **options)
        case "replicate":
            from atelier.adapters.providers.replicate import Replicate

            return Replicate(api_token=credentials.key, webhook_secret=credentials.webhook_secret or "", **options)
        case "stability":
            from atelier.adapters.providers.stability import Stability

            return Stability(api_key=credentials.key, **options)
        case "xai":
            from atelier.adapters.providers.xai import XAI

            return XAI(api_key=credentials.key, **options)
        case _:
            raise KeyError(provider_id)


def platform_adapters(*, for_attempts: bool = False) -> Mapping[str, Provider]:
    """The adapters of the enabled providers that the platform has a key for, by id. They are made anew for each call,
    so that a rotated secret is used within minutes. for_attempts: the calling function has the time to wait for a
    synchronous provider's work."""
    enabled = enabled_providers()
    adapters_by_id: dict[str, Provider] = {}
    if "local" in enabled:
        from atelier.adapters.providers.local.provider import Local

        adapters_by_id["local"] = Local()
    if enabled - {"local"}:
        access = _secret().value()
        for provider_id in sorted(enabled & access.keys()):
            credentials = _credentials(access[provider_id])
            if credentials:
                answer_seconds = timeout_seconds(provider_id) if for_attempts else None
                adapters_by_id[provider_id] = make_adapter(provider_id, credentials, answer_seconds_max=answer_seconds)
            else:
                logger.warning("the secret names a provider without a key", provider=provider_id)
    return adapters_by_id


def timeout_seconds(provider_id: str) -> float | None:
    """How many seconds an attempt waits for a provider's response; None = the adapter's default."""
    return float(WORK_SECONDS_MAX) if provider_id in SYNCHRONOUS_PROVIDERS else None


def base_urls() -> Mapping[str, str]:
    """Base-URL overrides by provider."""
    return ProviderUrls.read().by_provider()


def simulator_hosts() -> frozenset[str]:
    """`host:port` of the configured simulators, the only loopback addresses that may be called; empty unless the stage
    is a developer's machine."""
    if Deployment.read().stage != "local":
        return frozenset()
    from urllib.parse import urlsplit

    return frozenset(urlsplit(url).netloc for url in base_urls().values())


@cache
def _secret() -> Secret:
    return Secret(ProviderSecrets.read().secret)


def _credentials(access: Mapping[str, Any]) -> ProviderCredentials | None:
    key = access.get("api_key") or access.get("api_token")
    if not key:
        return None
    return ProviderCredentials(
        key=key,
        base_url=access.get("base_url"),
        webhook_secret=access.get("webhook_secret"),
        models=tuple(CustomModel(each["name"], each["kind"]) for each in access.get("models", ())),
        account=access.get("user_id"),
    )
