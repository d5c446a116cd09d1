"""Rank the offers for a request: by the workspace's preferences, then health, then price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from atelier.catalogue.catalogue import CUSTOM_PREFIX, Catalogue, Offer
from atelier.dataclass import dataclass
from atelier.errors import Unavailable, ValidationFailed
from atelier.provider_keys.model import CUSTOM, ProviderKey, WorkspaceProviders
from atelier.routing.circuit_breaker import Health, RouteHealth, Scope

# A request that would have to wait longer is refused: its held credits would only be released again at its deadline.
WAIT_MAX = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Routes:
    """One workspace's routes to providers. `health`: the cached health of a scope. `next_place`: when a scope's rate
    limit allows the next request."""

    workspace_id: str
    workspace_providers: WorkspaceProviders
    health: Callable[[Scope], Health]
    now: datetime
    next_place: Callable[[Scope], datetime] = lambda scope: datetime.min.replace(tzinfo=UTC)

    def catalogue(self, platform: Catalogue) -> Catalogue:
        """The catalogue with the providers that this workspace has access to and has not switched off."""
        with_own_key = {
            key.provider for key in self.workspace_providers.keys if self.workspace_providers.key_in_use(key.provider)
        }
        wanted = {
            provider
            for provider in platform.enabled | with_own_key
            if self.workspace_providers.preference(provider).enabled
        }
        return replace(platform, enabled=frozenset(wanted))

    def rank(self, model: str, offers: tuple[Offer, ...], platform: frozenset[str]) -> tuple[Offer, ...]:
        """The offers in the order in which to try them; an offer with an own key costs no credits. platform: providers
        that the platform has access to. Raises ValidationFailed for a model that no own endpoint serves."""
        candidates = [way for offer in offers for way in self._offers_by_access(offer, platform)]
        if not candidates:
            raise ValidationFailed([{"path": "model", "message": "No key of yours serves this model."}])
        health_by_candidate = {way.candidate: self._route_health(way) for way in candidates}

        def sort_key(offer: Offer) -> tuple[int, ...]:
            route_health = health_by_candidate[offer.candidate]
            is_unhealthy = route_health.is_unhealthy(self.now)
            priority = self.workspace_providers.preference(offer.provider).priority
            return (route_health.in_cooldown(self.now), priority, is_unhealthy, offer.credits_max, offer.cost_microusd)

        # The sort is stable: equal offers stay in catalogue order.
        return tuple(sorted(candidates, key=sort_key))

    def require_available(self, model: str, offers: tuple[Offer, ...]) -> timedelta:
        """How long the request will wait for its first attempt, as far as is known. Raises Unavailable when every
        candidate's circuit is open, or when the wait would be longer than WAIT_MAX."""
        candidates = [(self._scope(way), self._route_health(way)) for way in offers]
        available = [scope.access for scope, reachable in candidates if not reachable.in_cooldown(self.now)]
        limited = {
            scope.access: until for scope, reachable in candidates if (until := reachable.rate_limited_until(self.now))
        }
        if not available and not limited:
            until = min(reachable.available_at(self.now) for _, reachable in candidates)
            raise self._unavailable("too much has failed there", model, [scope for scope, _ in candidates], until)

        slots: list[datetime] = []
        for scope in dict.fromkeys(available):
            slot = self.next_place(scope)
            if slot <= self.now:
                return timedelta()
            slots.append(slot)
        first = min((*slots, *limited.values()))
        if first - self.now > WAIT_MAX:
            healthy = [*available, *limited]
            raise self._unavailable("too many requests are in line there", model, healthy, first - WAIT_MAX)
        return first - self.now

    def disabled_error(self, provider: str) -> ValidationFailed | None:
        """The error for a provider that the workspace itself has switched off; None when it is switched on."""
        if self.workspace_providers.preference(provider).enabled:
            return None
        return ValidationFailed([{"path": "model", "message": f"{provider} is switched off in the provider settings."}])

    def _offers_by_access(self, offer: Offer, platform: frozenset[str]) -> list[Offer]:
        key = self._own_key(offer)
        offers = [replace(offer, key=key.id, credits_max=0)] if key else []
        if offer.provider in platform and (
            key is None or self.workspace_providers.preference(offer.provider).platform_fallback
        ):
            offers.append(offer)
        return offers

    def _own_key(self, offer: Offer) -> ProviderKey | None:
        chosen = self.workspace_providers.key_in_use(offer.provider)
        if offer.provider != CUSTOM or chosen is None:
            return chosen
        name = offer.model.removeprefix(CUSTOM_PREFIX)
        serving = [
            key for key in self.workspace_providers.active_keys(CUSTOM) if name in {model.name for model in key.models}
        ]
        return chosen if chosen in serving else next(iter(serving[::-1]), None)

    def _scope(self, offer: Offer) -> Scope:
        return Scope(offer.provider, self.workspace_id if offer.key else None, offer.key, offer.model)

    def _route_health(self, offer: Offer) -> RouteHealth:
        return RouteHealth(tuple(self.health(level) for level in self._scope(offer).levels))

    def _unavailable(self, why: str, model: str, scopes: list[Scope], until: datetime) -> Unavailable:
        seconds = max(1, int((until - self.now).total_seconds()) + 1)
        names = ", ".join(dict.fromkeys(scope.provider for scope in scopes))
        return Unavailable(
            f"{names} cannot be used at the moment: {why}. Try again in {seconds} s.",
            model=model,
            providers=[scope.provider for scope in scopes],
            retry_after_seconds=seconds,
        )
