"""Who may serve a request, in the order to ask: what the workspace wants, then who is well, then what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from atelier.credentials.model import CUSTOM, Own, ProviderKey
from atelier.errors import Unavailable, ValidationFailed
from atelier.frozen import dataclass
from atelier.pricing.catalogue import CUSTOM_PREFIX, Catalogue, Offer
from atelier.routing.model import Health, Reachable, Scope

# Nobody is let into a longer line: what is held meanwhile would only be given back.
WAIT_MAX = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Routes:
    """One workspace's ways to providers. `health` says how a scope was a moment ago, `next_place` when it may be asked
    next."""

    workspace_id: str
    own: Own
    health: Callable[[Scope], Health]
    now: datetime
    next_place: Callable[[Scope], datetime] = lambda scope: datetime.min.replace(tzinfo=UTC)

    def catalogue(self, platform: Catalogue) -> Catalogue:
        """The catalogue with the providers that this workspace has access to and wants."""
        own = {key.provider for key in self.own.keys if self.own.chosen(key.provider)}
        wanted = {provider for provider in platform.enabled | own if self.own.wish(provider).enabled}
        return replace(platform, enabled=frozenset(wanted))

    def ordered(self, model: str, offers: tuple[Offer, ...], platform: frozenset[str]) -> tuple[Offer, ...]:
        """The offers as they are to be tried; those with a key of the workspace's own cost no credits. Raises
        ValidationFailed for a model that no own endpoint serves."""
        ways = [way for offer in offers for way in self._ways(offer, platform)]
        if not ways:
            raise ValidationFailed([{"path": "model", "message": "No key of yours serves this model."}])
        seen = {way.candidate: self._reachable(way) for way in ways}

        def place(way: Offer) -> tuple[int, ...]:
            reachable = seen[way.candidate]
            doubtful = reachable.is_doubtful(self.now)
            priority = self.own.wish(way.provider).priority
            return (reachable.is_cooling(self.now), priority, doubtful, way.credits_max, way.cost_microusd)

        # Of equals the catalogue's order decides.
        return tuple(sorted(ways, key=place))

    def require_awake(self, model: str, ways: tuple[Offer, ...]) -> timedelta:
        """How long it will be until somebody may be asked, as far as can be foreseen. Raises Unavailable when everybody
        who could serve is ill, or has a longer line than may be waited in."""
        seen = [(self._scope(way), self._reachable(way)) for way in ways]
        awake = [scope.access for scope, reachable in seen if not reachable.is_cooling(self.now)]
        limited = {scope.access: until for scope, reachable in seen if (until := reachable.limited_until(self.now))}
        if not awake and not limited:
            until = min(reachable.free_at(self.now) for _, reachable in seen)
            raise self._refusal("too much has failed there", model, [scope for scope, _ in seen], until)
        places: list[datetime] = []
        for scope in dict.fromkeys(awake):
            place = self.next_place(scope)
            if place <= self.now:
                return timedelta()
            places.append(place)
        first = min((*places, *limited.values()))
        if first - self.now > WAIT_MAX:
            well = [*awake, *limited]
            raise self._refusal("too many requests are in line there", model, well, first - WAIT_MAX)
        return first - self.now

    def refused(self, provider: str) -> ValidationFailed | None:
        """Why a provider that is named is not used, where the workspace itself has said so."""
        if self.own.wish(provider).enabled:
            return None
        return ValidationFailed([{"path": "model", "message": f"{provider} is switched off in the provider settings."}])

    def _ways(self, offer: Offer, platform: frozenset[str]) -> list[Offer]:
        key = self._key(offer)
        ways = [replace(offer, key=key.id, credits_max=0)] if key else []
        if offer.provider in platform and (key is None or self.own.wish(offer.provider).platform_fallback):
            ways.append(offer)
        return ways

    def _key(self, offer: Offer) -> ProviderKey | None:
        chosen = self.own.chosen(offer.provider)
        if offer.provider != CUSTOM or chosen is None:
            return chosen
        name = offer.model.removeprefix(CUSTOM_PREFIX)
        serving = [key for key in self.own.active(CUSTOM) if name in {model.name for model in key.models}]
        return chosen if chosen in serving else next(iter(serving[::-1]), None)

    def _scope(self, way: Offer) -> Scope:
        return Scope(way.provider, self.workspace_id if way.key else None, way.key, way.model)

    def _reachable(self, way: Offer) -> Reachable:
        return Reachable(tuple(self.health(level) for level in self._scope(way).levels))

    def _refusal(self, why: str, model: str, scopes: list[Scope], until: datetime) -> Unavailable:
        seconds = max(1, int((until - self.now).total_seconds()) + 1)
        names = ", ".join(dict.fromkeys(scope.provider for scope in scopes))
        return Unavailable(
            f"{names} cannot be asked at the moment: {why}. Try again in {seconds} s.",
            model=model,
            providers=[scope.provider for scope in scopes],
            retry_after_seconds=seconds,
        )
