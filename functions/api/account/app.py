"""The caller's account, and the workspace's API tokens; an API token itself has no access to the routes of tokens."""

from __future__ import annotations

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.identity import refresh_cookie
from atelier.identity.permissions import Role
from atelier.identity.profile_schemas import DeletionView, ProfileRequest, ProfileView, RestoreRequest, profile_view
from atelier.identity.schemas import AccountView, SessionList, SignInView, account_view, session_list, sign_in_view
from atelier.identity.token_schemas import IssuedTokenView, IssueTokenRequest, TokenList, TokenQuery, issued_token_view
from atelier.wiring import identity, profiles, tokens
from atelier.wiring.auth import gate, limiter

api = Api("account", gate=gate, limiter=limiter)
handler = api.handler


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
