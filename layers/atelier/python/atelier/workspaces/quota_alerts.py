"""Tell a workspace when it has used most, or all, of what its tier allows.

Whoever sees that a counter has changed calls `warn`, in any order and as often as it likes: the present count decides,
not the change, so two changes at once cannot hide a threshold from one another. The feed of the workspace knows which
thresholds it had in the month."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from atelier.catalogue.quotas import Quota, QuotaName
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.events.limits import QuotaThresholdReached
from atelier.events.ports import EventPublisher
from atelier.telemetry import logger

# Percent of a quota, in rising order.
THRESHOLDS = (80, 100)
# Who may have one of something has all of it at once, and knows.
LIMIT_MIN = 2


class KnownEvents(Protocol):
    """The feeds of workspaces, as far as they know what they had."""

    def has_had(self, feed_id: str, event_id: str) -> bool:
        """Whether the feed had an event."""
        ...


@dataclass(frozen=True, slots=True)
class QuotaAlertDeps:
    """Dependencies. counts: for each quota the function that reads how much a workspace has now; quota: a quota of a
    workspace at a time."""

    counts: Mapping[QuotaName, Callable[[str, datetime], int]]
    quota: Callable[[QuotaName, str, datetime], Quota]
    feeds: KnownEvents
    events: EventPublisher


def warn(changed: Iterable[tuple[str, QuotaName]], *, deps: Callable[[], QuotaAlertDeps], now: datetime) -> None:
    """Publish the thresholds that workspaces have reached. changed: the workspaces and quotas whose counters have
    changed; deps: makes the dependencies, which most batches of a stream do not need. Safe to repeat: an event that is
    published again has the same id."""
    for workspace_id, name in dict.fromkeys(changed):
        # Of a workspace that was erased meanwhile nobody wants to know.
        with suppress(NotFound):
            _warn(workspace_id, name, deps(), now)


def _warn(workspace_id: str, name: QuotaName, deps: QuotaAlertDeps, now: datetime) -> None:
    limit, used = deps.quota(name, workspace_id, now).limit, deps.counts[name](workspace_id, now)
    found = [_event(workspace_id, name, percent, used, limit, now) for percent in reached(used, limit)]
    # The highest one says it all; a lower one that comes later, because something was deleted, is no news.
    is_new = bool(found) and not any(deps.feeds.has_had(workspace_id, event.id) for event in found)
    if is_new:
        deps.events.publish(found[0])
    percent = found[0].percent if found else None
    logger.info("quota counted", workspace_id=workspace_id, quota=name, used=used, percent=percent, is_new=is_new)


def reached(used: int, limit: int) -> list[int]:
    """The thresholds of a quota from the highest one that is reached upwards; none = no threshold is reached."""
    if limit < LIMIT_MIN or used * 100 < THRESHOLDS[0] * limit:
        return []
    highest = max(percent for percent in THRESHOLDS if used * 100 >= percent * limit)
    return [percent for percent in THRESHOLDS if percent >= highest]


def _event(
    workspace_id: str, name: QuotaName, percent: int, used: int, limit: int, now: datetime
) -> QuotaThresholdReached:
    at = rfc3339(now)
    return QuotaThresholdReached(workspace_id, name, percent, used, limit, at[:7], at)
