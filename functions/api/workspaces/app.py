"""Organisations, their members and invitations over HTTP."""

from __future__ import annotations

from functools import partial

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.identity.permissions import Role
from atelier.wiring import auth
from atelier.wiring.workspaces import actor, invitation_deps, manage_deps, usage_deps, workspaces
from atelier.wiring.workspaces import invitations as invitation_store
from atelier.wiring.workspaces import members as member_store
from atelier.workspaces import invitations, manage, members
from atelier.workspaces.schemas import (
    ChangeMemberRequest,
    ChangeWorkspaceRequest,
    CreateWorkspaceRequest,
    InvitationEnvelope,
    InvitationList,
    InviteRequest,
    MemberEnvelope,
    MemberList,
    OpenedInvitationEnvelope,
    QuotasView,
    TransferRequest,
    WorkspaceEnvelope,
    WorkspaceList,
    invitation_list,
    invitation_view,
    member_envelope,
    member_list,
    opened_invitation,
    usage_view,
    workspace_envelope,
    workspace_list,
)
from atelier.workspaces.usage import read_usage

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
    made, replayed = manage.create_organization(new, request.origin, deps=manage_deps(), now=request.now)
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
    caller, change = request.caller, request.body.change
    after = manage.change_workspace(
        caller.workspace_id, change, request.origin, has_mfa=caller.has_mfa, deps=manage_deps(), now=request.now
    )
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
    deleted = manage.delete_organization(caller.workspace_id, request.origin, store=workspaces(), now=request.now)
    return Response(workspace_envelope(deleted, caller.role))


@change("POST", "/api/workspaces/<workspace_id>/restore", permission="workspace.restore", answer=WorkspaceEnvelope)
def restore_workspace(request: Request[Empty]) -> Response:
    """Restore a deleted organisation."""
    caller = request.caller
    restored = manage.restore_organization(caller.workspace_id, request.origin, store=workspaces(), now=request.now)
    return Response(workspace_envelope(restored, caller.role))


@read("/api/workspaces/<workspace_id>/usage", permission="workspace.read", answer=QuotasView)
def get_usage(request: Request[Empty]) -> Response:
    """Get the quotas of the workspace's tier, and how much of each is used."""
    return Response(usage_view(read_usage(request.caller.workspace_id, deps=usage_deps(), now=request.now)))


@read("/api/workspaces/<workspace_id>/members", permission="members.read", answer=MemberList)
def list_members(request: Request[Empty]) -> Response:
    """List the members of an organisation, in the order in which they joined."""
    return Response(member_list(member_store().members(request.caller.workspace_id)))


@change(
    "PUT",
    "/api/workspaces/<workspace_id>/members/<user_id>",
    permission="members.manage",
    body=ChangeMemberRequest,
    answer=MemberEnvelope,
)
def change_member(request: Request[ChangeMemberRequest]) -> Response:
    """Give a member another role. Only owners change who is an owner, and one owner always remains."""
    by, role, user_id = (
        actor(request.caller, request.origin),
        Role(request.body.role),
        request.path_id("user_id", "usr"),
    )
    workspace_id = request.caller.workspace_id
    member = members.change_role(workspace_id, user_id, role, actor=by, store=member_store(), now=request.now)
    return Response(member_envelope(member))


@change("DELETE", "/api/workspaces/<workspace_id>/members/<user_id>", permission="members.manage", statuses=(204,))
def remove_member(request: Request[Empty]) -> Response:
    """Remove a member; the member's next request, and that of the member's tokens, is refused."""
    by, user_id = actor(request.caller, request.origin), request.path_id("user_id", "usr")
    members.remove_member(request.caller.workspace_id, user_id, actor=by, store=member_store(), now=request.now)
    return Response(status=204)


@change("POST", "/api/workspaces/<workspace_id>/leave", permission="members.leave", statuses=(204,))
def leave_workspace(request: Request[Empty]) -> Response:
    """Leave an organisation. Its last owner cannot."""
    by = actor(request.caller, request.origin)
    members.leave(request.caller.workspace_id, actor=by, store=member_store(), now=request.now)
    return Response(status=204)


@change(
    "POST",
    "/api/workspaces/<workspace_id>/transfer",
    permission="workspace.transfer",
    body=TransferRequest,
    answer=WorkspaceEnvelope,
    step_up="always",
)
def transfer_workspace(request: Request[TransferRequest]) -> Response:
    """Make another member the owner in your place; you become an admin."""
    workspace_id, heir, by = request.caller.workspace_id, request.body.user_id, actor(request.caller, request.origin)
    members.transfer_ownership(workspace_id, heir, actor=by, store=member_store(), now=request.now)
    return Response(workspace_envelope(workspaces().profile(workspace_id), "admin"))


@read("/api/workspaces/<workspace_id>/invitations", permission="members.manage", answer=InvitationList)
def list_invitations(request: Request[Empty]) -> Response:
    """List the open invitations, newest first."""
    return Response(invitation_list(invitation_store().open_invitations(request.caller.workspace_id, request.now)))


@change(
    "POST",
    "/api/workspaces/<workspace_id>/invitations",
    permission="members.manage",
    body=InviteRequest,
    answer=InvitationEnvelope,
    statuses=(201,),
)
def invite_member(request: Request[InviteRequest]) -> Response:
    """Invite somebody by mail. The invitation is valid for 7 days, and accepted once."""
    new = request.body.new(request.caller.workspace_id, request.idempotency_key)
    by = actor(request.caller, request.origin)
    made, replayed = invitations.invite(new, actor=by, deps=invitation_deps(), now=request.now)
    location = f"/api/workspaces/{made.workspace_id}/invitations/{made.id}"
    return created(location, InvitationEnvelope(invitation=invitation_view(made)), replayed=replayed)


@change(
    "DELETE",
    "/api/workspaces/<workspace_id>/invitations/<invitation_id>",
    permission="members.manage",
    statuses=(204,),
)
def revoke_invitation(request: Request[Empty]) -> Response:
    """Revoke an invitation; its link does nothing any more."""
    by, invitation_id = actor(request.caller, request.origin), request.path_id("invitation_id", "inv")
    workspace_id = request.caller.workspace_id
    invitations.revoke(workspace_id, invitation_id, actor=by, deps=invitation_deps(), now=request.now)
    return Response(status=204)


@change(
    "POST",
    "/api/workspaces/<workspace_id>/invitations/<invitation_id>/resend",
    permission="members.manage",
    answer=InvitationEnvelope,
)
def resend_invitation(request: Request[Empty]) -> Response:
    """Send the mail of an invitation again; it is valid for another 7 days."""
    by, invitation_id = actor(request.caller, request.origin), request.path_id("invitation_id", "inv")
    workspace_id, deps = request.caller.workspace_id, invitation_deps()
    sent = invitations.send_again(workspace_id, invitation_id, actor=by, deps=deps, now=request.now)
    return Response(InvitationEnvelope(invitation=invitation_view(sent)))


@read("/api/invitations/<token>", permission="account.read", answer=OpenedInvitationEnvelope)
def read_invitation(request: Request[Empty]) -> Response:
    """Read an invitation by the token of its link."""
    token, user_id = request.path["token"], request.caller.user_id
    return Response(
        opened_invitation(invitations.read_invitation(token, user_id, deps=invitation_deps(), now=request.now))
    )


@change("POST", "/api/invitations/<token>/accept", permission="account.manage", answer=WorkspaceEnvelope)
def accept_invitation(request: Request[Empty]) -> Response:
    """Accept an invitation: you become a member of the organisation."""
    token, user_id, deps = request.path["token"], request.caller.user_id, invitation_deps()
    joined, role = invitations.accept(token, user_id, request.origin, deps=deps, now=request.now)
    return Response(workspace_envelope(joined, role.value))
