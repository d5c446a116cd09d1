"""The projects' store and what an end sets in motion there, composed: light, for functions that only count."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache

from atelier.aws.dynamodb.projects import DynamoProjects
from atelier.projects import alert
from atelier.settings import LibraryTable


@cache
def projects() -> DynamoProjects:
    """The projects and budgets of this deployment; until this is asked for, no transaction knows their table."""
    store = DynamoProjects()
    store.bind(LibraryTable.read().name)
    return store


def watch(workspace_id: str, names: Iterable[str], publish: alert.Publish, now: datetime) -> None:
    """After something was spent on these budgets: raise what is due, and tell of it."""
    for name in names:
        alert.watch(workspace_id, name, projects=projects(), publish=publish, now=now)
