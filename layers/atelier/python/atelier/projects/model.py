"""Projects, budgets and alerts as values, and the rules of budgets. Money is integer micro-USD.

A budget is known by its name: a project's id, or `workspace` for the whole workspace's, which starts again each month
(UTC). What a generation may come to at most is *reserved* on its budgets together with its hold; its end turns the
reservation into what was *spent*. Every project counts so, with a limit or without.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum

from atelier.clock import rfc3339
from atelier.frozen import dataclass
from atelier.ids import CROCKFORD

WORKSPACE = "workspace"
# Percent of the limit.
THRESHOLDS = (80, 100)


@dataclass(frozen=True, slots=True)
class Project:
    """What a workspace works on. An archived one takes no new generation."""

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
    """What was spent and is reserved under a name, and the limit for both, if there is one. `period`: the month that
    `spent_microusd` is of, where it starts again; `generations`: how many were ever reserved for."""

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
        """The one counter that a reservation is conditional on; below zero without a limit, or when more was spent."""
        return (self.limit_microusd or 0) - self.spent_microusd - self.reserved_microusd

    def takes(self, microusd: int) -> bool:
        """Whether so much more may be reserved. What costs nothing is never refused."""
        return self.limit_microusd is None or microusd == 0 or self.left_microusd >= microusd


class AlertType(StrEnum):
    """What an alert is about."""

    THRESHOLD_REACHED = "threshold_reached"
    BUDGET_EXCEEDED = "budget_exceeded"


@dataclass(frozen=True, slots=True)
class Alert:
    """A threshold (percent) of a limit that was reached by what was spent: raised once for each threshold and limit, in
    a workspace once a month. `told_at`: when the event bus was."""

    id: str
    workspace_id: str
    budget: str
    threshold: int
    limit_microusd: int
    spent_microusd: int
    triggered_at: datetime
    period: str | None = None
    acknowledged_at: datetime | None = None
    told_at: datetime | None = None

    @property
    def type(self) -> AlertType:
        """The whole limit, or a part of it."""
        return AlertType.BUDGET_EXCEEDED if self.threshold >= 100 else AlertType.THRESHOLD_REACHED


def month(at: datetime) -> str:
    """The period of an instant: `2026-11`, UTC. Periods sort as text."""
    return rfc3339(at)[:7]


def due_alerts(budget: Budget, now: datetime) -> list[Alert]:
    """The alerts that what is spent gives cause for, raised already or not."""
    limit = budget.limit_microusd
    if limit is None:
        return []
    return [
        Alert(
            id=_alert_id(budget, threshold, limit),
            workspace_id=budget.workspace_id,
            budget=budget.name,
            threshold=threshold,
            limit_microusd=limit,
            spent_microusd=budget.spent_microusd,
            triggered_at=now,
            period=budget.period,
        )
        for threshold in budget.thresholds
        # A limit of nothing is reached by the first micro-dollar, not before.
        if budget.spent_microusd * 100 >= threshold * limit and budget.spent_microusd > 0
    ]


def _alert_id(budget: Budget, threshold: int, limit: int) -> str:
    """Derived, so that raising it again is the same alert."""
    facts = f"{budget.workspace_id}#{budget.name}#{budget.period}#{threshold}#{limit}"
    digest = int.from_bytes(hashlib.sha256(facts.encode()).digest()[:16])
    return "alr_0" + "".join(CROCKFORD[digest >> shift & 31] for shift in range(0, 125, 5))
