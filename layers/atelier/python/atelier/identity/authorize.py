"""Authorise a verified caller: may this user or API token use this permission in this workspace now?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from atelier.dataclass import dataclass
from atelier.errors import Forbidden, NotFound, Unauthenticated
from atelier.identity.access_tokens import CLOCK_SKEW
from atelier.identity.api_tokens import invalid_token
from atelier.identity.model import PLATFORM_ADMIN, UserStatus
from atelier.identity.permissions import PLATFORM_ACT, PLATFORM_PERMISSIONS, Role, permits
from atelier.identity.scopes import covers
from atelier.identity.step_up import StepUp, StepUpRequired, require_step_up
from atelier.ids import is_id

if TYPE_CHECKING:
    from atelier.identity.access import Access
    from atelier.identity.ports import AccessReads
    from atelier.identity.revocations import RevocationList


@dataclass(frozen=True, slots=True)
class Authorized:
    """A caller who may act in a workspace. `session_id` is None for an API token."""

    user_id: str
    session_id: str | None
    workspace_id: str
    role: Role
    # Only of a program: the id of its API token, and the scopes that restrict the role.
    token_id: str | None = None
    scopes: tuple[str, ...] | None = None
    # Whether the session has proven a second factor; not known of a request that reads no session.
    has_mfa: bool = False


def authorize(
    claims: Mapping[str, Any],
    workspace_id: str | None,
    permission: str,
    *,
    fresh: bool,
    step_up: StepUp = False,
    access_reads: AccessReads,
    revoked: Callable[[], RevocationList] | None = None,
    now: datetime,
) -> Authorized:
    """Check that a verified caller has `permission` in a workspace.

    claims: the authorizer's context. workspace_id: the requested workspace; None = the user's personal one. fresh: read
    the session and the membership as they are now, so that a revocation has effect at once. Without `fresh`, a request
    to the personal workspace relies on the token alone, unless `revoked` has its user. Any other workspace is always
    read afresh: a change of role, a removal or a deletion counts from the next request on. step_up: a factor must have
    been proven a short time ago; the user is then read too, in the same batch, and no API token passes.

    A permission of the platform's administrators is not asked of a workspace, see `_authorize_platform`.

    Raises Unauthenticated, Forbidden, StepUpRequired, or NotFound for a workspace that does not exist or where the
    user is no member."""
    if permission in PLATFORM_PERMISSIONS:
        return _authorize_platform(claims, permission, access_reads=access_reads, now=now)
    if "token_id" in claims:
        if step_up:
            raise Forbidden("An API token may not do this.", permission=permission)
        return _authorize_api_token(claims, workspace_id, permission, access_reads=access_reads, now=now)
    user_id, session_id, personal = str(claims["user_id"]), str(claims["session_id"]), str(claims["workspace_id"])
    _require_unexpired(claims, now)

    workspace_id = personal if workspace_id is None else workspace_id
    if not is_id(workspace_id, "wsp"):
        raise NotFound("There is no such workspace.")

    needs_session = fresh or step_up or workspace_id != personal
    if not needs_session and (revoked is None or not revoked().includes(user_id, now)):
        _require_permission(Role.OWNER, permission)
        return Authorized(user_id, session_id, workspace_id, Role.OWNER)

    access = access_reads.session_access(
        user_id, session_id, workspace_id, personal=workspace_id == personal, with_user=bool(step_up)
    )
    session, user = access.session, access.user
    if session is None or not session.is_live(now) or (step_up and user is None):
        raise Unauthenticated("The session has ended. Log in again.")
    if access.role is None or (workspace_id != personal and not access.workspace_exists_for(permission)):
        raise NotFound("There is no such workspace.")
    _require_permission(access.role, permission)
    _require_mfa(access, has_second_factor=session.mfa_at is not None)
    if user is not None:
        require_step_up(session, user, step_up, now)
    return Authorized(user_id, session_id, workspace_id, access.role, has_mfa=session.mfa_at is not None)


def _authorize_platform(
    claims: Mapping[str, Any], permission: str, *, access_reads: AccessReads, now: datetime
) -> Authorized:
    """Check that a verified caller is an administrator of the platform, in a session that has proven a second factor;
    for PLATFORM_ACT a short time ago. Role and session are always read afresh. No API token passes."""
    if "token_id" in claims:
        raise Forbidden("An API token may not do this.", permission=permission)
    user_id, session_id, personal = str(claims["user_id"]), str(claims["session_id"]), str(claims["workspace_id"])
    _require_unexpired(claims, now)
    access = access_reads.session_access(user_id, session_id, personal, personal=True, with_user=True)
    session, user = access.session, access.user
    if session is None or not session.is_live(now) or user is None or user.status is not UserStatus.ACTIVE:
        raise Unauthenticated("The session has ended. Log in again.")
    if user.platform_role != PLATFORM_ADMIN:
        raise Forbidden("Only an administrator of the platform may do this.", permission=permission)
    if not user.second_factors:
        raise Forbidden("An administrator needs a second factor. Add one to your account.", reason="mfa_required")
    if session.mfa_at is None:
        raise StepUpRequired(user.second_factors[0])
    if permission == PLATFORM_ACT:
        require_step_up(session, user, True, now)
    return Authorized(user_id, session_id, personal, Role.OWNER, has_mfa=True)


def _require_unexpired(claims: Mapping[str, Any], now: datetime) -> None:
    if now.timestamp() >= int(claims["expires_at"]) + CLOCK_SKEW.total_seconds():
        raise Unauthenticated("The access token has expired.")


def _require_permission(role: Role, permission: str) -> None:
    if not permits(role, permission):
        raise Forbidden(f"The role {role} does not allow this.", permission=permission)


def _require_mfa(access: Access, *, has_second_factor: bool) -> None:
    if access.workspace is not None and access.workspace.require_mfa and not has_second_factor:
        raise Forbidden("This organisation wants its members to sign in with a second factor.", reason="mfa_required")


def _authorize_api_token(
    claims: Mapping[str, Any], workspace_id: str | None, permission: str, *, access_reads: AccessReads, now: datetime
) -> Authorized:
    """Check an API token, which is valid in its own workspace only. The token is read on every request, also on a GET:
    it does not expire soon, and a revocation must have effect at once."""
    user_id, token_id, token_workspace_id = str(claims["user_id"]), str(claims["token_id"]), str(claims["workspace_id"])
    if workspace_id not in (None, token_workspace_id):
        raise NotFound("There is no such workspace.")
    access = access_reads.token_access(user_id, token_workspace_id, token_id)
    token, role = access.token, access.role
    if token is None:
        raise invalid_token()
    token.require_valid(now)
    if role is None or access.user is None or not access.workspace_exists_for(permission):
        # The user who made the token has left the workspace, or the workspace has been deleted.
        raise invalid_token()
    if not covers(token.scopes, permission):
        raise Forbidden("The API token's scopes do not allow this.", permission=permission)
    _require_permission(role, permission)
    _require_mfa(access, has_second_factor=bool(access.user.second_factors))
    return Authorized(user_id, None, token_workspace_id, role, token_id, token.scopes)
