"""Workspaces' own provider keys and provider preferences, composed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from functools import cache, partial

from atelier.adapters.aws.signing_keys import SecretText
from atelier.adapters.aws.vault import vault_of
from atelier.audit_log.model import Origin
from atelier.caller import Caller
from atelier.provider_keys import add_key, check_key, decrypt, provider_preferences, remove_key, rewrap
from atelier.provider_keys import own_provider as own
from atelier.provider_keys.base_url import is_public_url
from atelier.provider_keys.model import ProviderCredentials, ProviderKey, ProviderPreference
from atelier.provider_keys.vault import Vault
from atelier.provider_port import Provider
from atelier.provider_settings import ProviderKeySecret
from atelier.settings import IdentityTable, ProvidersTable, WebhooksTable
from atelier.wiring import provider_adapters
from atelier.wiring.idempotency import idempotency_keys
from atelier.wiring.ledger import wallets
from atelier.wiring.prices import enabled_providers, prices
from atelier.wiring.provider_key_store import keys

# A rotation stops after this time, well before its function's time-out; the next run continues.
REWRAP_SECONDS_MAX = 180
# A check has to answer before the gateway's time-out of 30 s.
CHECK_SECONDS_MAX = 12.0


@cache
def vault() -> Vault:
    """The vault that encrypts and decrypts the keys."""
    return _new_vault()


def _new_vault() -> Vault:
    sealing = ProviderKeySecret.read()
    return vault_of(sealing.secret, sealing.kms_arn)


def decrypt_key(workspace_id: str, provider: str, key_id: str, now: datetime) -> ProviderCredentials:
    """Decrypt a workspace's key, only for a request to its provider. Raises NotFound, UnreadableKey."""
    return decrypt.decrypt_key(workspace_id, provider, key_id, keys=keys(), vault=vault(), now=now)


def own_provider(
    workspace_id: str, provider: str, key_id: str, now: datetime, *, for_attempts: bool
) -> Provider | None:
    """The adapter with a workspace's own key; None when the key was removed or cannot be decrypted."""
    adapter = partial(provider_adapters.registry().create, for_attempts=for_attempts)
    return own.own_provider(workspace_id, provider, key_id, keys=keys(), vault=vault(), adapter=adapter, now=now)


def add(new: add_key.NewKey, origin: Origin, now: datetime) -> add_key.AddedKey:
    """Store a key of a verified caller's workspace."""
    return add_key.add_key(
        new,
        keys=keys(),
        wallets=wallets(),
        vault=vault(),
        idempotency_keys=idempotency_keys(),
        is_allowed_url=partial(is_public_url, simulator_hosts=provider_adapters.simulator_hosts()),
        origin=origin,
        now=now,
    )


def check(caller: Caller, key_id: str, now: datetime) -> check_key.KeyCheck:
    """Test with the provider whether it accepts a key. Raises NotFound, RateLimited."""
    # Imported here, because only a check makes the caller wait for a provider.
    from atelier.wiring import waiting

    adapter = partial(provider_adapters.registry().create, answer_seconds_max=CHECK_SECONDS_MAX)
    with waiting.bounded_outside_request(caller.user_id):
        return check_key.check_key(caller.workspace_id, key_id, keys=keys(), vault=vault(), adapter=adapter, now=now)


def switch(workspace_id: str, key_id: str, origin: Origin, now: datetime, *, is_active: bool) -> ProviderKey:
    """Switch a key off or on."""
    return remove_key.set_key_active(workspace_id, key_id, is_active=is_active, keys=keys(), origin=origin, now=now)


def remove(workspace_id: str, key_id: str, origin: Origin, now: datetime) -> None:
    """Remove a key for good."""
    remove_key.remove_key(workspace_id, key_id, keys=keys(), origin=origin, now=now)


def known_providers() -> frozenset[str]:
    """The ids of all providers: those of the catalogue, and those that are enabled."""
    return frozenset({*prices().data.providers, *enabled_providers()})


def change_preferences(workspace_id: str, preferences: Iterable[ProviderPreference], version: int | None) -> None:
    """Replace a workspace's provider preferences."""
    provider_preferences.change_preferences(
        workspace_id, list(preferences), known=known_providers(), keys=keys(), wallets=wallets(), version=version
    )


def rotate(now: datetime, *, new_master_key: bool) -> rewrap.RewrapReport:
    """Encrypt again what outdated master keys encrypted; with `new_master_key`, make a new master key first."""
    # Imported here, because other uses of the keys know no authenticators.
    from atelier.adapters.aws.dynamodb.deployments.integrations import DynamoIntegrations
    from atelier.adapters.aws.dynamodb.identity.second_factors import DynamoSecondFactors
    from atelier.adapters.aws.dynamodb.webhooks.sealed_secrets import DynamoWebhookSecrets
    from atelier.adapters.aws.factor_vault import VaultSealer

    factors = DynamoSecondFactors()
    factors.bind(IdentityTable.read().name)
    ends_at = time.monotonic() + REWRAP_SECONDS_MAX
    return rewrap.rotate(
        keys=keys(),
        factors=factors,
        secrets=(DynamoWebhookSecrets(WebhooksTable.read().name), DynamoIntegrations(ProvidersTable.read().name)),
        sealer_of=VaultSealer,
        # A new vault, because one that was used before caches which master key is the newest.
        new_vault=_new_vault,
        secret=SecretText(ProviderKeySecret.read().secret),
        new_master_key=new_master_key,
        has_time=lambda: time.monotonic() < ends_at,
        now=now,
    )
