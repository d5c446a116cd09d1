"""Workspaces' own provider keys and provider preferences, composed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache, partial
from urllib.parse import urlsplit

from atelier.adapters.aws.dynamodb.provider_keys import DynamoProviderKeys
from atelier.adapters.aws.secrets import Secret
from atelier.addresses import is_public, resolve_host
from atelier.caller import Caller
from atelier.provider_keys import add_key, check_key, provider_preferences, remove_key, rewrap
from atelier.provider_keys import decrypt as revealing
from atelier.provider_keys.model import CUSTOM, ProviderCredentials, ProviderKey, ProviderPreference
from atelier.provider_keys.vault import Vault
from atelier.settings import ProviderKeySecret, ProvidersTable, RequestsTable
from atelier.wiring import provider_adapters, routing, waiting
from atelier.wiring.ledger import wallets
from atelier.wiring.prices import enabled_providers, prices

# A rotation stops after this time, well before its function's time-out; the next run continues.
REWRAP_SECONDS_MAX = 180
# A check has to answer before the gateway's time-out of 30 s.
CHECK_SECONDS_MAX = 12.0


@cache
def keys() -> DynamoProviderKeys:
    """The store of provider keys and preferences."""
    kept = DynamoProviderKeys()
    kept.bind(ProvidersTable.read().name)
    return kept


@cache
def vault() -> Vault:
    """The vault that encrypts and decrypts the keys."""
    return _new_vault()


def _new_vault() -> Vault:
    sealing = ProviderKeySecret.read()
    data_keys = None
    if sealing.kms_arn:
        from atelier.adapters.aws.kms import KmsDataKeys

        data_keys = KmsDataKeys(sealing.kms_arn)
    return Vault(Secret(sealing.secret), data_keys)


def decrypt_key(workspace_id: str, provider: str, key_id: str, now: datetime) -> ProviderCredentials:
    """Decrypt a workspace's key, only for a request to its provider. Raises NotFound, UnreadableKey."""
    return revealing.decrypt_key(workspace_id, provider, key_id, keys=keys(), vault=vault(), now=now)


def chosen_key(workspace_id: str, provider: str) -> ProviderKey | None:
    """The workspace's own key that is used with a provider; None = the platform's key is used."""
    return keys().read_workspace(workspace_id).key_in_use(provider)


def add(
    caller: Caller,
    provider: str,
    name: str,
    credentials: ProviderCredentials,
    idempotency_key: str | None,
    now: datetime,
) -> add_key.AddedKey:
    """Store a key of a verified caller's workspace."""
    from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys

    bindings = DynamoIdempotencyKeys()
    bindings.bind(RequestsTable.read().name)
    bound = f"api-keys {idempotency_key}" if idempotency_key else None
    return add_key.add_key(
        add_key.NewKey(caller.workspace_id, caller.user_id, provider, name, credentials, bound),
        keys=keys(),
        wallets=wallets(),
        vault=vault(),
        idempotency_keys=bindings,
        is_allowed_url=_is_public,
        now=now,
    )


def check(caller: Caller, key_id: str, now: datetime) -> check_key.KeyCheck:
    """Test with the provider whether it accepts a key. Raises NotFound, RateLimited."""
    adapter = partial(provider_adapters.registry().create, answer_seconds_max=CHECK_SECONDS_MAX)
    with waiting.bounded_outside_request(caller.user_id):
        return check_key.check_key(caller.workspace_id, key_id, keys=keys(), vault=vault(), adapter=adapter, now=now)


def switch(workspace_id: str, key_id: str, *, is_active: bool) -> ProviderKey:
    """Switch a key off or on."""
    return remove_key.set_key_active(workspace_id, key_id, is_active=is_active, keys=keys())


def remove(workspace_id: str, key_id: str, now: datetime) -> None:
    """Remove a key for good."""
    remove_key.remove_key(workspace_id, key_id, keys=keys(), now=now)


def provider_statuses(workspace_id: str, now: datetime) -> list[provider_preferences.ProviderStatus]:
    """The status of every provider for a workspace."""
    own, kinds, offered = keys().read_workspace(workspace_id), _kinds(), enabled_providers()
    known = _known_providers()
    health = routing.statuses(workspace_id, own, known, now)
    return provider_preferences.provider_statuses(
        own, known=known, kinds=kinds, platform_providers=offered, health=health
    )


def change_preferences(workspace_id: str, wanted: Iterable[ProviderPreference]) -> None:
    """Replace a workspace's provider preferences."""
    provider_preferences.change_preferences(
        workspace_id, list(wanted), known=_known_providers(), keys=keys(), wallets=wallets()
    )


def rotate(now: datetime, *, new_master_key: bool) -> rewrap.RewrapReport:
    """Encrypt again what outdated master keys encrypted; with `new_master_key`, make a new master key first."""
    if new_master_key:
        from atelier.adapters.aws.signing_keys import SecretText

        rewrap.add_master_key(keys=keys(), secret=SecretText(ProviderKeySecret.read().secret), now=now)
    ends_at = time.monotonic() + REWRAP_SECONDS_MAX
    # A new vault, because one that was used before caches which master key is the newest.
    return rewrap.rewrap(keys=keys(), vault=_new_vault(), has_time=lambda: time.monotonic() < ends_at)


def _known_providers() -> frozenset[str]:
    return frozenset({*prices().data.providers, *enabled_providers()})


def _kinds() -> Mapping[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for model in prices().data.models:
        # The kinds of a custom endpoint are stored with its key.
        if model.provider != CUSTOM:
            kinds.setdefault(model.provider, set()).update((model.kind, *model.also))
    return kinds


def _is_public(url: str) -> bool:
    """Whether every address of a base URL is public. It is checked again whenever the key is used, because DNS can
    change."""
    parts = urlsplit(url)
    if parts.netloc in provider_adapters.simulator_hosts():
        return True
    if parts.scheme != "https" or not parts.hostname:
        return False
    try:
        addresses = resolve_host(parts.hostname, parts.port or 443)
    except (OSError, UnicodeError):
        return False
    return bool(addresses) and all(is_public(address) for address in addresses)
