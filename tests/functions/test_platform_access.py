"""The platform's access to providers: one secret, one list of base URLs, one place that builds the adapters."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.catalogue.catalogue import providers_with_keys
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_settings import ProviderSecrets, ProviderUrls
from atelier.wiring import provider_adapters
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources

NOWHERE = "http://127.0.0.1:9"


def given(monkeypatch: pytest.MonkeyPatch, access: dict[str, Any], enabled: str) -> None:
    """Store these credentials and enable these providers."""
    client("secretsmanager").put_secret_value(SecretId=ProviderSecrets.read().secret, SecretString=json.dumps(access))
    monkeypatch.setenv("ATELIER_PROVIDERS", enabled)
    clear_wiring_caches(clients=False)


@pytest.mark.parametrize("provider", providers_with_keys())
def test_every_provider_that_takes_keys_has_an_adapter(
    cloud: AwsResources, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setenv("ATELIER_PROVIDER_URLS", f"{provider}={NOWHERE}")
    clear_wiring_caches(clients=False)
    failure = provider_adapters.registry().create(provider, ProviderCredentials("a key"), answer_seconds_max=1).check()
    assert failure is not None
    assert failure.error_class in ("transient", "auth")


def test_an_unknown_provider_has_no_adapter() -> None:
    with pytest.raises(KeyError):
        provider_adapters.registry().create("nobody", ProviderCredentials("a key"))


def test_only_enabled_providers_with_a_key_are_available(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> None:
    access = {"openai": {"api_key": "k"}, "replicate": {"api_token": "t", "webhook_secret": "whsec_eA=="}}
    given(monkeypatch, {**access, "fal": {"api_key": "k"}}, "local, openai,replicate,anthropic")
    assert set(provider_adapters.platform_adapters()) == {"local", "openai", "replicate"}
    given(monkeypatch, {}, "local,openai")
    assert set(provider_adapters.platform_adapters()) == {"local"}


def test_a_provider_without_a_key_is_skipped_and_logged(
    cloud: AwsResources, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    given(monkeypatch, {"openai": {"key": "misspelt"}, "xai": {"api_key": "k"}}, "openai,xai")
    assert set(provider_adapters.platform_adapters()) == {"xai"}
    assert "openai" in log.getvalue()
    assert "misspelt" not in log.getvalue()


def test_base_urls_are_parsed_by_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    for written, read in (
        ("", {}),
        (f"openai={NOWHERE}/v1", {"openai": f"{NOWHERE}/v1"}),
        (f" openai={NOWHERE}/?a=b , fal=https://x ,", {"openai": f"{NOWHERE}/?a=b", "fal": "https://x"}),
    ):
        monkeypatch.setenv("ATELIER_PROVIDER_URLS", written)
        ProviderUrls.read.cache_clear()  # type: ignore[attr-defined]
        assert ProviderUrls.read().by_provider() == read
    ProviderUrls.read.cache_clear()  # type: ignore[attr-defined]


def test_simulator_hosts_are_allowed_only_in_the_local_stage(
    cloud: AwsResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_PROVIDER_URLS", f"openai={NOWHERE}/v1,fal=http://localhost:8000")
    clear_wiring_caches(clients=False)
    assert provider_adapters.simulator_hosts() == {"127.0.0.1:9", "localhost:8000"}
    monkeypatch.setenv("ATELIER_STAGE", "production")
    clear_wiring_caches(clients=False)
    assert provider_adapters.simulator_hosts() == set()
