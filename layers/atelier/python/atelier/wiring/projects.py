"""Projects, budgets and alerts, composed."""

from __future__ import annotations

from functools import cache

from atelier.aws.dynamodb.projects import DynamoProjects
from atelier.settings import LibraryTable


@cache
def projects() -> DynamoProjects:
    """The projects and budgets of this deployment; until this is asked for, no transaction knows their table."""
    store = DynamoProjects()
    store.bind(LibraryTable.read().name)
    return store
