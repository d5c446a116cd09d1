"""The enabled identity providers of a deployment, from its secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from atelier.adapters.oauth.github import GitHub
from atelier.adapters.oauth.google import Google
from atelier.identity.oauth.ports import IdentityProvider

ADAPTERS: Mapping[str, Callable[..., IdentityProvider]] = {Google.name: Google, GitHub.name: GitHub}


class ConfiguredProviders:
    """IdentityProviders. registrations: reads {"google": {"client_id", "client_secret"}, …}; a provider that it does
    not name is off. urls: base URLs in place of the providers' own. allows_http: whether they may be called without
    TLS."""

    def __init__(
        self, registrations: Callable[[], Mapping[str, Any]], urls: Mapping[str, str], *, allows_http: bool
    ) -> None:
        self._registrations = registrations
        self._urls = urls
        self._allows_http = allows_http
        # One adapter for each registration: it keeps the provider's keys.
        self._adapters: dict[tuple[str, str, str], IdentityProvider] = {}

    def get(self, name: str) -> IdentityProvider | None:
        registration: Mapping[str, Any] = self._registrations().get(name) or {}
        client_id, client_secret = (str(registration.get(field, "")) for field in ("client_id", "client_secret"))
        if name not in ADAPTERS or not client_id or not client_secret:
            return None
        key = name, client_id, client_secret
        if key not in self._adapters:
            url = self._urls.get(name, "").rstrip("/")
            self._adapters[key] = ADAPTERS[name](client_id, client_secret, url, allows_http=self._allows_http)
        return self._adapters[key]
