"""Projects, budgets and alerts over HTTP."""

from __future__ import annotations

from functools import partial

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.moves.begin import begin_move
from atelier.moves.read_move import or_where_it_went, read_move
from atelier.moves.schemas import MoveEnvelope, MoveProjectRequest, move_envelope
from atelier.projects import present
from atelier.projects.manage import remove_project as remove_unused_project
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
from atelier.wiring import auth, moves
from atelier.wiring.projects import project_deps, projects

api = Api("projects", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="projects.read")
manage = partial(api.route, permission="projects.manage", errors=(404, 409, 503))


@read("/api/projects", query=ProjectQuery, answer=ProjectList)
def list_projects(request: Request[Empty]) -> Response:
    """List the workspace's projects, newest first."""
    return Response(present.list_projects(project_deps(), request.caller.workspace_id, request.query))


@manage("POST", "/api/projects", body=CreateProjectRequest, answer=ProjectEnvelope, statuses=(201,))
def create_project(request: Request[CreateProjectRequest]) -> Response:
    """Create a project, with a budget or without."""
    new, replayed = present.create_project(
        project_deps(), request.caller, request.body, request.idempotency_key, request.origin, request.now
    )
    return created(f"/api/projects/{new.project.id}", new, replayed=replayed)


@read("/api/projects/<project_id>", answer=ProjectEnvelope, errors=(404,))
def get_project(request: Request[Empty]) -> Response:
    """Get one project, and what it has cost."""
    workspace_id, project_id = request.caller.workspace_id, request.path_id("project_id", "prj")
    read_it = partial(present.read_project, project_deps(), workspace_id, project_id)
    return Response(or_where_it_went(read_it, workspace_id, project_id, moves=moves.moves))


@manage("PUT", "/api/projects/<project_id>", body=ChangeProjectRequest, answer=ProjectEnvelope)
def change_project(request: Request[ChangeProjectRequest]) -> Response:
    """Change the fields that the body names: texts, budget, settings, whether the project is archived."""
    project_id = request.path_id("project_id", "prj")
    deps, caller, body = project_deps(), request.caller, request.body
    return Response(present.change_project(deps, caller, project_id, body, request.origin, request.now))


@manage(
    "POST",
    "/api/projects/<project_id>/move",
    permission="projects.move",
    body=MoveProjectRequest,
    answer=MoveEnvelope,
    statuses=(202,),
)
def move_project(request: Request[MoveProjectRequest]) -> Response:
    """Move a project of your personal workspace, with all that was made for it, into an organisation that you own."""
    project_id, target_id = request.path_id("project_id", "prj"), request.body.workspace_id
    move = begin_move(request.caller, project_id, target_id, request.origin, deps=moves.begin_deps(), now=request.now)
    return Response(move_envelope(move), status=202, headers={"Location": f"/api/projects/{project_id}/move"})


@read("/api/projects/<project_id>/move", answer=MoveEnvelope, errors=(404,))
def get_move(request: Request[Empty]) -> Response:
    """Get how far the move of a project is, and where it goes or went."""
    workspace_id, project_id = request.caller.workspace_id, request.path_id("project_id", "prj")
    return Response(move_envelope(read_move(workspace_id, project_id, moves=moves.moves())))


@manage("DELETE", "/api/projects/<project_id>", statuses=(204,))
def remove_project(request: Request[Empty]) -> Response:
    """Remove a project without generations; any other project can be archived."""
    project_id = request.path_id("project_id", "prj")
    remove_unused_project(request.caller.workspace_id, project_id, projects=projects())
    return Response(status=204)


@read("/api/projects/<project_id>/alerts", answer=AlertList, errors=(404,))
def list_alerts(request: Request[Empty]) -> Response:
    """List a project's alerts, newest first."""
    workspace_id, project_id = request.caller.workspace_id, request.path_id("project_id", "prj")
    return Response(present.list_project_alerts(project_deps(), workspace_id, project_id, request.now))


@manage("POST", "/api/projects/<project_id>/alerts/<alert_id>/acknowledge", answer=AlertEnvelope)
def acknowledge_alert(request: Request[Empty]) -> Response:
    """Acknowledge an alert of a project; only the first acknowledgement is stored."""
    project_id, alert_id = request.path_id("project_id", "prj"), request.path_id("alert_id", "alr")
    workspace_id = request.caller.workspace_id
    return Response(present.acknowledge_alert(project_deps(), workspace_id, project_id, alert_id, request.now))


@read("/api/settings/budget", permission="budgets.read", answer=BudgetView)
def get_budget(request: Request[Empty]) -> Response:
    """Get the workspace's budget of this month, and what was spent of it."""
    return Response(present.workspace_budget(project_deps(), request.caller.workspace_id, request.now))


@manage("PUT", "/api/settings/budget", permission="budgets.manage", body=BudgetRequest, answer=BudgetView)
def put_budget(request: Request[BudgetRequest]) -> Response:
    """Set the workspace's monthly budget; null removes the limit."""
    deps, workspace_id = project_deps(), request.caller.workspace_id
    return Response(present.change_workspace_budget(deps, workspace_id, request.body, request.origin, request.now))


@read("/api/settings/budget/alerts", permission="budgets.read", answer=AlertList)
def list_workspace_alerts(request: Request[Empty]) -> Response:
    """List the workspace's alerts, newest first."""
    return Response(present.list_alerts(project_deps(), request.caller.workspace_id, WORKSPACE, request.now))


@manage("POST", "/api/settings/budget/alerts/<alert_id>/acknowledge", permission="budgets.manage", answer=AlertEnvelope)
def acknowledge_workspace_alert(request: Request[Empty]) -> Response:
    """Acknowledge an alert of the workspace."""
    workspace_id, alert_id = request.caller.workspace_id, request.path_id("alert_id", "alr")
    return Response(present.acknowledge_alert(project_deps(), workspace_id, WORKSPACE, alert_id, request.now))
