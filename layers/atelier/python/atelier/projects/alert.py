"""Raise the alerts that are due, and publish each of them.

Whether an alert is due follows from the amount spent, so a crash before an alert is raised loses nothing: the next end
of a generation, or the next request for the alerts, finds it due again.
"""

from __future__ import annotations

from datetime import datetime

from atelier.clock import rfc3339
from atelier.events.limits import BudgetAlert
from atelier.events.ports import EventPublisher
from atelier.projects.model import Alert, Budget, due_alerts
from atelier.projects.ports import AlertStore, ProjectStore


def raise_due_alerts(budget: Budget, *, projects: AlertStore, now: datetime) -> list[Alert]:
    """Store the alerts that are due, unless they are stored already; returns the stored alerts."""
    return [projects.raise_alert(alert) for alert in due_alerts(budget, now)]


def list_alerts(workspace_id: str, name: str, *, projects: ProjectStore, now: datetime) -> tuple[Alert, ...]:
    """A budget's alerts; alerts that are due and not raised yet are raised first."""
    budget = projects.budget(workspace_id, name)
    if budget is not None:
        raise_due_alerts(budget, projects=projects, now=now)
    return projects.alerts(workspace_id, name)


def publish_due_alerts(
    workspace_id: str, name: str, *, projects: AlertStore, events: EventPublisher, now: datetime
) -> None:
    """After spending on a budget: raise the due alerts, and publish those that are not published yet. An event may be
    published twice, with the same id."""
    budget = projects.budget(workspace_id, name)
    if budget is None:
        return
    for alert in raise_due_alerts(budget, projects=projects, now=now):
        if alert.published_at is None:
            events.publish(_event(alert))
            projects.mark_published(alert, now)


def _event(alert: Alert) -> BudgetAlert:
    return BudgetAlert(
        id=alert.id,
        workspace_id=alert.workspace_id,
        budget=alert.budget,
        alert_type=alert.type.value,
        threshold=alert.threshold,
        budget_microusd=alert.limit_microusd,
        current_spend_microusd=alert.spent_microusd,
        period=alert.period,
        triggered_at=rfc3339(alert.triggered_at),
    )
