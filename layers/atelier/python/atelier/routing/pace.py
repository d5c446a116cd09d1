"""How often a provider may be asked, kept below its own limits: places in time, given out one after the other. Pure:
instants are handed in.

Whoever wants to ask takes a place: now, or a later one that nobody else has. However many come at once, in no stretch
of `Limit.seconds` are there more requests than the limit says, whichever stretch one looks at, and whoever waits is
served in the order of asking. What is remembered is small whatever the limit: how many places each step of time has.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from atelier.frozen import dataclass
from atelier.routing.model import Scope

STEPS = 30
# A place is good for so long: an execution that was woken for it has a way to go, and so have the bytes.
LATE = timedelta(seconds=5)
OWN = "own"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many requests in any so many seconds; none at all is no limit."""

    requests: int
    seconds: int = 60

    @classmethod
    def read(cls, text: str) -> Limit:
        """From `500` (in a minute) or `150/10` (in ten seconds); raises ValueError."""
        requests, _, seconds = text.partition("/")
        if not requests.isdecimal() or not (seconds or "60").isdecimal() or seconds == "0":
            raise ValueError(f"{text} is no limit")
        return cls(int(requests), int(seconds or 60))

    @property
    def step_ms(self) -> int:
        """How finely time is divided."""
        return 1000 * self.seconds // STEPS

    @property
    def span_ms(self) -> int:
        """Two requests whose places are this far apart are never sent within `seconds`: the first may have been sent
        at the end of its step and late."""
        needed = 1000 * self.seconds + round(1000 * LATE.total_seconds())
        return (-(-needed // self.step_ms) + 1) * self.step_ms


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a deployment: the catalogue's, and what the deployment says instead (`openai`, or `openai@own` for
    each own key by itself)."""

    documented: dict[str, Limit]
    configured: dict[str, Limit]

    def of(self, scope: Scope) -> Limit | None:
        """The limit of one access; None = there is none. What the platform's access may do says nothing of an own
        key's."""
        name = f"{scope.provider}@{OWN}" if scope.key_id else scope.provider
        limit = self.configured.get(name) or self.documented.get(scope.provider)
        return limit if limit and limit.requests else None


@dataclass(frozen=True, slots=True)
class Pace:
    """The places of one scope that still count: the start of a step in milliseconds since 1970, and how many have it.
    `version` counts the writes."""

    scope: Scope
    version: int = 0
    places: tuple[tuple[int, int], ...] = ()

    def next_at(self, limit: Limit, now: datetime) -> datetime:
        """When the next place is: now, or later."""
        step = self._next_step(limit, now)
        return max(now, EPOCH + timedelta(milliseconds=step))

    def taken(self, limit: Limit, now: datetime) -> Pace:
        """With the next place taken, and without those that do not count any more."""
        step = self._next_step(limit, now)
        oldest = _milliseconds(now) - limit.span_ms - limit.step_ms
        places = {at: count for at, count in self.places if at > oldest}
        places[step] = places.get(step, 0) + 1
        return replace(self, places=tuple(sorted(places.items())))

    def _next_step(self, limit: Limit, now: datetime) -> int:
        step = _milliseconds(now) // limit.step_ms * limit.step_ms
        if self.places:
            # Never before somebody who came earlier, whatever another process's clock says.
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
