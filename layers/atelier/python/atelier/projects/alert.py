"""Raise the alerts that are due, and publish each of them.

Whether an alert is due follows from the amount spent, so a crash before an alert is raised loses nothing: the next end
of a generation, or the next request for the alerts, finds it due again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.clock import rfc3339
from atelier.projects.model import Alert, Budget, due_alerts
from atelier.projects.ports import ProjectStore

Publish = Callable[[str, dict[str, str | int | None]], None]


def raise_due_alerts(budget: Budget, *, projects: ProjectStore, now: datetime) -> list[Alert]:
    """Store the alerts that are due, unless they are stored already; returns the stored alerts."""
    return [projects.raise_alert(alert) for alert in due_alerts(budget, now)]


def publish_due_alerts(
    workspace_id: str, name: str, *, projects: ProjectStore, publish: Publish, now: datetime
) -> None:
    """After spending on a budget: raise the due alerts, and publish those that are not published yet. An event may be
    published twice, with the same id."""
    budget = projects.budget(workspace_id, name)
    if budget is None:
        return
    for alert in raise_due_alerts(budget, projects=projects, now=now):
        if alert.published_at is None:
            publish("budget.alert", _event_detail(alert))
            projects.mark_published(alert, now)


def _event_detail(alert: Alert) -> dict[str, str | int | None]:
    return {
        "id": alert.id,
        "workspace_id": alert.workspace_id,
        "budget": alert.budget,
        "alert_type": alert.type.value,
        "threshold": alert.threshold,
        "budget_microusd": alert.limit_microusd,
        "current_spend_microusd": alert.spent_microusd,
        "period": alert.period,
        "triggered_at": rfc3339(alert.triggered_at),
    }
