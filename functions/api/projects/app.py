"""Projects, budgets and alerts over HTTP."""

from __future__ import annotations

from functools import partial

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.projects.model import WORKSPACE
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
)
from atelier.wiring import auth, projects

api = Api("projects", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="projects.read")
manage = partial(api.route, permission="projects.manage", errors=(404, 409, 503))


@read("/api/projects", query=ProjectQuery, answer=ProjectList)
def list_projects(request: Request[Empty]) -> Response:
    """List the workspace's projects, newest first."""
    return Response(projects.list_projects(request.caller.workspace_id, request.query))


@manage("POST", "/api/projects", body=CreateProjectRequest, answer=ProjectEnvelope, statuses=(201,))
def create_project(request: Request[CreateProjectRequest]) -> Response:
    """Create a project, with a budget or without."""
    project, replayed = projects.create(request.caller, request.body, request.idempotency_key, request.now)
    return created(f"/api/projects/{project.id}", ProjectEnvelope(project=project), replayed=replayed)


@read("/api/projects/<project_id>", answer=ProjectEnvelope, errors=(404,))
def get_project(request: Request[Empty]) -> Response:
    """Get one project, and what it has cost."""
    project = projects.read(request.caller.workspace_id, request.path_id("project_id", "prj"))
    return Response(ProjectEnvelope(project=project))


@manage("PUT", "/api/projects/<project_id>", body=ChangeProjectRequest, answer=ProjectEnvelope)
def change_project(request: Request[ChangeProjectRequest]) -> Response:
    """Change the fields that the body names: texts, budget, settings, whether the project is archived."""
    project = projects.change(request.caller, request.path_id("project_id", "prj"), request.body, request.now)
    return Response(ProjectEnvelope(project=project))


@manage("DELETE", "/api/projects/<project_id>", statuses=(204,))
def remove_project(request: Request[Empty]) -> Response:
    """Remove a project without generations; any other project can be archived."""
    projects.remove(request.caller.workspace_id, request.path_id("project_id", "prj"))
    return Response(status=204)


@read("/api/projects/<project_id>/alerts", answer=AlertList, errors=(404,))
def list_alerts(request: Request[Empty]) -> Response:
    """List a project's alerts, newest first."""
    return Response(
        projects.list_project_alerts(request.caller.workspace_id, request.path_id("project_id", "prj"), request.now)
    )


@manage("POST", "/api/projects/<project_id>/alerts/<alert_id>/acknowledge", answer=AlertEnvelope)
def acknowledge_alert(request: Request[Empty]) -> Response:
    """Acknowledge an alert of a project; only the first acknowledgement is stored."""
    project_id, alert_id = request.path_id("project_id", "prj"), request.path_id("alert_id", "alr")
    return Response(projects.acknowledge(request.caller.workspace_id, project_id, alert_id, request.now))


@read("/api/settings/budget", permission="budgets.read", answer=BudgetView)
def get_budget(request: Request[Empty]) -> Response:
    """Get the workspace's budget of this month, and what was spent of it."""
    return Response(projects.workspace_budget(request.caller.workspace_id, request.now))


@manage("PUT", "/api/settings/budget", permission="budgets.manage", body=BudgetRequest, answer=BudgetView)
def put_budget(request: Request[BudgetRequest]) -> Response:
    """Set the workspace's monthly budget; null removes the limit."""
    limit, thresholds = request.body.budget_microusd, request.body.settings.alert_thresholds
    return Response(projects.change_workspace_budget(request.caller.workspace_id, limit, thresholds, request.now))


@read("/api/settings/budget/alerts", permission="budgets.read", answer=AlertList)
def list_workspace_alerts(request: Request[Empty]) -> Response:
    """List the workspace's alerts, newest first."""
    return Response(projects.list_alerts(request.caller.workspace_id, WORKSPACE, request.now))


@manage("POST", "/api/settings/budget/alerts/<alert_id>/acknowledge", permission="budgets.manage", answer=AlertEnvelope)
def acknowledge_workspace_alert(request: Request[Empty]) -> Response:
    """Acknowledge an alert of the workspace."""
    alert_id = request.path_id("alert_id", "alr")
    return Response(projects.acknowledge(request.caller.workspace_id, WORKSPACE, alert_id, request.now))
