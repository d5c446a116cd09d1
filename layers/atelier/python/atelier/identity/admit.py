"""The gate: may this caller do this in this workspace, now?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from atelier.errors import Forbidden, NotFound, Unauthenticated
from atelier.frozen import dataclass
from atelier.identity.access_tokens import SKEW
from atelier.identity.api_tokens import refused
from atelier.identity.permissions import Role, permits
from atelier.identity.ports import Standings
from atelier.identity.scopes import covers
from atelier.ids import is_id


@dataclass(frozen=True, slots=True)
class Admitted:
    """A user let into a workspace."""

    user_id: str
    session_id: str | None
    workspace_id: str
    role: Role
    # Of a program: its token, and what that narrows the role to.
    token_id: str | None = None
    scopes: tuple[str, ...] | None = None


def admit(
    claims: Mapping[str, Any],
    workspace_id: str | None,
    permission: str,
    *,
    fresh: bool,
    standings: Standings,
    now: datetime,
) -> Admitted:
    """Let a verified caller in. claims: what `authorize` gave. workspace_id: the one asked for; None = personal.

    A reading in the personal workspace trusts the token alone: nothing is read. With `fresh` the session and the
    membership are read as they are now, so that a revoked one ends at once. Raises Unauthenticated, Forbidden, or
    NotFound for a workspace that does not exist for this user."""
    if "token_id" in claims:
        return _admit_program(claims, workspace_id, permission, standings=standings, now=now)
    user_id, session_id, personal = str(claims["user_id"]), str(claims["session_id"]), str(claims["workspace_id"])
    if now.timestamp() >= int(claims["expires_at"]) + SKEW.total_seconds():
        raise Unauthenticated("The access token has expired.")
    workspace_id = personal if workspace_id is None else workspace_id
    if not is_id(workspace_id, "wsp"):
        raise NotFound("There is no such workspace.")
    if fresh:
        session, role = standings.standing(user_id, session_id, workspace_id)
        if session is None or not session.live(now):
            raise Unauthenticated("The session has ended. Log in again.")
    elif workspace_id == personal:
        role = Role.OWNER
    else:
        role = standings.role(user_id, workspace_id)
    if role is None:
        raise NotFound("There is no such workspace.")
    if not permits(role, permission):
        raise Forbidden(f"The role {role} does not allow this.", permission=permission)
    return Admitted(user_id, session_id, workspace_id, role)


def _admit_program(
    claims: Mapping[str, Any], workspace_id: str | None, permission: str, *, standings: Standings, now: datetime
) -> Admitted:
    """Let an API token in, into its own workspace alone. It is read on every call, readings too: it has no short life,
    and whoever revokes one has reason to."""
    user_id, token_id, own = str(claims["user_id"]), str(claims["token_id"]), str(claims["workspace_id"])
    if workspace_id not in (None, own):
        raise NotFound("There is no such workspace.")
    token, role = standings.bearing(user_id, own, token_id)
    if token is None:
        raise refused()
    token.check(now)
    if role is None:
        # Whose it is has left the workspace.
        raise refused()
    if not covers(token.scopes, permission):
        raise Forbidden("The API token's scopes do not allow this.", permission=permission)
    if not permits(role, permission):
        raise Forbidden(f"The role {role} does not allow this.", permission=permission)
    return Admitted(user_id, None, own, role, token_id, token.scopes)
