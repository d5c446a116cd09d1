"""The rate limiter over its store: reserve slots for requests now or later. An access without a limit costs nothing;
one with a limit costs a read and a write for each attempt, and a read for each candidate that is skipped.

A process does not lease several slots at once: that would save writes, but a Lambda makes one attempt at a time, and
the slots of a frozen process would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.dataclass import dataclass
from atelier.routing.circuit_breaker import Scope
from atelier.routing.ports import RateWindowStore
from atelier.routing.rate_limit import ProviderRateLimits

TRIES_MAX = 60
# When to try again after TRIES_MAX lost races: so many requests came at once that no slot could be reserved.
CONTENTION_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Reservation:
    """The time of a slot. `is_taken`: whether the slot is reserved for the caller."""

    at: datetime
    is_reserved: bool


@dataclass(frozen=True, slots=True)
class RateLimiter:
    """The rate limiter of all scopes. `pause(tries)` waits a little after a lost race with another process."""

    store: RateWindowStore
    limits: ProviderRateLimits
    pause: Callable[[int], None]

    def next_slot_at(self, scope: Scope, now: datetime) -> datetime:
        """When the next slot is free, from a read that may be stale; reserves nothing."""
        limit = self.limits.for_scope(scope)
        return self.store.read(scope).next_slot_at(limit, now) if limit else now

    def position(self, scope: Scope, slot_at: datetime, now: datetime) -> int | None:
        """The place in the queue of the request with this slot, 1 = the next; None when the scope has no limit. Slots
        of the same moment share a place. From a read that may be stale."""
        if self.limits.for_scope(scope) is None:
            return None
        return 1 + self.store.read(scope).reserved_between(now, slot_at)

    def reserve(self, scope: Scope, now: datetime, *, latest: datetime) -> Reservation:
        """Reserve the next slot unless it is later than `latest`."""
        limit = self.limits.for_scope(scope)
        if limit is None:
            return Reservation(now, is_reserved=True)
        for tries in range(TRIES_MAX):
            before = self.store.get(scope)
            at = before.next_slot_at(limit, now)
            if at > latest:
                return Reservation(at, is_reserved=False)
            after = before.with_reservation(limit, now)
            if self.store.replace(before, replace(after, version=before.version + 1)):
                return Reservation(at, is_reserved=True)
            self.pause(tries)
        return Reservation(now + timedelta(seconds=CONTENTION_SECONDS), is_reserved=False)
