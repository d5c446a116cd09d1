"""Projects, budgets and alerts as values, and the rules of budgets. Money is integer micro-USD.

A budget's name is a project's id, or `workspace` for the budget of the whole workspace, which starts at zero each month
(UTC). The highest cost of a generation is *reserved* on its budgets together with its hold; at its end the reservation
is released and the actual cost is *spent*. A project without a limit counts in the same way.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.ids import CROCKFORD

WORKSPACE = "workspace"
# Percent of the limit.
THRESHOLDS = (80, 100)


@dataclass(frozen=True, slots=True)
class Project:
    """A project of a workspace. An archived project takes no new generations."""

    id: str
    workspace_id: str
    user_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    thumbnail_url: str | None = None
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """The spent and reserved amounts of a budget, and the limit of their sum, if there is one.

    `period`: the month (`2026-11`) of `spent_microusd`, for a monthly budget. `generations`: for how many generations
    something was ever reserved. `thresholds`: percents of the limit at which an alert is raised."""

    workspace_id: str
    name: str
    limit_microusd: int | None = None
    spent_microusd: int = 0
    reserved_microusd: int = 0
    generations: int = 0
    thresholds: tuple[int, ...] = THRESHOLDS
    period: str | None = None
    archived: bool = False

    @property
    def left_microusd(self) -> int:
        """Limit − spent − reserved: the one counter that a reservation's condition checks. Below zero without a limit,
        or when more was spent than the limit."""
        return (self.limit_microusd or 0) - self.spent_microusd - self.reserved_microusd

    def can_reserve(self, microusd: int) -> bool:
        """Whether this amount may be reserved. An amount of zero may always be."""
        return self.limit_microusd is None or microusd == 0 or self.left_microusd >= microusd


class AlertType(StrEnum):
    """Whether a part of the limit was reached, or the whole limit."""

    THRESHOLD_REACHED = "threshold_reached"
    BUDGET_EXCEEDED = "budget_exceeded"


@dataclass(frozen=True, slots=True)
class Alert:
    """A threshold (percent of the limit) that the spent amount has reached. Raised once for each threshold and limit;
    on a workspace's budget, once a month. `published_at`: when its event was published."""

    id: str
    workspace_id: str
    budget: str
    threshold: int
    limit_microusd: int
    spent_microusd: int
    triggered_at: datetime
    period: str | None = None
    acknowledged_at: datetime | None = None
    published_at: datetime | None = None

    @property
    def type(self) -> AlertType:
        """BUDGET_EXCEEDED for the whole limit, THRESHOLD_REACHED for a part of it."""
        return AlertType.BUDGET_EXCEEDED if self.threshold >= 100 else AlertType.THRESHOLD_REACHED


def month_of(at: datetime) -> str:
    """The period of an instant: `2026-11`, UTC. Periods sort as text."""
    return rfc3339(at)[:7]


def due_alerts(budget: Budget, now: datetime) -> list[Alert]:
    """The alerts of all thresholds that the spent amount has reached, raised already or not."""
    limit = budget.limit_microusd
    if limit is None:
        return []
    return [
        Alert(
            id=_alert_id(budget.workspace_id, budget.name, budget.period, threshold, limit),
            workspace_id=budget.workspace_id,
            budget=budget.name,
            threshold=threshold,
            limit_microusd=limit,
            spent_microusd=budget.spent_microusd,
            triggered_at=now,
            period=budget.period,
        )
        for threshold in budget.thresholds
        # A limit of zero is reached by the first micro-dollar, not before.
        if budget.spent_microusd * 100 >= threshold * limit and budget.spent_microusd > 0
    ]


def alert_in(workspace_id: str, alert: Alert) -> Alert:
    """The same alert in another workspace, with the id that it would have got there."""
    alert_id = _alert_id(workspace_id, alert.budget, alert.period, alert.threshold, alert.limit_microusd)
    return replace(alert, id=alert_id, workspace_id=workspace_id)


def _alert_id(workspace_id: str, budget: str, period: str | None, threshold: int, limit: int) -> str:
    """The alert's id, derived from its facts, so that raising it again gives the same alert."""
    facts = f"{workspace_id}#{budget}#{period}#{threshold}#{limit}"
    digest = int.from_bytes(hashlib.sha256(facts.encode()).digest()[:16])
    return "alr_0" + "".join(CROCKFORD[digest >> shift & 31] for shift in range(0, 125, 5))
