"""Calls with API tokens, counted for each workspace and calendar month (UTC). Calls of a browser's session do not
count: pages ask again and again by themselves.

A warm worker counts in memory. It adds its count to the workspace's shared counter when it has a *share* (20 calls
where 600 requests a minute are allowed), and with the first call after COUNT_INTERVAL. So a call costs 1/share of a
write, and at most one write a minute for whoever calls seldom. With W workers the counter lacks, at any time, at most
W · (share − 1) calls; what a worker had not added when it ended is never counted. It has a call too many only where the
SDK repeats a write whose answer was lost.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import AtelierError, Unavailable

COUNT_INTERVAL = timedelta(minutes=1)
WORKSPACES_MAX = 10_000


class CallCounters(Protocol):
    """The shared counters."""

    def add(self, workspace_id: str, month: str, count: int) -> int:
        """Add to a workspace's counter of a month; return the sum. Raises Unavailable."""
        ...


class CallQuota(Protocol):
    """How many calls a workspace may make in a month."""

    @property
    def limit(self) -> int: ...

    def exceeded(self, used: int, *, added: int = 1) -> AtelierError: ...


@dataclass(frozen=True, slots=True)
class _Uncounted:
    """Calls that are not added yet, since the time of the first of them."""

    calls: int
    since: datetime


class MonthlyCalls:
    """Counts calls, and refuses them above the workspace's quota, which is read whenever a share is added. Once
    refused, a workspace's calls are refused in this worker for COUNT_INTERVAL; then the next call asks again. When
    counter or quota do not answer, calls pass: counting must not take the product down."""

    def __init__(
        self,
        counters: Callable[[], CallCounters],
        quota_of: Callable[[str, datetime], CallQuota],
        share: int,
    ) -> None:
        self._counters, self._quota_of, self._share = counters, quota_of, share
        self._uncounted: dict[tuple[str, str], _Uncounted] = {}
        self._refused: dict[tuple[str, str], tuple[datetime, AtelierError]] = {}

    def __call__(self, workspace_id: str, now: datetime) -> None:
        """Count one call. Raises QuotaExceeded."""
        key = workspace_id, month_of_calls(now)
        if key in self._refused:
            until, refusal = self._refused[key]
            if now < until:
                raise refusal
            del self._refused[key]
            self._add(key, 1, now)
            return
        if key not in self._uncounted and len(self._uncounted) >= WORKSPACES_MAX:
            self._uncounted.clear()
        before = self._uncounted.get(key, _Uncounted(0, now))
        calls = before.calls + 1
        if calls < self._share and now - before.since < COUNT_INTERVAL:
            self._uncounted[key] = _Uncounted(calls, before.since)
            return
        self._uncounted.pop(key, None)
        self._add(key, calls, now)

    def _add(self, key: tuple[str, str], calls: int, now: datetime) -> None:
        workspace_id, month = key
        try:
            used = self._counters().add(workspace_id, month, calls)
            quota = self._quota_of(workspace_id, now)
        except Unavailable:
            return
        if used > quota.limit:
            refusal = quota.exceeded(used)
            self._refused[key] = now + COUNT_INTERVAL, refusal
            raise refusal


def month_of_calls(at: datetime) -> str:
    """The name of a counter's month: `2026-11`, UTC."""
    return rfc3339(at)[:7]
