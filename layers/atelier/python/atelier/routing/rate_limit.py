"""Sliding-window rate limits that keep requests below a provider's own limits, by reserving slots in time. Pure:
instants are arguments.

Each request reserves a slot: now, or the next later one that is free. However many requests come at once, no window of
`Limit.seconds` has more of them than the limit allows, and waiting requests are served in the order of their
reservations. The record is small whatever the limit: the number of reserved slots in each step of time.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from atelier.dataclass import dataclass
from atelier.routing.circuit_breaker import Scope

STEPS_PER_WINDOW = 30
# A reserved slot stays valid this long: the execution that waits for it takes time to resume, and so does its request.
SLOT_GRACE = timedelta(seconds=5)
OWN_KEY = "own"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `requests` in any window of `seconds`; 0 requests = no limit."""

    requests: int
    seconds: int = 60

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """Parse `500` (in a minute) or `150/10` (in ten seconds); raises ValueError."""
        requests, _, seconds = text.partition("/")
        if not requests.isdecimal() or not (seconds or "60").isdecimal() or seconds == "0":
            raise ValueError(f"{text} is no limit")
        return cls(int(requests), int(seconds or 60))

    @property
    def step_ms(self) -> int:
        """The length of one step of time in milliseconds."""
        return 1000 * self.seconds // STEPS_PER_WINDOW

    @property
    def span_ms(self) -> int:
        """The distance in milliseconds at which two reserved slots are never sent within `seconds`, even when the first
        is sent at the end of its step and LATE."""
        needed = 1000 * self.seconds + round(1000 * SLOT_GRACE.total_seconds())
        return (-(-needed // self.step_ms) + 1) * self.step_ms


@dataclass(frozen=True, slots=True)
class ProviderRateLimits:
    """The limits of a deployment: those of the catalogue, and those that the deployment sets instead (`openai`, or
    `openai@own` for each single own key)."""

    documented: dict[str, RateLimit]
    configured: dict[str, RateLimit]

    def for_scope(self, scope: Scope) -> RateLimit | None:
        """The limit of one access; None = there is none. A limit set for the platform's access does not apply to own
        keys."""
        name = f"{scope.provider}@{OWN_KEY}" if scope.key_id else scope.provider
        limit = self.configured.get(name) or self.documented.get(scope.provider)
        return limit if limit and limit.requests else None


@dataclass(frozen=True, slots=True)
class RateWindow:
    """The reserved slots of one scope that still count: (start of the step in ms since 1970, number of slots), sorted.
    `version` counts the writes."""

    scope: Scope
    version: int = 0
    places: tuple[tuple[int, int], ...] = ()

    def next_slot_at(self, limit: RateLimit, now: datetime) -> datetime:
        """When the next slot is free: now, or later."""
        step = self._next_step(limit, now)
        return max(now, EPOCH + timedelta(milliseconds=step))

    def reserved_between(self, after: datetime, before: datetime) -> int:
        """The number of slots that are reserved for times between these two."""
        return sum(count for at, count in self.places if _milliseconds(after) < at < _milliseconds(before))

    def with_reservation(self, limit: RateLimit, now: datetime) -> RateWindow:
        """This window with the next slot reserved, and without slots that no longer count."""
        step = self._next_step(limit, now)
        oldest = _milliseconds(now) - limit.span_ms - limit.step_ms
        places = {at: count for at, count in self.places if at > oldest}
        places[step] = places.get(step, 0) + 1
        return replace(self, places=tuple(sorted(places.items())))

    def _next_step(self, limit: RateLimit, now: datetime) -> int:
        step = _milliseconds(now) // limit.step_ms * limit.step_ms
        if self.places:
            # Never before an earlier reservation, even when another process's clock is ahead.
            step = max(step, self.places[-1][0])
        counted = [(at, count) for at, count in self.places if at > step - limit.span_ms]
        used = sum(count for _, count in counted)
        for at, count in counted:
            if used < limit.requests:
                break
            used -= count
            step = max(step, at + limit.span_ms)
        return step


def _milliseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)
