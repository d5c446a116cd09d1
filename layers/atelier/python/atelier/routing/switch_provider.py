"""Switch a provider or a model of the platform off for a time, and on again, as administrators of the platform do.

It is part of the health that each attempt reads, so it holds within seconds, and an attempt that has begun goes on.
Workspaces' own keys stay usable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from atelier.audit_log.model import PLATFORM_LOG, Origin, audit_event
from atelier.catalogue.catalogue import Catalogue
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, Unavailable
from atelier.routing.circuit_breaker import EMBEDDED, Health, Scope
from atelier.routing.ports import HealthSwitches

TRIES_MAX = 8


@dataclass(frozen=True, slots=True)
class SwitchDeps:
    """Dependencies. providers: those that are enabled in this deployment."""

    store: HealthSwitches
    catalogue: Catalogue
    providers: frozenset[str]


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """The request to use a provider, or one of its models, no more for some hours."""

    provider: str
    model: str | None
    hours: int
    reason: str


def switch_off(wanted: SwitchOff, origin: Origin, *, deps: SwitchDeps, now: datetime) -> Health:
    """Use a provider, or one of its models, no more for some hours. Repeating it moves the end. Raises NotFound, and
    Conflict for the embedded provider, which has no health."""
    until = now + timedelta(hours=wanted.hours)
    facts = {"model": wanted.model, "until": rfc3339(until), "reason": wanted.reason}
    scope = _scope(wanted.provider, wanted.model, deps)
    return _switch(scope, "provider.switched_off", facts, lambda health: health.off_until(until), origin, deps, now)


def switch_on(provider: str, model: str | None, origin: Origin, *, deps: SwitchDeps, now: datetime) -> Health:
    """Use it again at once, also when its own failures had switched it off: its circuit closes. Repeating it changes
    nothing. Raises as `switch_off`."""
    scope = _scope(provider, model, deps)
    return _switch(scope, "provider.switched_on", {"model": model}, Health.switched_on, origin, deps, now)


def _scope(provider: str, model: str | None, deps: SwitchDeps) -> Scope:
    models = {each.id for each in deps.catalogue.data.models if each.id.partition("/")[0] == provider}
    if provider not in deps.providers or (model is not None and model not in models):
        raise NotFound("There is no such provider or model here.")
    if provider == EMBEDDED:
        raise Conflict("The embedded provider runs in this deployment itself, and cannot be switched off.")
    return Scope(provider, model=model)


def _switch(
    scope: Scope,
    action: str,
    facts: dict[str, str | None],
    change: Callable[[Health], Health],
    origin: Origin,
    deps: SwitchDeps,
    now: datetime,
) -> Health:
    event = audit_event(PLATFORM_LOG, action, origin, now, target=scope.provider, outcome="ok", **facts)
    for _ in range(TRIES_MAX):
        before = deps.store.get(scope)
        after = change(before)
        if after == before or deps.store.switch(before, after, events=(event,)):
            return after
    raise Unavailable("The health of this provider is changing just now. Try again.")
