"""A process-local cache of provider health: read from the store at most every few seconds, written on changes.

Failures are written at once. Successes of a healthy provider are collected and written many at a time; a process that
is stopped loses those it has collected, which does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from atelier.routing.model import BLAME, EMBEDDED, PROVIDER_WIDE, Blame, Health, Reachable, Scope, Status
from atelier.routing.ports import HealthStore

KNOWN_FOR = timedelta(seconds=5)
SUCCESSES_TOGETHER = 20
TRIES_MAX = 8


@dataclass(slots=True)
class HealthBook:
    """Provider health as this process knows it. `_gathered`: latencies in ms of successes not yet written, by scope."""

    store: HealthStore
    _read_at: dict[str | None, datetime] = field(default_factory=dict[str | None, datetime])
    _known: dict[Scope, Health] = field(default_factory=dict[Scope, Health])
    _gathered: dict[Scope, list[int]] = field(default_factory=dict[Scope, list[int]])

    def seen(self, scope: Scope, now: datetime) -> Health:
        """The health of a scope, at most KNOWN_FOR old."""
        if scope.provider == EMBEDDED:
            return Health(scope, checked_at=now)
        read_at = self._read_at.get(scope.workspace_id)
        if read_at is None or now - read_at >= KNOWN_FOR:
            found = self.store.read(scope.workspace_id)
            self._known = {each: h for each, h in self._known.items() if each.workspace_id != scope.workspace_id}
            self._known.update(found)
            self._read_at = {**self._drop_stale(now), scope.workspace_id: now}
        return self._known.get(scope, Health(scope))

    def reachable(self, scope: Scope, now: datetime, *, fresh: bool = False) -> Reachable:
        """The health of a scope and its access, at most KNOWN_FOR old; `fresh`: read from the store now."""
        return Reachable(tuple(self.fresh(each) if fresh else self.seen(each, now) for each in scope.levels))

    def models(self, access: Scope, now: datetime) -> tuple[Health, ...]:
        """The health of those models of an access that have a record, by name."""
        self.seen(access, now)
        known = {
            scope.model: health for scope, health in self._known.items() if scope.access == access and health.version
        }
        return tuple(known[model] for model in sorted(model for model in known if model))

    def fresh(self, scope: Scope) -> Health:
        """The health of a scope, read from the store now."""
        health = self.store.get(scope)
        self._known[scope] = health
        return health

    def may_try(self, scope: Scope, now: datetime) -> bool:
        """Whether an attempt may be sent now. For a half-open circuit only one caller gets True: its attempt is the
        probe."""
        if self.reachable(scope, now).is_cooling(now):
            return False
        return all(self._may_try(each, now) for each in scope.levels)

    def _may_try(self, scope: Scope, now: datetime) -> bool:
        health = self.seen(scope, now)
        if health.is_cooling(now):
            return False
        if not health.needs_claim(now):
            return True
        health = self.fresh(scope)
        if not health.needs_claim(now):
            return not health.is_cooling(now)
        return self._write(health, health.claimed(now))

    def succeeded(self, scope: Scope, latency_ms: int, *, started_at: datetime, now: datetime) -> None:
        """Record a successful attempt; latency in ms. A model's own successes are counted only while it has recent
        failures to weigh them against."""
        if scope.provider == EMBEDDED:
            return
        if scope.model is not None:
            self.succeeded(scope.access, latency_ms, started_at=started_at, now=now)
            if not self.seen(scope, now).has_failed(now):
                self._gathered.pop(scope, None)
                return
        unwritten = self._gathered.setdefault(scope, [])
        unwritten.append(latency_ms)
        if self.seen(scope, now).status(now) is Status.HEALTHY and len(unwritten) < SUCCESSES_TOGETHER:
            return
        del self._gathered[scope]

        def after(health: Health) -> Health:
            for each in unwritten:
                health = health.succeeded(each, started_at=started_at, now=now)
            return health

        self._change(scope, after)

    def failed(
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
        if BLAME.get(error_class) is Blame.NONE:
            self.undecided(scope, started_at=started_at, now=now)
            return
        if scope.provider == EMBEDDED:
            return
        details: dict[str, Any] = {"retry_after_seconds": retry_after_seconds, "started_at": started_at, "now": now}
        is_provider_wide = error_class in PROVIDER_WIDE if provider_wide is None else provider_wide
        if is_provider_wide or scope.model is None:
            self._change(scope.access, lambda health: health.failed(error_class, message, **details))
            return
        self._change(scope, lambda health: health.failed(error_class, message, **details))
        self._change(scope.access, lambda health: health.observed(error_class, message, **details))

    def undecided(self, scope: Scope, *, started_at: datetime, now: datetime) -> None:
        """Record an attempt whose end says nothing about the provider: a probe in flight is over."""
        for each in scope.levels:
            if self.seen(each, now).probe_until is not None:
                self._change(each, lambda health: health.undecided(started_at=started_at))

    def checked(self, scope: Scope, error_class: str | None, message: str, now: datetime) -> None:
        """Record a free check of an access; error_class None = it succeeded."""
        self._change(scope, lambda health: health.checked(error_class, message, now))

    def _change(self, scope: Scope, change: Callable[[Health], Health]) -> None:
        for _ in range(TRIES_MAX):
            before = self.fresh(scope)
            changed = change(before)
            if changed == before or self._write(before, changed):
                return
        # After so many lost races the change is dropped: other processes have recorded the same state of the provider.

    def _write(self, before: Health, after: Health) -> bool:
        written = replace(after, version=before.version + 1)
        if not self.store.replace(before, written):
            return False
        self._known[before.scope] = written
        return True

    def _drop_stale(self, now: datetime) -> Mapping[str | None, datetime]:
        # Drops the health of workspaces that this process has not read lately.
        recent = {each: at for each, at in self._read_at.items() if now - at < KNOWN_FOR}
        self._known = {scope: h for scope, h in self._known.items() if scope.workspace_id in (None, *recent)}
        return recent
