"""Projects and budgets, composed. The module imports little, for functions that only count spending."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from atelier.adapters.aws.dynamodb.projects import DynamoProjects
from atelier.settings import LibraryTable
from atelier.wiring.audit_log import bind_events

if TYPE_CHECKING:
    from atelier.projects.present import ProjectDeps


@cache
def projects() -> DynamoProjects:
    """The projects and budgets of this deployment. The first call binds their table, which transactions over budgets
    need."""
    store = DynamoProjects()
    store.bind(LibraryTable.read().name)
    bind_events()
    return store


@cache
def project_deps() -> ProjectDeps:
    """The dependencies of the requests about projects."""
    from atelier.projects.present import ProjectDeps
    from atelier.wiring.idempotency import idempotency_keys
    from atelier.wiring.ledger import quota_of, wallets

    return ProjectDeps(projects(), idempotency_keys(), wallets(), partial(quota_of, "projects"))
