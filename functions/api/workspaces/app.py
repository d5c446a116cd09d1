"""Organisations and their members over HTTP."""

from __future__ import annotations

from functools import partial

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.wiring import auth
from atelier.wiring.workspaces import manage_deps, members, workspaces
from atelier.workspaces import manage
from atelier.workspaces.schemas import (
    ChangeWorkspaceRequest,
    CreateWorkspaceRequest,
    MemberList,
    WorkspaceEnvelope,
    WorkspaceList,
    member_list,
    workspace_envelope,
    workspace_list,
)

api = Api("workspaces", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", errors=(404,))
change = partial(api.route, errors=(404, 409, 503))


@api.route("GET", "/api/workspaces", permission="account.read", answer=WorkspaceList)
def list_workspaces(request: Request[Empty]) -> Response:
    """List the workspaces of which you are a member."""
    found = manage.list_workspaces(request.caller.user_id, store=workspaces(), now=request.now)
    return Response(workspace_list(found))


@api.route(
    "POST",
    "/api/workspaces",
    permission="account.manage",
    body=CreateWorkspaceRequest,
    answer=WorkspaceEnvelope,
    statuses=(201,),
    errors=(409, 503),
)
def create_workspace(request: Request[CreateWorkspaceRequest]) -> Response:
    """Create an organisation; you are its owner."""
    new = request.body.new(request.caller.user_id, request.idempotency_key)
    made, replayed = manage.create_organization(new, deps=manage_deps(), now=request.now)
    return created(f"/api/workspaces/{made.id}", workspace_envelope(made, "owner"), replayed=replayed)


@read("/api/workspaces/<workspace_id>", permission="workspace.read", answer=WorkspaceEnvelope)
def get_workspace(request: Request[Empty]) -> Response:
    """Get one workspace."""
    return Response(workspace_envelope(workspaces().profile(request.caller.workspace_id), request.caller.role))


@change(
    "PUT",
    "/api/workspaces/<workspace_id>",
    permission="workspace.manage",
    body=ChangeWorkspaceRequest,
    answer=WorkspaceEnvelope,
)
def change_workspace(request: Request[ChangeWorkspaceRequest]) -> Response:
    """Change the fields that the body names: name, short name, avatar, settings."""
    caller = request.caller
    after = manage.change_workspace(caller.workspace_id, request.body.change, deps=manage_deps(), now=request.now)
    return Response(workspace_envelope(after, caller.role))


@change(
    "DELETE",
    "/api/workspaces/<workspace_id>",
    permission="workspace.delete",
    answer=WorkspaceEnvelope,
    step_up="always",
)
def delete_workspace(request: Request[Empty]) -> Response:
    """Delete an organisation. Its owner can restore it for 14 days; for everybody else it is gone at once."""
    caller = request.caller
    deleted = manage.delete_organization(caller.workspace_id, store=workspaces(), now=request.now)
    return Response(workspace_envelope(deleted, caller.role))


@change("POST", "/api/workspaces/<workspace_id>/restore", permission="workspace.restore", answer=WorkspaceEnvelope)
def restore_workspace(request: Request[Empty]) -> Response:
    """Restore a deleted organisation."""
    caller = request.caller
    restored = manage.restore_organization(caller.workspace_id, store=workspaces(), now=request.now)
    return Response(workspace_envelope(restored, caller.role))


@read("/api/workspaces/<workspace_id>/members", permission="members.read", answer=MemberList)
def list_members(request: Request[Empty]) -> Response:
    """List the members of an organisation, in the order in which they joined."""
    return Response(member_list(members().members(request.caller.workspace_id)))
