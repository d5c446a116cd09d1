"""Health and rate limits as routing reads them. What cannot be read stops no request: its provider counts as usable at
once, and an attempt shows the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from atelier.dataclass import dataclass
from atelier.ledger.model import Wallet
from atelier.provider_keys.model import WorkspaceProviders
from atelier.routing.circuit_breaker import EMBEDDED, Health, Scope
from atelier.routing.rank_offers import Routes
from atelier.telemetry import logger

if TYPE_CHECKING:
    from atelier.routing.health_cache import HealthCache
    from atelier.routing.rate_limiter import RateLimiter


@dataclass(frozen=True, slots=True)
class RoutingState:
    """The state of providers at a moment. health_cache, rate_limiter: opened when first needed; the embedded provider
    needs neither. limited_accesses: the providers, and `provider@own`, that have a rate limit."""

    health_cache: Callable[[], HealthCache]
    rate_limiter: Callable[[], RateLimiter]
    limited_accesses: Callable[[], frozenset[str]]
    now: datetime

    def health(self, scope: Scope) -> Health:
        """The cached health of a scope; unknown health when it cannot be read."""
        if scope.provider == EMBEDDED:
            return Health(scope, checked_at=self.now)
        try:
            return self.health_cache().cached(scope, self.now)
        except Exception:
            logger.exception("health cannot be read")
            return Health(scope)

    def model_health(self, scope: Scope) -> tuple[Health, ...]:
        """The health of those models of an access that have a record; none when it cannot be read."""
        if scope.provider == EMBEDDED:
            return ()
        try:
            return self.health_cache().model_health(scope, self.now)
        except Exception:
            logger.exception("health cannot be read")
            return ()

    def next_slot(self, scope: Scope) -> datetime:
        """When a scope's rate limit allows the next request; now when it cannot be read."""
        if scope.provider == EMBEDDED or not {scope.provider, f"{scope.provider}@own"} & self.limited_accesses():
            return self.now
        try:
            return self.rate_limiter().next_slot_at(scope, self.now)
        except Exception:
            logger.exception("places cannot be read")
            return self.now


def routes_of_workspace(workspace_id: str, workspace_providers: WorkspaceProviders, state: RoutingState) -> Routes:
    """A workspace's routes to providers. Preferences that cannot be read are an error, unlike health: the workspace may
    have switched a provider off."""
    return Routes(workspace_id, workspace_providers, state.health, state.now, state.next_slot)


def routes_of_wallet(
    wallet: Wallet, read_workspace: Callable[[str], WorkspaceProviders], state: RoutingState
) -> Routes:
    """The routes of a wallet's workspace. Most wallets say that the workspace has no keys and preferences; then nothing
    is read."""
    workspace_providers = read_workspace(wallet.workspace_id) if wallet.own_routes else WorkspaceProviders()
    return routes_of_workspace(wallet.workspace_id, workspace_providers, state)
