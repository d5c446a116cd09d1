"""Routing, composed: provider health, rate limits, and the adapters of workspaces' own keys."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from atelier.clock import Clock, system_clock
from atelier.ledger.model import Wallet
from atelier.provider_port import Provider
from atelier.provider_settings import ProviderLimits
from atelier.routing import routing_state
from atelier.routing.rank_offers import Routes
from atelier.routing.routing_state import RoutingState
from atelier.settings import ProvidersTable
from atelier.wiring.prices import enabled_providers, prices

if TYPE_CHECKING:
    from atelier.generations.change import GenerationChange
    from atelier.generations.model import Generation
    from atelier.provider_keys.model import WorkspaceProviders
    from atelier.provider_keys.provider_preferences import ProviderSettings
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


def place_of_change(change: GenerationChange, now: datetime) -> int | None:
    """The place of a generation whose delay was committed; None = unknown."""
    from atelier.generations.select_candidate import place_of_change

    return place_of_change(change, rate_limiter, now)


def queue_position(generation: Generation, now: datetime) -> int | None:
    """The place of a generation that waits for a reserved slot; None = unknown."""
    from atelier.generations.select_candidate import queue_position

    return queue_position(generation, rate_limiter(), now)


@cache
def _limited_accesses() -> frozenset[str]:
    return frozenset({*prices().data.limits, *ProviderLimits.read().by_access()})


def _state(now: datetime) -> RoutingState:
    return RoutingState(health_cache, rate_limiter, _limited_accesses, now)


def _read_workspace(workspace_id: str) -> WorkspaceProviders:
    # Imported here, because most workspaces have no keys and preferences.
    from atelier.wiring.provider_key_store import keys

    return keys().read_workspace(workspace_id)


def routes(workspace_id: str, now: datetime) -> Routes:
    """A workspace's routes to providers. Raises when its preferences cannot be read."""
    return routing_state.routes_of_workspace(workspace_id, _read_workspace(workspace_id), _state(now))


def routes_of_wallet(wallet: Wallet, now: datetime) -> Routes:
    """The routes of a wallet's workspace."""
    return routing_state.routes_of_wallet(wallet, _read_workspace, _state(now))


def list_health(workspace_id: str, now: datetime) -> HealthList:
    """The health of the platform's providers and of the workspace's own keys."""
    from atelier.routing.list_health import list_health

    return list_health(workspace_id, _read_workspace(workspace_id), enabled_providers(), _state(now))


def provider_settings(workspace_id: str, now: datetime) -> ProviderSettings:
    """The status of every provider for a workspace."""
    from atelier.provider_keys import provider_preferences
    from atelier.routing.list_health import health_statuses
    from atelier.wiring.provider_keys import known_providers

    workspace_providers, known = _read_workspace(workspace_id), known_providers()
    return provider_preferences.provider_settings(
        workspace_providers,
        known=known,
        kinds=provider_preferences.kinds_by_provider(prices().data.models),
        platform_providers=enabled_providers(),
        health=health_statuses(workspace_id, workspace_providers, known, _state(now)),
    )


def probe_platform(clock: Clock) -> HealthCheckReport:
    """Probe the health of the platform's providers."""
    from atelier.routing.check_health import check_health
    from atelier.wiring import provider_adapters

    return check_health(provider_adapters.platform_adapters(), health_cache(), clock)


def own_provider(
    workspace_id: str, provider: str, key_id: str, *, clock: Clock = system_clock, for_attempts: bool = False
) -> Provider | None:
    """The adapter with a workspace's own key; None when the key was removed or cannot be decrypted."""
    # Imported here, because most attempts use the platform's keys.
    from atelier.wiring import provider_keys

    return provider_keys.own_provider(workspace_id, provider, key_id, clock(), for_attempts=for_attempts)
