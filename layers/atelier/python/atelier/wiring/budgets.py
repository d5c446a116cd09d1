"""The store of projects and the budget alerts, composed. It imports little, for functions that only count spending."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache

from atelier.adapters.aws.dynamodb.projects import DynamoProjects
from atelier.projects import alert
from atelier.settings import LibraryTable


@cache
def projects() -> DynamoProjects:
    """The projects and budgets of this deployment. The first call binds their table, which transactions over budgets
    need."""
    store = DynamoProjects()
    store.bind(LibraryTable.read().name)
    return store


def publish_due_alerts(workspace_id: str, names: Iterable[str], publish: alert.Publish, now: datetime) -> None:
    """After spending on these budgets: raise the alerts that are due, and publish them."""
    for name in names:
        alert.publish_due_alerts(workspace_id, name, projects=projects(), publish=publish, now=now)
