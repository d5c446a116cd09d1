"""Give out places in time: to whoever may ask at once, and to whoever waits. Without a limit it costs nothing; with
one, a read and a write for each attempt, and a read for each that is passed over.

A lease of several places for a process would save writes and give them away with every process that is put to sleep;
a Lambda makes one attempt at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.frozen import dataclass
from atelier.routing.model import Scope
from atelier.routing.pace import LATE, Limits
from atelier.routing.ports import PaceStore

TRIES_MAX = 60
# When to come again where so many came at once that no place could be written.
CROWD_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Place:
    """A moment at which a scope may be asked, and whether it is kept for whoever asked for it."""

    at: datetime
    is_taken: bool


@dataclass(frozen=True, slots=True)
class Places:
    """The places of every scope. `pause(tries)` waits a little after losing to somebody who came at the same time."""

    store: PaceStore
    limits: Limits
    pause: Callable[[int], None]

    def next_at(self, scope: Scope, now: datetime) -> datetime:
        """When the next place would be, as far as was known a moment ago; takes none."""
        limit = self.limits.of(scope)
        return self.store.seen(scope).next_at(limit, now) if limit else now

    def take(self, scope: Scope, now: datetime, *, latest: datetime) -> Place:
        """The next place, taken unless it is later than `latest`."""
        limit = self.limits.of(scope)
        if limit is None:
            return Place(now, is_taken=True)
        for tries in range(TRIES_MAX):
            before = self.store.get(scope)
            at = before.next_at(limit, now)
            if at > latest:
                return Place(at, is_taken=False)
            after = before.taken(limit, now)
            if self.store.replace(before, replace(after, version=before.version + 1)):
                return Place(at, is_taken=True)
            self.pause(tries)
        return Place(now + timedelta(seconds=CROWD_SECONDS), is_taken=False)

    @staticmethod
    def is_good(at: datetime, now: datetime) -> bool:
        """Whether a place that was taken may be used now."""
        return at <= now <= at + LATE
