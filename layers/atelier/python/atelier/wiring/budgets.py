"""The store of projects and budgets, composed. It imports little, for functions that only count spending."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.projects import DynamoProjects
from atelier.settings import LibraryTable


@cache
def projects() -> DynamoProjects:
    """The projects and budgets of this deployment. The first call binds their table, which transactions over budgets
    need."""
    store = DynamoProjects()
    store.bind(LibraryTable.read().name)
    return store
