"""People, workspaces, updates to people and what moderation refused, for administrators of the platform."""

from __future__ import annotations

from functools import partial

from atelier import cursors
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.identity.directory import sign_out_user as sign_out
from atelier.identity.directory import suspend_user as suspend
from atelier.identity.directory import unsuspend_user as unsuspend
from atelier.identity.directory_schemas import (
    AdminUserDetails,
    AdminUserEnvelope,
    AdminUserList,
    PlatformRoleRequest,
    SuspendRequest,
    UserQuery,
    admin_user_envelope,
)
from atelier.identity.platform_roles import change_platform_role
from atelier.identity.show_users import list_users as list_users_of
from atelier.identity.show_users import show_user
from atelier.moderation.queue import decide
from atelier.moderation.queue_schemas import (
    CURSOR_PREFIX,
    DecideRequest,
    FlaggedItemEnvelope,
    FlaggedItemList,
    ModerationQuery,
    flagged_item,
    flagged_list,
)
from atelier.notifications import manage_updates as managing
from atelier.notifications.update_schemas import (
    ScheduleRequest,
    UpdateDetails,
    UpdateEnvelope,
    UpdateList,
    UpdateListQuery,
    UpdateRequest,
    request_key,
    update_details,
    update_envelope,
    update_list,
)
from atelier.wiring import auth, directory, identity, moderation_queue, notifications
from atelier.workspaces.admin_view import AdminWorkspaceDetails, show_workspace

api = Api("admin", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="platform.read")
act = partial(api.route, permission="platform.act", step_up=True, answer=AdminUserEnvelope, errors=(404, 409, 503))
USER = "/api/admin/users/<user_id>"
UPDATES, UPDATE = "/api/admin/updates", "/api/admin/updates/<update_id>"
act_on_update = partial(
    api.route, permission="platform.act", step_up=True, answer=UpdateEnvelope, errors=(404, 409, 503)
)


@read("/api/admin/users", query=UserQuery, answer=AdminUserList)
def list_users(request: Request[Empty]) -> Response:
    """List users by address, or those whose address begins with `email`."""
    return Response(list_users_of(request.query, deps=directory.deps()))


@read(USER, answer=AdminUserDetails, errors=(404,))
def get_user(request: Request[Empty]) -> Response:
    """Get a user with tier, sessions and workspaces."""
    user_id = request.path_id("user_id", "usr")
    return Response(show_user(user_id, accounts=identity.wallet_accounts(), deps=directory.deps(), now=request.now))


@act("POST", f"{USER}/suspend", body=SuspendRequest)
def suspend_user(request: Request[SuspendRequest]) -> Response:
    """Suspend an account: its sessions and API tokens end at once. An access token may still read for ten minutes."""
    user_id, reason = request.path_id("user_id", "usr"), request.body.reason
    record = suspend(user_id, reason, request.origin, deps=directory.deps(), now=request.now)
    return Response(admin_user_envelope(record))


@act("POST", f"{USER}/unsuspend")
def unsuspend_user(request: Request[Empty]) -> Response:
    """Let the person sign in again; API tokens are accepted again too."""
    user_id = request.path_id("user_id", "usr")
    return Response(admin_user_envelope(unsuspend(user_id, request.origin, deps=directory.deps(), now=request.now)))


@act("POST", f"{USER}/sign-out")
def sign_out_user(request: Request[Empty]) -> Response:
    """End all sessions of a user."""
    user_id = request.path_id("user_id", "usr")
    return Response(admin_user_envelope(sign_out(user_id, request.origin, deps=directory.deps(), now=request.now)))


@act("PUT", f"{USER}/platform-role", body=PlatformRoleRequest)
def put_platform_role(request: Request[PlatformRoleRequest]) -> Response:
    """Make a user an administrator of the platform, or take the role away; never one's own or the last one's."""
    user_id, role = request.path_id("user_id", "usr"), request.body.role
    change_platform_role(user_id, role, request.origin, deps=identity.platform_role_deps(), now=request.now)
    return Response(admin_user_envelope(directory.deps().directory.record(user_id)))


@read("/api/admin/workspaces/<workspace_id>", answer=AdminWorkspaceDetails, errors=(404,))
def get_workspace(request: Request[Empty]) -> Response:
    """Get a workspace with tier, quotas and members."""
    # Imported here, because it composes five contexts, and no other route needs it.
    from atelier.wiring import workspaces

    workspace_id = request.path_id("workspace_id", "wsp")
    return Response(show_workspace(workspace_id, deps=workspaces.admin_view_deps(), now=request.now))


@read(UPDATES, query=UpdateListQuery, answer=UpdateList)
def list_updates(request: Request[Empty]) -> Response:
    """List the updates, newest first."""
    return Response(update_list(request.query, store=notifications.updates()))


@act_on_update("POST", UPDATES, body=UpdateRequest, statuses=(201,), errors=(409, 503))
def create_update(request: Request[UpdateRequest]) -> Response:
    """Write the draft of an update: to one user, to a segment, or to everybody."""
    key, deps = request_key(request.idempotency_key, request.body), notifications.manage_deps()
    update, replayed = managing.create_update(request.body.content, key, request.origin, deps=deps, now=request.now)
    return created(f"{UPDATES}/{update.id}", update_envelope(update), replayed=replayed)


@read(UPDATE, answer=UpdateDetails, errors=(404,))
def get_update(request: Request[Empty]) -> Response:
    """Get an update, with how many people got, read and acknowledged it."""
    return Response(update_details(request.path_id("update_id", "upd"), store=notifications.updates()))


@act_on_update("PUT", UPDATE, body=UpdateRequest)
def change_update(request: Request[UpdateRequest]) -> Response:
    """Replace what a draft says."""
    update_id, content = request.path_id("update_id", "upd"), request.body.content
    deps = notifications.manage_deps()
    update = managing.change_update(update_id, content, request.origin, deps=deps, now=request.now)
    return Response(update_envelope(update))


@act_on_update("DELETE", UPDATE, answer=None, statuses=(204,))
def delete_update(request: Request[Empty]) -> Response:
    """Delete a draft."""
    update_id, deps = request.path_id("update_id", "upd"), notifications.manage_deps()
    managing.delete_update(update_id, request.origin, deps=deps, now=request.now)
    return Response(status=204)


@act_on_update("POST", f"{UPDATE}/schedule", body=ScheduleRequest)
def schedule_update(request: Request[ScheduleRequest]) -> Response:
    """Have an update sent at a time; one that waits is moved to it."""
    update_id, deps = request.path_id("update_id", "upd"), notifications.manage_deps()
    update = managing.schedule_update(update_id, request.body.at, request.origin, deps=deps, now=request.now)
    return Response(update_envelope(update))


@act_on_update("POST", f"{UPDATE}/send")
def send_update(request: Request[Empty]) -> Response:
    """Send an update now; it begins within a minute. Repeating it changes nothing."""
    update_id, deps = request.path_id("update_id", "upd"), notifications.manage_deps()
    update = managing.schedule_update(update_id, None, request.origin, deps=deps, now=request.now)
    return Response(update_envelope(update))


@act_on_update("POST", f"{UPDATE}/cancel")
def cancel_update(request: Request[Empty]) -> Response:
    """Send an update to nobody more, also while it is being sent; who has it keeps it."""
    update_id, deps = request.path_id("update_id", "upd"), notifications.manage_deps()
    return Response(update_envelope(managing.cancel_update(update_id, request.origin, deps=deps, now=request.now)))


@read("/api/admin/moderation", query=ModerationQuery, answer=FlaggedItemList)
def list_flagged(request: Request[Empty]) -> Response:
    """List what moderation refused, by person, day and reason; those that are open."""
    query: ModerationQuery = request.query
    after = cursors.decode(query.cursor, CURSOR_PREFIX)
    return Response(flagged_list(moderation_queue.queue().page(after, query.limit, only_open=not query.decided)))


@read("/api/admin/moderation/<item_id>", answer=FlaggedItemEnvelope, errors=(404,))
def get_flagged(request: Request[Empty]) -> Response:
    """Get an item of the moderation queue."""
    return Response(flagged_item(moderation_queue.queue().get(request.path_id("item_id", "mod"))))


@api.route(
    "POST",
    "/api/admin/moderation/<item_id>/decide",
    permission="platform.act",
    step_up=True,
    body=DecideRequest,
    answer=FlaggedItemEnvelope,
    errors=(404, 409, 503),
)
def decide_flagged(request: Request[DecideRequest]) -> Response:
    """Decide an item: uphold or release the refusals, or uphold them and suspend the person."""
    id, body, deps = request.path_id("item_id", "mod"), request.body, moderation_queue.decide_deps()
    return Response(flagged_item(decide(id, body.decision, body.reason, request.origin, deps=deps, now=request.now)))
