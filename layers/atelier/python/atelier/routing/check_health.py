"""Check providers by free endpoints, so that fewer callers meet a provider that is down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.provider_port import Provider
from atelier.routing.circuit_breaker import EMBEDDED, Health, HealthStatus, Scope
from atelier.routing.health_cache import HealthCache
from atelier.telemetry import logger

# Healthy providers are checked this often, unhealthy ones at every run.
HEALTHY_EVERY = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class HealthCheckReport:
    """The providers that were checked, and for each that failed (provider, error class)."""

    checked: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]


def check_health(providers: Mapping[str, Provider], health: HealthCache, clock: Clock) -> HealthCheckReport:
    """Check every provider that is due, once each, and log those that fail. Safe to repeat."""
    checked: list[str] = []
    unhealthy: list[tuple[str, str]] = []
    for name in sorted(providers.keys() - {EMBEDDED}):
        scope = Scope(name)
        if not _is_due(health.store.get(scope), clock()):
            continue
        checked.append(name)
        failure = providers[name].check()
        if failure is not None:
            logger.warning("a provider is not well", provider=name, error_class=failure.error_class)
            unhealthy.append((name, failure.error_class))
        health.record_check(
            scope, failure.error_class if failure else None, failure.message if failure else "", clock()
        )
    return HealthCheckReport(tuple(checked), tuple(unhealthy))


def _is_due(health: Health, now: datetime) -> bool:
    # Use by attempts counts as well as checks.
    last_known_at = max((at for at in (health.checked_at, health.last_success_at) if at), default=None)
    unhealthy = health.status(now) in (HealthStatus.DEGRADED, HealthStatus.DOWN)
    return unhealthy or last_known_at is None or now - last_known_at >= HEALTHY_EVERY
