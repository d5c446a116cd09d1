"""Projects, budgets and alerts, composed."""

from __future__ import annotations

from datetime import datetime

from atelier import cursors
from atelier.caller import Caller
from atelier.projects import alert as alerting
from atelier.projects import manage
from atelier.projects.schemas import (
    AlertEnvelope,
    AlertList,
    BudgetView,
    ChangeProjectRequest,
    CreateProjectRequest,
    ProjectList,
    ProjectQuery,
    ProjectView,
    alert_view,
    budget_view,
    project_view,
)
from atelier.wiring.budgets import projects
from atelier.wiring.idempotency import idempotency_keys
from atelier.wiring.ledger import wallets


def create(
    caller: Caller, body: CreateProjectRequest, idempotency_key: str | None, now: datetime
) -> tuple[ProjectView, bool]:
    """A new project of a verified caller's workspace, and whether it had been created before under the same key."""
    manage.require_budget_permission(caller, changes_budget=body.changes_budget)
    new = body.new(caller.workspace_id, caller.user_id, idempotency_key)
    made, replayed = manage.create_project(new, projects=projects(), keys=idempotency_keys(), now=now)
    return project_view(*made), replayed


def read(workspace_id: str, project_id: str) -> ProjectView:
    """One project."""
    return project_view(*manage.read_project(workspace_id, project_id, projects=projects()))


def change(caller: Caller, project_id: str, body: ChangeProjectRequest, now: datetime) -> ProjectView:
    """Change a project for a verified caller. Raises Forbidden when the role does not allow the change of its
    budget."""
    manage.require_budget_permission(caller, changes_budget=body.changes_budget)
    after = manage.change_project(
        caller.workspace_id, project_id, lambda seen: body.change(seen, now), projects=projects(), now=now
    )
    return project_view(*after)


def remove(workspace_id: str, project_id: str) -> None:
    """Remove a project that was never used."""
    manage.remove_project(workspace_id, project_id, projects=projects())


def list_projects(workspace_id: str, query: ProjectQuery) -> ProjectList:
    """One page of projects, newest first."""
    after = cursors.decode(query.cursor, "prj_")
    found, next_id = manage.list_projects(workspace_id, query.archived, after, query.limit, projects=projects())
    items = [project_view(project, budget) for project, budget in found]
    return ProjectList(items=items, next_cursor=cursors.encode(next_id))


def list_project_alerts(workspace_id: str, project_id: str, now: datetime) -> AlertList:
    """A project's alerts."""
    manage.read_project(workspace_id, project_id, projects=projects())
    return list_alerts(workspace_id, project_id, now)


def list_alerts(workspace_id: str, name: str, now: datetime) -> AlertList:
    """A budget's alerts; alerts that are due and not raised yet are raised first."""
    alerts = alerting.list_alerts(workspace_id, name, projects=projects(), now=now)
    return AlertList(items=[alert_view(alert) for alert in alerts])


def acknowledge(workspace_id: str, name: str, alert_id: str, now: datetime) -> AlertEnvelope:
    """Acknowledge an alert of a budget. Only the first acknowledgement is stored."""
    return AlertEnvelope(alert=alert_view(projects().acknowledge(workspace_id, name, alert_id, now)))


def workspace_budget(workspace_id: str, now: datetime) -> BudgetView:
    """The workspace's budget of this month."""
    return budget_view(manage.workspace_budget(workspace_id, projects=projects(), now=now))


def change_workspace_budget(
    workspace_id: str, limit_microusd: int | None, thresholds: list[int], now: datetime
) -> BudgetView:
    """Set the workspace's monthly budget, or remove the limit with None."""
    budget = manage.change_workspace_budget(
        workspace_id, limit_microusd, tuple(thresholds), projects=projects(), wallets=wallets(), now=now
    )
    return budget_view(budget)
