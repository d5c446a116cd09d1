"""A process-local cache of provider health: read from the store at most every few seconds, written on changes.

Failures are written at once. Successes of a healthy provider are collected and written many at a time; a process that
is stopped loses those it has collected, which does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from atelier.routing.circuit_breaker import (
    EMBEDDED,
    FAILURE_KINDS,
    PROVIDER_WIDE_CLASSES,
    FailureKind,
    Health,
    HealthStatus,
    RouteHealth,
    Scope,
)
from atelier.routing.ports import HealthStore

CACHED_FOR = timedelta(seconds=5)
SUCCESSES_PER_WRITE = 20
TRIES_MAX = 8


class HealthCache:
    """Provider health as this process knows it."""

    def __init__(self, store: HealthStore) -> None:
        self.store = store
        self._read_at: dict[str | None, datetime] = {}
        self._cached: dict[Scope, Health] = {}
        # The latencies in ms of successes that are not yet written, by scope.
        self._unwritten: dict[Scope, list[int]] = {}

    def cached(self, scope: Scope, now: datetime) -> Health:
        """The health of a scope, at most KNOWN_FOR old."""
        if scope.provider == EMBEDDED:
            return Health(scope, checked_at=now)
        read_at = self._read_at.get(scope.workspace_id)
        if read_at is None or now - read_at >= CACHED_FOR:
            found = self.store.read(scope.workspace_id)
            self._cached = {each: h for each, h in self._cached.items() if each.workspace_id != scope.workspace_id}
            self._cached.update(found)
            self._read_at = {**self._drop_stale(now), scope.workspace_id: now}
        return self._cached.get(scope, Health(scope))

    def route_health(self, scope: Scope, now: datetime, *, fresh: bool = False) -> RouteHealth:
        """The health of a scope and its access, at most KNOWN_FOR old; `fresh`: read from the store now."""
        return RouteHealth(tuple(self.read(each) if fresh else self.cached(each, now) for each in scope.levels))

    def model_health(self, access: Scope, now: datetime) -> tuple[Health, ...]:
        """The health of those models of an access that have a record, by name."""
        self.cached(access, now)
        known = {
            scope.model: health for scope, health in self._cached.items() if scope.access == access and health.version
        }
        return tuple(known[model] for model in sorted(model for model in known if model))

    def read(self, scope: Scope) -> Health:
        """The health of a scope, read from the store now."""
        health = self.store.get(scope)
        self._cached[scope] = health
        return health

    def allow(self, scope: Scope, now: datetime) -> bool:
        """Whether an attempt may be sent now. For a half-open circuit only one caller gets True: its attempt is the
        probe."""
        if self.route_health(scope, now).in_cooldown(now):
            return False
        return all(self._allow(each, now) for each in scope.levels)

    def _allow(self, scope: Scope, now: datetime) -> bool:
        health = self.cached(scope, now)
        if health.in_cooldown(now):
            return False
        if not health.is_half_open(now):
            return True
        health = self.read(scope)
        if not health.is_half_open(now):
            return not health.in_cooldown(now)
        return self._write(health, health.probing(now))

    def record_success(self, scope: Scope, latency_ms: int, *, started_at: datetime, now: datetime) -> None:
        """Record a successful attempt; latency in ms. A model's own successes are counted only while it has recent
        failures to weigh them against."""
        if scope.provider == EMBEDDED:
            return
        if scope.model is not None:
            self.record_success(scope.access, latency_ms, started_at=started_at, now=now)
            if not self.cached(scope, now).has_recent_failures(now):
                self._unwritten.pop(scope, None)
                return
        unwritten = self._unwritten.setdefault(scope, [])
        unwritten.append(latency_ms)
        if self.cached(scope, now).status(now) is HealthStatus.HEALTHY and len(unwritten) < SUCCESSES_PER_WRITE:
            return
        del self._unwritten[scope]

        def after(health: Health) -> Health:
            for each in unwritten:
                health = health.after_success(each, started_at=started_at, now=now)
            return health

        self._change(scope, after)

    def record_failure(
        self,
        scope: Scope,
        error_class: str,
        message: str = "",
        *,
        retry_after_seconds: int | None = None,
        provider_wide: bool | None = None,
        started_at: datetime,
        now: datetime,
    ) -> None:
        """Record a failed attempt. provider_wide: whether it concerns all models of the access; None = by its class."""
        if FAILURE_KINDS.get(error_class) is FailureKind.NONE:
            self.record_inconclusive(scope, started_at=started_at, now=now)
            return
        if scope.provider == EMBEDDED:
            return
        details: dict[str, Any] = {"retry_after_seconds": retry_after_seconds, "started_at": started_at, "now": now}
        is_provider_wide = error_class in PROVIDER_WIDE_CLASSES if provider_wide is None else provider_wide
        if is_provider_wide or scope.model is None:
            self._change(scope.access, lambda health: health.after_failure(error_class, message, **details))
            return
        self._change(scope, lambda health: health.after_failure(error_class, message, **details))
        self._change(scope.access, lambda health: health.after_model_failure(error_class, message, **details))

    def record_inconclusive(self, scope: Scope, *, started_at: datetime, now: datetime) -> None:
        """Record an attempt whose end says nothing about the provider: a probe in flight is over."""
        for each in scope.levels:
            if self.cached(each, now).probe_until is not None:
                self._change(each, lambda health: health.after_inconclusive(started_at=started_at))

    def record_check(self, scope: Scope, error_class: str | None, message: str, now: datetime) -> None:
        """Record a free check of an access; error_class None = it succeeded."""
        self._change(scope, lambda health: health.after_check(error_class, message, now))

    def _change(self, scope: Scope, change: Callable[[Health], Health]) -> None:
        for _ in range(TRIES_MAX):
            before = self.read(scope)
            changed = change(before)
            if changed == before or self._write(before, changed):
                return
        # After so many lost races the change is dropped: other processes have recorded the same state of the provider.

    def _write(self, before: Health, after: Health) -> bool:
        written = replace(after, version=before.version + 1)
        if not self.store.replace(before, written):
            return False
        self._cached[before.scope] = written
        return True

    def _drop_stale(self, now: datetime) -> Mapping[str | None, datetime]:
        # Drops the health of workspaces that this process has not read lately.
        recent = {each: at for each, at in self._read_at.items() if now - at < CACHED_FOR}
        self._cached = {scope: h for scope, h in self._cached.items() if scope.workspace_id in (None, *recent)}
        return recent
