"""Select the next candidate: the first one that can end in time, is healthy and under its rate limit. When all such
candidates are at their limit, reserve a slot with the one that is free first. When they have answered with a rate limit
themselves, wait until it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from atelier.catalogue.candidates import parse_candidate
from atelier.clock import parse_rfc3339
from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.generations.attempt_messages import Slot, SlotDue
from atelier.generations.change import GenerationChange
from atelier.generations.decide_candidate import (
    Delay,
    LimitedCandidate,
    NoTimeLeft,
    UseSlot,
    decide_in_time,
    decide_rate_limited,
    decide_reservation,
    decide_slot,
    latest_start,
)
from atelier.generations.model import Generation
from atelier.generations.ports import Workflow
from atelier.routing.circuit_breaker import RouteHealth, Scope
from atelier.routing.health_cache import HealthCache
from atelier.routing.rate_limiter import RateLimiter, Reservation
from atelier.telemetry import logger


def resume_at_slot(task_token: str, due: SlotDue, *, workflow: Workflow) -> None:
    """Have the attempt step continue: its reserved slot is due. If no execution waits any more, the generation ends at
    its deadline."""
    workflow.try_next(task_token, due)


def health_scope(generation: Generation, model: str, key: str | None) -> Scope:
    """The health scope of an attempt: its provider, model, and the workspace's own key if it uses one."""
    return Scope(model.partition("/")[0], generation.workspace_id if key else None, key, model)


def queue_position(generation: Generation, rate_limiter: RateLimiter, now: datetime) -> int | None:
    """The place of a generation in the queue of the provider for which its slot is reserved, 1 = next; None = unknown:
    it has no slot, or the reservations cannot be read."""
    if generation.delayed_candidate is None or generation.delayed_until is None:
        return None
    slot = Slot(generation.delayed_candidate, generation.delayed_until)
    return _place_in_line(generation.workspace_id, slot, lambda: rate_limiter, now)


def place_of_change(change: GenerationChange, rate_limiter: Callable[[], RateLimiter], now: datetime) -> int | None:
    """The same of a generation whose delay was committed. rate_limiter: makes it; what fails there is unknown too."""
    after = change.after
    if after.delayed_candidate is None or after.delayed_until is None:
        return None
    slot = Slot(after.delayed_candidate, parse_rfc3339(after.delayed_until))
    return _place_in_line(change.workspace_id, slot, rate_limiter, now)


def _place_in_line(workspace_id: str, slot: Slot, rate_limiter: Callable[[], RateLimiter], now: datetime) -> int | None:
    model, key = parse_candidate(slot.candidate)
    scope = Scope(model.partition("/")[0], workspace_id if key else None, key, model)
    try:
        return rate_limiter().position(scope.access, slot.at, now)
    except Exception:
        logger.exception("places cannot be read", candidate=slot.candidate)
        return None


@dataclass(frozen=True, slots=True)
class CandidateSelection:
    """Selects among the untried candidates of one generation. A candidate whose health or rate limit cannot be read
    counts as healthy and free, so that a failing table stops no generation."""

    generation: Generation
    health: HealthCache
    rate_limiter: RateLimiter
    run_seconds_max: Callable[[str], int]
    now: datetime

    def select(self, slot: Slot | None) -> str | Delay | NoTimeLeft | None:
        """The candidate to try now, with its rate-limit slot taken; or how long to wait, within the generation's
        deadline; or that no candidate can end before it; or None. A candidate that is skipped here stays untried."""
        run_times = self._run_times()
        in_time = decide_in_time(run_times, self.generation.deadline_at, self.now)
        if isinstance(in_time, NoTimeLeft):
            return in_time
        available = [candidate for candidate in in_time if not self._in_cooldown(candidate)]
        match decide_slot(slot, available, self.now):
            case Delay() as delay:
                return delay
            case UseSlot(candidate) if self._allow(candidate):
                return candidate
            case _:
                pass

        at_limit: list[tuple[datetime, str]] = []
        for candidate in available:
            reservation = self._reserve(candidate, self.now)
            if not reservation.is_reserved:
                at_limit.append((reservation.at, candidate))
            elif self._allow(candidate):
                return candidate

        for _, candidate in sorted(at_limit):
            latest = self._latest_start(run_times[candidate])
            reservation = self._reserve(candidate, latest)
            delay = decide_reservation(candidate, reservation.at, latest, is_reserved=reservation.is_reserved)
            if delay is not None:
                return delay
        return decide_rate_limited(self._limited_candidates(run_times), self.generation.id, self.now)

    def _run_times(self) -> dict[str, timedelta]:
        """How long each untried candidate may run. A model that has left the catalogue is no candidate any more."""
        run_times: dict[str, timedelta] = {}
        for candidate in self.generation.remaining_candidates:
            try:
                run_times[candidate] = timedelta(seconds=self.run_seconds_max(parse_candidate(candidate)[0]))
            except ValidationFailed:
                logger.info("candidate has left the catalogue", generation_id=self.generation.id, candidate=candidate)
        return run_times

    def _limited_candidates(self, run_times: Mapping[str, timedelta]) -> list[LimitedCandidate]:
        """The untried candidates that only a rate limit of their provider keeps away."""
        return [
            LimitedCandidate(candidate, until, self._latest_start(run_time))
            for candidate, run_time in run_times.items()
            if (until := self._limited_until(candidate)) is not None
        ]

    def _latest_start(self, run_time: timedelta) -> datetime:
        later_stages = timedelta(seconds=self.generation.later_stages_seconds)
        return latest_start(self.generation.deadline_at, run_time, later_stages, self.now)

    def _in_cooldown(self, candidate: str) -> bool:
        reachable = self._health(candidate)
        in_cooldown = reachable is not None and reachable.in_cooldown(self.now)
        if in_cooldown:
            logger.info("candidate passed over", generation_id=self.generation.id, candidate=candidate)
        return in_cooldown

    def _limited_until(self, candidate: str) -> datetime | None:
        reachable = self._health(candidate)
        return reachable.rate_limited_until(self.now) if reachable else None

    def _health(self, candidate: str) -> RouteHealth | None:
        """The candidate's health; None when it cannot be read. A candidate that this generation has tried before is
        read afresh, past the cache, so that its latest answer counts."""
        was_tried = any(attempt.candidate == candidate for attempt in self.generation.attempts)
        try:
            return self.health.route_health(self._scope(candidate), self.now, fresh=was_tried)
        except Exception:
            logger.exception("health cannot be read", candidate=candidate)
            return None

    def _allow(self, candidate: str) -> bool:
        try:
            return self.health.allow(self._scope(candidate), self.now)
        except Exception:
            logger.exception("health cannot be read", candidate=candidate)
            return True

    def _reserve(self, candidate: str, latest: datetime) -> Reservation:
        try:
            return self.rate_limiter.reserve(self._scope(candidate).access, self.now, latest=latest)
        except Exception:
            logger.exception("places cannot be read", candidate=candidate)
            return Reservation(self.now, is_reserved=True)

    def _scope(self, candidate: str) -> Scope:
        return health_scope(self.generation, *parse_candidate(candidate))
