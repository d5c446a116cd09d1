"""Answer the requests about projects, budgets and alerts: each function calls a use case and builds its view."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier import cursors
from atelier.audit_log.model import Origin
from atelier.caller import Caller
from atelier.catalogue.quotas import Quota
from atelier.dataclass import dataclass
from atelier.idempotency import IdempotencyKeys
from atelier.projects import alert as alerting
from atelier.projects import manage
from atelier.projects.manage import Wallets
from atelier.projects.ports import ProjectStore
from atelier.projects.schemas import (
    AlertEnvelope,
    AlertList,
    BudgetRequest,
    BudgetView,
    ChangeProjectRequest,
    CreateProjectRequest,
    ProjectEnvelope,
    ProjectList,
    ProjectQuery,
    alert_view,
    budget_view,
    project_view,
)


@dataclass(frozen=True, slots=True)
class ProjectDeps:
    """The dependencies of the requests about projects. quota_of(workspace_id, now): the quota of projects."""

    projects: ProjectStore
    keys: IdempotencyKeys
    wallets: Wallets
    quota_of: Callable[[str, datetime], Quota]


def create_project(
    deps: ProjectDeps,
    caller: Caller,
    body: CreateProjectRequest,
    idempotency_key: str | None,
    origin: Origin,
    now: datetime,
) -> tuple[ProjectEnvelope, bool]:
    """A new project of a verified caller's workspace, and whether it had been created before under the same key."""
    manage.require_budget_permission(caller, changes_budget=body.changes_budget)
    new = body.new(caller.workspace_id, caller.user_id, idempotency_key)
    quota = deps.quota_of(caller.workspace_id, now)
    created, replayed = manage.create_project(
        new, projects=deps.projects, keys=deps.keys, quota=quota, origin=origin, now=now
    )
    return ProjectEnvelope(project=project_view(*created)), replayed


def read_project(deps: ProjectDeps, workspace_id: str, project_id: str) -> ProjectEnvelope:
    """One project; raises NotFound."""
    return ProjectEnvelope(project=project_view(*manage.read_project(workspace_id, project_id, projects=deps.projects)))


def change_project(
    deps: ProjectDeps, caller: Caller, project_id: str, body: ChangeProjectRequest, origin: Origin, now: datetime
) -> ProjectEnvelope:
    """Change a project for a verified caller. Raises Forbidden when the role does not allow the change of its budget,
    and what `manage.change_project` raises."""
    manage.require_budget_permission(caller, changes_budget=body.changes_budget)
    after = manage.change_project(
        caller.workspace_id,
        project_id,
        lambda before: body.change(before, now),
        projects=deps.projects,
        quota=lambda: deps.quota_of(caller.workspace_id, now),
        origin=origin,
        now=now,
    )
    return ProjectEnvelope(project=project_view(*after))


def list_projects(deps: ProjectDeps, workspace_id: str, query: ProjectQuery) -> ProjectList:
    """One page of projects, newest first."""
    after = cursors.decode(query.cursor, "prj_")
    found, next_id = manage.list_projects(workspace_id, query.archived, after, query.limit, projects=deps.projects)
    items = [project_view(project, budget) for project, budget in found]
    return ProjectList(items=items, next_cursor=cursors.encode(next_id))


def list_project_alerts(deps: ProjectDeps, workspace_id: str, project_id: str, now: datetime) -> AlertList:
    """A project's alerts, newest first; raises NotFound."""
    manage.read_project(workspace_id, project_id, projects=deps.projects)
    return list_alerts(deps, workspace_id, project_id, now)


def list_alerts(deps: ProjectDeps, workspace_id: str, name: str, now: datetime) -> AlertList:
    """The alerts of a budget, newest first; alerts that are due and not raised yet are raised first."""
    alerts = alerting.list_alerts(workspace_id, name, projects=deps.projects, now=now)
    return AlertList(items=[alert_view(alert) for alert in alerts])


def acknowledge_alert(deps: ProjectDeps, workspace_id: str, name: str, alert_id: str, now: datetime) -> AlertEnvelope:
    """Acknowledge an alert of a budget; only the first acknowledgement is stored. Raises NotFound."""
    return AlertEnvelope(alert=alert_view(deps.projects.acknowledge(workspace_id, name, alert_id, now)))


def workspace_budget(deps: ProjectDeps, workspace_id: str, now: datetime) -> BudgetView:
    """The workspace's budget of this month."""
    return budget_view(manage.workspace_budget(workspace_id, projects=deps.projects, now=now))


def change_workspace_budget(
    deps: ProjectDeps, workspace_id: str, body: BudgetRequest, origin: Origin, now: datetime
) -> BudgetView:
    """Set the workspace's monthly budget, or remove the limit."""
    budget = manage.change_workspace_budget(
        workspace_id,
        body.budget_microusd,
        tuple(body.settings.alert_thresholds),
        projects=deps.projects,
        wallets=deps.wallets,
        origin=origin,
        now=now,
    )
    return budget_view(budget)
