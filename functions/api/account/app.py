"""The caller's account and notifications, and the workspace's API tokens; an API token has no access to any of them."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.identity import refresh_cookie
from atelier.identity.permissions import Role
from atelier.identity.profile_schemas import DeletionView, ProfileRequest, ProfileView, RestoreRequest, profile_view
from atelier.identity.schemas import AccountView, SessionList, SignInView, account_view, session_list, sign_in_view
from atelier.identity.token_schemas import IssuedTokenView, IssueTokenRequest, TokenList, TokenQuery, issued_token_view
from atelier.notifications import change as changes
from atelier.notifications.list_notifications import list_notifications as list_notifications_of
from atelier.notifications.preferences import preferences_of, save_preferences
from atelier.notifications.schemas import (
    NotificationEnvelope,
    NotificationList,
    NotificationPreferencesRequest,
    NotificationPreferencesView,
    NotificationQuery,
    UnreadCountView,
    UnsubscribeQuery,
    notification_envelope,
    preferences_view,
)
from atelier.notifications.unsubscribe import unsubscribe as unsubscribe_by
from atelier.wiring import feeds, identity, mails, notifications, profiles, tokens
from atelier.wiring.auth import gate, limiter

api = Api("account", gate=gate, limiter=limiter)
handler = api.handler
NOTIFICATIONS = "/api/notifications"
UNSUBSCRIBE = f"{NOTIFICATIONS}/unsubscribe"
read = partial(api.route, "GET", permission="account.read", tag="notifications")
act = partial(
    api.route, "POST", permission="account.manage", tag="notifications", answer=NotificationEnvelope, errors=(404,)
)


@api.route("GET", "/api/auth/me", permission="account.read", answer=AccountView)
def me(request: Request[object]) -> Response:
    """The caller's account, and the workspaces of which it is a member."""
    return Response(account_view(identity.account(request.caller.user_id, request.now)))


@api.route("GET", "/api/users/me", permission="account.read", answer=ProfileView)
def get_profile(request: Request[Empty]) -> Response:
    """The caller's profile."""
    return Response(profile_view(profiles.user(request.caller.user_id)))


@api.route("PUT", "/api/users/me", permission="account.manage", body=ProfileRequest, answer=ProfileView)
def change_profile(request: Request[ProfileRequest]) -> Response:
    """Change the fields of the profile that the body names."""
    personal, changes = str(request.claims["workspace_id"]), request.body.changes
    user = profiles.change(request.caller.user_id, personal, changes, request.origin, request.now)
    return Response(profile_view(user))


@api.route("DELETE", "/api/users/me", permission="account.manage", step_up="always", answer=DeletionView, errors=(409,))
def delete_account(request: Request[Empty]) -> Response:
    """Request the deletion of the account: all its sessions end, and in 14 days it is erased, unless it is restored."""
    due_at = profiles.request_deletion(request.caller.user_id, request.origin, request.now)
    return Response(DeletionView(deletion_due_at=due_at), cookies=(refresh_cookie.expired_cookie(),))


@api.route("POST", "/api/users/me/restore", body=RestoreRequest, answer=SignInView, errors=(401, 403))
def restore_account(request: Request[RestoreRequest]) -> Response:
    """Take back the account's deletion by the ticket of a log-in, and open its session."""
    refresh_cookie.require_own_origin(request.headers.get("origin"), identity.allows_origin)
    result = profiles.restore(request.body.restore_ticket, request.origin, request.now)
    delivery = request.body.token_delivery
    return Response(sign_in_view(result, delivery), cookies=refresh_cookie.cookies_of(result, delivery))


@api.route("GET", "/api/auth/sessions", permission="account.read", answer=SessionList)
def list_sessions(request: Request[Empty]) -> Response:
    """List the caller's signed-in devices, the one that was used last first."""
    sessions = identity.list_sessions(request.caller, request.now)
    return Response(session_list(sessions, request.caller.session_id))


@api.route("DELETE", "/api/auth/sessions", permission="account.manage", statuses=(204,))
def revoke_other_sessions(request: Request[Empty]) -> Response:
    """Sign out all other devices. Their access tokens end within ten minutes, and change nothing from now on."""
    identity.revoke_other_sessions(request.caller, request.origin, request.now)
    return Response(status=204)


@api.route("DELETE", "/api/auth/sessions/<session_id>", permission="account.manage", statuses=(204,), errors=(404,))
def revoke_session(request: Request[Empty]) -> Response:
    """Sign out one device. Repeating it is no error."""
    identity.revoke_session(request.caller, request.path_id("session_id", "ses"), request.origin, request.now)
    return Response(status=204)


@api.route("GET", "/api/tokens", permission="tokens.read", tag="tokens", query=TokenQuery, answer=TokenList)
def list_tokens(request: Request[Empty]) -> Response:
    """List the workspace's API tokens, newest first, without their secret values."""
    query: TokenQuery = request.query
    return Response(tokens.list_tokens(request.caller.workspace_id, query.cursor, query.limit))


@api.route(
    "POST",
    "/api/tokens",
    permission="tokens.manage",
    tag="tokens",
    body=IssueTokenRequest,
    answer=IssuedTokenView,
    statuses=(201,),
    errors=(409,),
)
def issue_token(request: Request[IssueTokenRequest]) -> Response:
    """Create an API token for a program; only this response shows it."""
    caller = request.caller
    new = request.body.new_token(caller.workspace_id, caller.user_id, Role(caller.role), request.idempotency_key)
    issued = tokens.issue(new, request.origin, request.now)
    location, replayed = f"/api/tokens/{issued.token.id}", issued.text is None
    return created(location, issued_token_view(issued), replayed=replayed)


@api.route("DELETE", "/api/tokens/<token_id>", permission="tokens.manage", tag="tokens", statuses=(204,), errors=(404,))
def revoke_token(request: Request[Empty]) -> Response:
    """Revoke an API token: your own, or any token if you administer the workspace. It ends at once."""
    tokens.revoke(request.caller, request.path_id("token_id", "tok"), request.origin, request.now)
    return Response(status=204)


@read(NOTIFICATIONS, query=NotificationQuery, answer=NotificationList)
def list_notifications(request: Request[Empty]) -> Response:
    """List your notifications, newest first, with the updates of the platform."""
    store = notifications.store()
    return Response(list_notifications_of(request.caller.user_id, request.query, store=store, now=request.now))


@read(f"{NOTIFICATIONS}/unread-count", answer=UnreadCountView)
def count_unread(request: Request[Empty]) -> Response:
    """How many of your notifications are unread."""
    return Response(UnreadCountView(unread_count=notifications.store().unread(request.caller.user_id)))


@act(f"{NOTIFICATIONS}/<notification_id>/read")
def read_notification(request: Request[Empty]) -> Response:
    """Mark a notification as read. Repeating it changes nothing."""
    return Response(notification_envelope(changes.read(*_addressed(request), **_deps(request))))


@act(f"{NOTIFICATIONS}/<notification_id>/acknowledge")
def acknowledge_notification(request: Request[Empty]) -> Response:
    """Acknowledge a notification: what it wants is done. It is read then, too."""
    return Response(notification_envelope(changes.acknowledge(*_addressed(request), **_deps(request))))


@act(f"{NOTIFICATIONS}/<notification_id>/archive", errors=(404, 409))
def archive_notification(request: Request[Empty]) -> Response:
    """Take a notification out of the list; one that wants something done is acknowledged first."""
    return Response(notification_envelope(changes.archive(*_addressed(request), **_deps(request))))


@act(f"{NOTIFICATIONS}/read-all", answer=UnreadCountView, errors=())
def read_all_notifications(request: Request[Empty]) -> Response:
    """Mark all notifications as read. What comes meanwhile may stay unread."""
    unread = changes.read_all(request.caller.user_id, **_deps(request))
    return Response(UnreadCountView(unread_count=unread))


@read(f"{NOTIFICATIONS}/preferences", answer=NotificationPreferencesView)
def get_preferences(request: Request[Empty]) -> Response:
    """Which notifications you get by which channels, your quiet hours and digest."""
    return Response(preferences_view(preferences_of(request.caller.user_id, store=notifications.store())))


@api.route(
    "PUT",
    f"{NOTIFICATIONS}/preferences",
    permission="account.manage",
    tag="notifications",
    body=NotificationPreferencesRequest,
    answer=NotificationPreferencesView,
)
def put_preferences(request: Request[NotificationPreferencesRequest]) -> Response:
    """Replace your preferences. A kind that is left out is as the default."""
    body, store = request.body, notifications.store()
    saved = save_preferences(request.caller.user_id, body.channels, body.quiet, body.digest, store=store)
    return Response(preferences_view(saved))


@api.route("GET", UNSUBSCRIBE, tag="notifications", query=UnsubscribeQuery, statuses=(302,))
def show_unsubscribe(request: Request[Empty]) -> Response:
    """Go to the page that asks whether mails about notifications should end; nothing changes yet."""
    return Response(status=302, headers={"Location": f"/unsubscribe?{urlencode({'token': request.query.token})}"})


@api.route("POST", UNSUBSCRIBE, tag="notifications", query=UnsubscribeQuery, statuses=(204,), raw_body=True)
def unsubscribe(request: Request[Empty]) -> Response:
    """End the mails about notifications by the link in one of them (RFC 8058); other channels and mails stay."""
    unsubscribe_by(request.query.token, key=mails.link_key(), store=notifications.store())
    return Response(status=204)


def _addressed(request: Request[Empty]) -> tuple[str, str]:
    return request.caller.user_id, request.path_id("notification_id", "ntf")


def _deps(request: Request[Empty]) -> Any:
    return {"store": notifications.store(), "feeds": feeds.feeds(), "now": request.now}
