"""Routing, composed: provider health, rate limits, and the adapters of workspaces' own keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING

from atelier.clock import Clock, system_clock
from atelier.ledger.model import Wallet
from atelier.provider_keys.model import WorkspaceProviders
from atelier.provider_port import Provider
from atelier.routing.circuit_breaker import EMBEDDED, PLATFORM, Health, Scope, overall_status
from atelier.routing.rank_offers import Routes
from atelier.settings import ProviderLimits, ProvidersTable
from atelier.telemetry import logger
from atelier.wiring.prices import enabled_providers, prices

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.provider_keys import DynamoProviderKeys
    from atelier.routing.check_health import HealthCheckReport
    from atelier.routing.health_cache import HealthCache
    from atelier.routing.rate_limiter import RateLimiter
    from atelier.routing.schemas import HealthList


@cache
def health_cache() -> HealthCache:
    """The cache of provider health in this process."""
    # Imported here, because a request that uses only the embedded provider needs no health.
    from atelier.adapters.aws.dynamodb.health import DynamoHealth
    from atelier.routing.health_cache import HealthCache

    health = DynamoHealth()
    health.bind(ProvidersTable.read().name)
    return HealthCache(health)


@cache
def rate_limiter() -> RateLimiter:
    """The rate limiter of requests to providers."""
    # Imported here, because a request needs the limiter only for providers with a limit.
    from atelier.adapters.aws.dynamodb import pause_with_jitter
    from atelier.adapters.aws.dynamodb.rate_limits import DynamoRateWindows
    from atelier.routing.rate_limit import ProviderRateLimits, RateLimit
    from atelier.routing.rate_limiter import RateLimiter

    windows = DynamoRateWindows()
    windows.bind(ProvidersTable.read().name)
    documented = {provider: RateLimit(**limit) for provider, limit in prices().data.limits.items()}
    configured = {access: RateLimit.parse(text) for access, text in ProviderLimits.read().by_access().items()}
    return RateLimiter(windows, ProviderRateLimits(documented, configured), pause_with_jitter)


@cache
def _limited_accesses() -> frozenset[str]:
    return frozenset({*prices().data.limits, *ProviderLimits.read().by_access()})


@cache
def _keys() -> DynamoProviderKeys:
    from atelier.adapters.aws.dynamodb.provider_keys import DynamoProviderKeys

    kept = DynamoProviderKeys()
    kept.bind(ProvidersTable.read().name)
    return kept


def routes(workspace_id: str, now: datetime) -> Routes:
    """A workspace's routes to providers. Raises when its preferences cannot be read."""
    # Unread preferences are an error, because the workspace may have switched a provider off. Unread health is not.
    return _routes(workspace_id, _keys().read_workspace(workspace_id), now)


def routes_of_wallet(wallet: Wallet, now: datetime) -> Routes:
    """The routes of a wallet's workspace. Most wallets say that the workspace has no keys and preferences; then nothing
    is read."""
    return (
        routes(wallet.workspace_id, now)
        if wallet.own_routes
        else _routes(wallet.workspace_id, WorkspaceProviders(), now)
    )


def _routes(workspace_id: str, workspace_providers: WorkspaceProviders, now: datetime) -> Routes:
    return Routes(workspace_id, workspace_providers, partial(_health, now=now), now, partial(_next_slot, now=now))


def _health(scope: Scope, *, now: datetime) -> Health:
    if scope.provider == EMBEDDED:
        return Health(scope, checked_at=now)
    try:
        return health_cache().cached(scope, now)
    except Exception:
        logger.exception("health cannot be read")
        return Health(scope)


def _next_slot(scope: Scope, *, now: datetime) -> datetime:
    if scope.provider == EMBEDDED or not {scope.provider, f"{scope.provider}@own"} & _limited_accesses():
        return now
    try:
        return rate_limiter().next_slot_at(scope, now)
    except Exception:
        logger.exception("places cannot be read")
        return now


def scorecards(workspace_id: str, now: datetime) -> HealthList:
    """The health of the platform's providers and of the workspace's own keys."""
    from atelier.routing.schemas import HealthList, scorecard_view

    own = {Scope(key.provider, workspace_id, key.id) for key in _keys().read_workspace(workspace_id).keys}
    scopes = {*map(Scope, enabled_providers()), *own}
    found = [scorecard_view(_health(scope, now=now), _model_health(scope, now), now) for scope in scopes]
    return HealthList(items=sorted(found, key=lambda each: (each.provider, each.scope != PLATFORM, each.scope)))


def statuses(
    workspace_id: str, workspace_providers: WorkspaceProviders, providers: Iterable[str], now: datetime
) -> dict[str, str]:
    """The status word of each provider's health for a workspace, with the key that the workspace uses."""
    keys = {provider: workspace_providers.preference(provider).own_key_id for provider in providers}
    scopes = {
        provider: Scope(provider, workspace_id, key) if key else Scope(provider) for provider, key in keys.items()
    }
    return {
        provider: overall_status(_health(scope, now=now), _model_health(scope, now), now).value
        for provider, scope in scopes.items()
    }


def _model_health(scope: Scope, now: datetime) -> tuple[Health, ...]:
    if scope.provider == EMBEDDED:
        return ()
    try:
        return health_cache().model_health(scope, now)
    except Exception:
        logger.exception("health cannot be read")
        return ()


def probe_platform(clock: Clock) -> HealthCheckReport:
    """Probe the health of the platform's providers."""
    from atelier.routing.check_health import check_health
    from atelier.wiring import provider_adapters

    return check_health(provider_adapters.platform_adapters(), health_cache(), clock)


def own_provider(
    workspace_id: str, provider: str, key_id: str, *, clock: Clock = system_clock, for_attempts: bool = False
) -> Provider | None:
    """The adapter with a workspace's own key; None when the key was removed or cannot be decrypted."""
    from atelier.errors import NotFound
    from atelier.provider_keys.model import UnreadableKey
    from atelier.wiring import provider_adapters, provider_keys

    try:
        access = provider_keys.decrypt_key(workspace_id, provider, key_id, clock())
        return provider_adapters.registry().create(provider, access, for_attempts=for_attempts)
    except (NotFound, UnreadableKey) as error:
        logger.warning("own key cannot be used", workspace_id=workspace_id, key=key_id, reason=type(error).__name__)
        return None
