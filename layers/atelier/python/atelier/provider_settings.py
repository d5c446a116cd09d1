"""Settings of providers; see `settings.py`."""

from __future__ import annotations

from atelier.environment import EnvironmentSettings, names_in, pairs_in, text_variable


class ProviderSecrets(EnvironmentSettings):
    """The id of the secret with the platform's own keys of providers: {"openai": {"api_key": …}, …}."""

    secret: str = text_variable("ATELIER_SECRET_PROVIDERS")


class ProviderUrls(EnvironmentSettings):
    """Base-URL overrides by provider: `openai=https://…,fal=https://…`."""

    raw: str = text_variable("ATELIER_PROVIDER_URLS", "")
    stage: str = text_variable("ATELIER_STAGE", "")

    @property
    def simulator_hosts(self) -> frozenset[str]:
        """`host:port` of the overrides, the only loopback addresses that may be called; empty unless the stage is a
        developer's machine."""
        if self.stage != "local":
            return frozenset()
        from urllib.parse import urlsplit

        return frozenset(urlsplit(url).netloc for url in self.by_provider().values())

    def by_provider(self) -> dict[str, str]:
        """The overrides as a mapping from provider to base URL."""
        return pairs_in(self.raw)


class ProviderLimits(EnvironmentSettings):
    """Overrides of the catalogue's rate limits: requests per minute (`500`), or per number of seconds (`99/10` = 99 in
    10 s). By provider for the platform's key; by `provider@own` for each key that a workspace brings:
    `openai=500,openai@own=60,stability=99/10`."""

    raw: str = text_variable("ATELIER_PROVIDER_LIMITS", "")

    def by_access(self) -> dict[str, str]:
        """The limits as written in the variable, by provider or `provider@own`."""
        return pairs_in(self.raw)


class ProviderKeySecret(EnvironmentSettings):
    """The master keys that encrypt workspaces' own provider keys: a secret that contains them, or, where `kms_arn` is
    set, a KMS key."""

    secret: str = text_variable("ATELIER_SECRET_PROVIDER_KEYS")
    kms_arn: str = text_variable("ATELIER_PROVIDER_KEYS_KMS", "")


class Providers(EnvironmentSettings):
    """The enabled providers, comma separated."""

    enabled: str = text_variable("ATELIER_PROVIDERS", "local")

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the enabled providers."""
        return frozenset(names_in(self.enabled))
