"""Circuit breakers for providers and their models: health computed from the results of attempts. Pure: instants are
handed in.

A failure of a key, an account or the connection concerns all models of a provider; any other failure concerns one
model. An access or a model that fails FAILURES_TO_DOWN times in a row is down (its circuit is open): no attempt is sent
until its cooldown has passed, and then a single probe (half-open). When the probe succeeds, the circuit closes; when it
fails, the cooldown doubles.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from atelier.dataclass import dataclass
from atelier.provider_port import ErrorClass

# The provider embedded in this process: its health needs no protection and is not stored.
EMBEDDED = "local"
PLATFORM = "platform"

WINDOW = timedelta(minutes=5)
FAILURES_TO_DOWN = 3
DEGRADED_FROM_PERCENT, DEGRADED_FROM_ATTEMPTS = 20, 5
COOLDOWN_SECONDS, COOLDOWN_SECONDS_MAX = 30, 900
# Cooldown after a refused credential or an unpaid bill: longer, because a person has to correct it.
REFUSED_SECONDS, REFUSED_SECONDS_MAX = 900, 3600
# Cooldown after a 429: the provider's Retry-After within a limit, else the default.
LIMITED_SECONDS, LIMITED_SECONDS_MAX = 20, 3600
# A probe blocks other attempts for this long at least, and not for ever: its process may have died.
PROBE_SECONDS = 60
MESSAGE_CHARACTERS_MAX = 200
# Upper bounds of the latency histogram, each 1.5 times the one before: 100 ms to 19 min.
LATENCIES_MS = tuple(int(100 * 1.5**step) for step in range(24))


class HealthStatus(StrEnum):
    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


class FailureKind(StrEnum):
    """What an error class says about the provider's health. `none`: the request or its model was at fault."""

    NONE = "none"
    FAILURE = "failure"
    ACCESS_REFUSED = "refused"
    RATE_LIMITED = "limited"


FAILURE_KINDS: dict[str, FailureKind] = {
    ErrorClass.INVALID_INPUT: FailureKind.NONE,
    ErrorClass.MODERATED: FailureKind.NONE,
    ErrorClass.MODERATED_BILLED: FailureKind.NONE,
    ErrorClass.MODEL_GONE: FailureKind.NONE,
    ErrorClass.AUTH: FailureKind.ACCESS_REFUSED,
    ErrorClass.PROVIDER_BILLING: FailureKind.ACCESS_REFUSED,
    ErrorClass.RATE_LIMITED: FailureKind.RATE_LIMITED,
    ErrorClass.CAPACITY: FailureKind.FAILURE,
    ErrorClass.TRANSIENT: FailureKind.FAILURE,
    ErrorClass.TIMEOUT_UNSTARTED: FailureKind.FAILURE,
    ErrorClass.TIMEOUT_STARTED: FailureKind.FAILURE,
    ErrorClass.UNKNOWN_OUTCOME: FailureKind.FAILURE,
}


# Failures that concern every model of the same access, unless the provider says otherwise.
PROVIDER_WIDE_CLASSES = frozenset({ErrorClass.AUTH, ErrorClass.PROVIDER_BILLING, ErrorClass.RATE_LIMITED})


@dataclass(frozen=True, slots=True)
class Scope:
    """An access to a provider (the platform's, or one own key of a workspace), and one of the provider's models;
    `model` None = the access as a whole."""

    provider: str
    workspace_id: str | None = None
    key_id: str | None = None
    model: str | None = None

    @property
    def name(self) -> str:
        """`platform`, or the key's id."""
        return self.key_id or PLATFORM

    @property
    def access(self) -> Scope:
        """The access as a whole."""
        return self if self.model is None else replace(self, model=None)

    @property
    def levels(self) -> tuple[Scope, ...]:
        """The scopes whose health decides whether this one may be used: the access, and the model."""
        return (self,) if self.model is None else (self.access, self)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The attempts in one WINDOW of time. `latencies`: (index in LATENCIES_MS, number of successes)."""

    began_at: datetime | None = None
    successes: int = 0
    failures: int = 0
    latency_ms_sum: int = 0
    latencies: tuple[tuple[int, int], ...] = ()

    def with_success(self, latency_ms: int) -> Bucket:
        """This bucket with one more success."""
        counts = dict(self.latencies)
        index = min(bisect_left(LATENCIES_MS, latency_ms), len(LATENCIES_MS) - 1)
        counts[index] = counts.get(index, 0) + 1
        return replace(
            self,
            successes=self.successes + 1,
            latency_ms_sum=self.latency_ms_sum + latency_ms,
            latencies=tuple(sorted(counts.items())),
        )


@dataclass(frozen=True, slots=True)
class Health:
    """The health of one scope. `opened_at`: since when it is down. `cooldown_seconds` is kept until a success, so that
    the next cooldown is longer. `probe_until`: a half-open probe is in flight until then. `disabled_until`: an
    administrator has switched it off until then, whatever its attempts say. `version` counts the writes."""

    scope: Scope
    version: int = 0
    current: Bucket = field(default_factory=Bucket)
    previous: Bucket = field(default_factory=Bucket)
    failures_in_a_row: int = 0
    opened_at: datetime | None = None
    cooldown_until: datetime | None = None
    cooldown_seconds: int = 0
    probe_until: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    checked_at: datetime | None = None
    error_class: str | None = None
    error_message: str | None = None
    disabled_until: datetime | None = None

    def moved_to(self, now: datetime) -> Health:
        """This health with its buckets moved on to `now`. The current and the previous one make the sliding window."""
        began_at = self.current.began_at
        if began_at is None or now - began_at >= 2 * WINDOW:
            return replace(self, current=Bucket(now), previous=Bucket())
        if now - began_at >= WINDOW:
            return replace(self, current=Bucket(began_at + WINDOW), previous=self.current)
        return self

    def status(self, now: datetime) -> HealthStatus:
        """The status at `now`."""
        if self.opened_at is not None or self.is_disabled(now):
            return HealthStatus.DOWN
        if self.failures_in_a_row or self.in_cooldown(now) or self._fails_often(now):
            return HealthStatus.DEGRADED
        return HealthStatus.HEALTHY if self.last_success_at or self.checked_at else HealthStatus.UNKNOWN

    def in_cooldown(self, now: datetime) -> bool:
        """Whether no attempt may be sent now: during a cooldown, while a half-open probe is in flight, and while an
        administrator has switched it off."""
        until = self.unusable_until
        return until is not None and now < until

    @property
    def unusable_until(self) -> datetime | None:
        """The end of what keeps attempts away; None = there was nothing."""
        return max(
            (each for each in (self.cooldown_until, self.probe_until, self.disabled_until) if each), default=None
        )

    def is_disabled(self, now: datetime) -> bool:
        """Whether an administrator has switched it off."""
        return self.disabled_until is not None and now < self.disabled_until

    def off_until(self, until: datetime) -> Health:
        """Switched off by an administrator."""
        return replace(self, disabled_until=until)

    def switched_on(self) -> Health:
        """Usable at once, whatever had switched it off."""
        return replace(_close(self), disabled_until=None)

    def rate_limited_until(self, now: datetime) -> datetime | None:
        """Until when a healthy provider accepts no more requests (a 429); None when it accepts them, and when it is
        down for another reason."""
        by_limit = self.opened_at is None and not self.is_disabled(now)
        return self.cooldown_until if by_limit and self.in_cooldown(now) else None

    def is_half_open(self, now: datetime) -> bool:
        """Whether the circuit is half-open: down, the cooldown is over, and one caller may send a probe."""
        return self.opened_at is not None and not self.in_cooldown(now)

    def probing(self, now: datetime) -> Health:
        """Half-open, with one probe in flight."""
        return replace(self, probe_until=now + timedelta(seconds=max(PROBE_SECONDS, self.cooldown_seconds)))

    def after_success(self, latency_ms: int, *, started_at: datetime, now: datetime) -> Health:
        """This health after a successful attempt. An attempt that began before the scope went down does not close the
        circuit."""
        moved = self.moved_to(now)
        counted = replace(moved, current=moved.current.with_success(latency_ms), last_success_at=now)
        return counted if self._predates_opening(started_at) else _close(counted)

    def after_failure(
        self, error_class: str, message: str, *, retry_after_seconds: int | None, started_at: datetime, now: datetime
    ) -> Health:
        """This health after a failed attempt; unchanged when the failure says nothing about the provider, or when the
        attempt began before the scope went down."""
        kind = FAILURE_KINDS.get(error_class, FailureKind.FAILURE)
        if kind is FailureKind.NONE or self._predates_opening(started_at):
            return self

        moved = self.moved_to(now)
        counted = replace(
            moved,
            current=replace(moved.current, failures=moved.current.failures + 1),
            last_failure_at=now,
            error_class=error_class,
            error_message=message[:MESSAGE_CHARACTERS_MAX],
        )
        if kind is FailureKind.RATE_LIMITED:
            # A 429 is not a failure: the circuit closes, all callers wait for the cooldown, and no probe is needed.
            seconds = min(max(retry_after_seconds or LIMITED_SECONDS, 1), LIMITED_SECONDS_MAX)
            until = max(now + timedelta(seconds=seconds), self.cooldown_until or now)
            return replace(_close(counted), cooldown_until=until)

        counted = replace(counted, failures_in_a_row=moved.failures_in_a_row + 1)
        if kind is FailureKind.ACCESS_REFUSED:
            return _open(counted, REFUSED_SECONDS, REFUSED_SECONDS_MAX, now)
        if self.opened_at is not None or counted.failures_in_a_row >= FAILURES_TO_DOWN:
            seconds = retry_after_seconds or 0
            return _open(counted, max(COOLDOWN_SECONDS, min(seconds, COOLDOWN_SECONDS_MAX)), COOLDOWN_SECONDS_MAX, now)
        return counted

    def after_model_failure(
        self, error_class: str, message: str, *, retry_after_seconds: int | None, started_at: datetime, now: datetime
    ) -> Health:
        """The health of an access after a failure that concerns one model: it is counted, but does not open the circuit
        for the other models. While the access is down it is a failure like any other, because nothing has shown yet
        that the access works again."""
        if self.opened_at is not None:
            return self.after_failure(
                error_class, message, retry_after_seconds=retry_after_seconds, started_at=started_at, now=now
            )
        if FAILURE_KINDS.get(error_class) is FailureKind.NONE:
            return self
        moved = self.moved_to(now)
        return replace(
            moved,
            current=replace(moved.current, failures=moved.current.failures + 1),
            last_failure_at=now,
            error_class=error_class,
            error_message=message[:MESSAGE_CHARACTERS_MAX],
        )

    def after_inconclusive(self, *, started_at: datetime) -> Health:
        """This health after an attempt that says nothing about it: if it was the probe, another probe may be sent."""
        return self if self._predates_opening(started_at) else replace(self, probe_until=None)

    def has_recent_failures(self, now: datetime) -> bool:
        """Whether there were failures in the window, or earlier ones that no success has cleared since."""
        is_closed = not self.failures_in_a_row and self.opened_at is None and not self.cooldown_until
        return not is_closed or self.moved_to(now).failures > 0

    def after_check(self, error_class: str | None, message: str, now: datetime) -> Health:
        """This health after a free check. A successful check ends the cooldown but does not prove that generations
        work: the next failure opens the circuit at once, with the longer cooldown."""
        checked = replace(self, checked_at=now)
        if error_class is not None:
            return checked.after_failure(error_class, message, retry_after_seconds=None, started_at=now, now=now)
        if self.opened_at is None:
            return checked
        again = min(self.failures_in_a_row, FAILURES_TO_DOWN - 1)
        return replace(checked, opened_at=None, cooldown_until=None, probe_until=None, failures_in_a_row=again)

    @property
    def successes(self) -> int:
        """The successes in the window."""
        return self.current.successes + self.previous.successes

    @property
    def failures(self) -> int:
        """The failures in the window."""
        return self.current.failures + self.previous.failures

    def success_percent(self) -> int | None:
        """The percentage of successful attempts in the window, rounded down; None without any attempt."""
        attempts = self.successes + self.failures
        return 100 * self.successes // attempts if attempts else None

    def latency_ms_mean(self) -> int | None:
        """The mean latency of the successes in the window; None without any."""
        total = self.current.latency_ms_sum + self.previous.latency_ms_sum
        return total // self.successes if self.successes else None

    def latency_ms_p95(self) -> int | None:
        """An upper bound of the 95th percentile of the latency, at most 1.5 times it; None without any success."""
        remaining = -(-95 * self.successes // 100)
        counts = dict(self.previous.latencies)
        for index, count in self.current.latencies:
            counts[index] = counts.get(index, 0) + count
        for index in sorted(counts):
            remaining -= counts[index]
            if remaining <= 0:
                return LATENCIES_MS[index]
        return None

    def _fails_often(self, now: datetime) -> bool:
        current = self.moved_to(now)
        attempts = current.successes + current.failures
        return attempts >= DEGRADED_FROM_ATTEMPTS and 100 * current.failures >= DEGRADED_FROM_PERCENT * attempts

    def _predates_opening(self, started_at: datetime) -> bool:
        return self.opened_at is not None and started_at < self.opened_at


@dataclass(frozen=True, slots=True)
class RouteHealth:
    """The health of an access and of one model with it, in this order: what decides whether the model can be used."""

    levels: tuple[Health, ...]

    def in_cooldown(self, now: datetime) -> bool:
        """Whether no attempt may be sent now."""
        return any(health.in_cooldown(now) for health in self.levels)

    def rate_limited_until(self, now: datetime) -> datetime | None:
        """Until when only a 429 keeps attempts away; None when attempts may be sent, and when there is another
        reason."""
        limits = [health.rate_limited_until(now) for health in self.levels if health.in_cooldown(now)]
        known = [until for until in limits if until is not None]
        return max(known) if known and len(known) == len(limits) else None

    def available_at(self, now: datetime) -> datetime:
        """When an attempt may be sent again."""
        ends = [until for health in self.levels if health.in_cooldown(now) and (until := health.unusable_until)]
        return max(ends, default=now)

    def is_unhealthy(self, now: datetime) -> bool:
        """Whether a candidate that has not failed lately is preferable. Failures of other models of the access do not
        count against this model."""
        *accesses, last = self.levels
        return any(health.failures_in_a_row or health.opened_at for health in accesses) or last.status(now) in (
            HealthStatus.DEGRADED,
            HealthStatus.DOWN,
        )


def overall_status(access: Health, models: Iterable[Health], now: datetime) -> HealthStatus:
    """The status of an access with its models: an access that works, but not for all of them, is degraded."""
    status = access.status(now)
    unhealthy = any(health.status(now) in (HealthStatus.DEGRADED, HealthStatus.DOWN) for health in models)
    return HealthStatus.DEGRADED if unhealthy and status is not HealthStatus.DOWN else status


def _close(health: Health) -> Health:
    return replace(
        health, failures_in_a_row=0, opened_at=None, cooldown_until=None, cooldown_seconds=0, probe_until=None
    )


def _open(health: Health, seconds: int, seconds_max: int, now: datetime) -> Health:
    cooldown = min(max(seconds, 2 * health.cooldown_seconds), seconds_max)
    return replace(
        health,
        opened_at=now,
        cooldown_until=now + timedelta(seconds=cooldown),
        cooldown_seconds=cooldown,
        probe_until=None,
    )
