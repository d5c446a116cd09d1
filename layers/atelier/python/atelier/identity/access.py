"""What authorisation reads: the proof of who calls, the caller's role, and the state of the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atelier.dataclass import dataclass

if TYPE_CHECKING:
    from atelier.identity.api_tokens import ApiToken
    from atelier.identity.model import Session, User
    from atelier.identity.permissions import Role

# The one permission that counts in a deleted workspace.
RESTORE = "workspace.restore"


@dataclass(frozen=True, slots=True)
class WorkspaceState:
    """What of a workspace decides about access to it. deleted: its owner may still restore it; for everybody else, and
    in every other way, it does not exist. require_mfa: its members need a second factor."""

    deleted: bool = False
    require_mfa: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """The items that a request is authorised by; None = there is no such item, or it was not read.

    `session` or `token`: as the caller has the one or the other. `workspace`: not read for a session in its user's
    personal workspace. `user`: read for a token, and on routes that want a fresh factor."""

    role: Role | None
    session: Session | None = None
    token: ApiToken | None = None
    workspace: WorkspaceState | None = None
    user: User | None = None

    def workspace_exists_for(self, permission: str) -> bool:
        """Whether a member finds the workspace when asking for `permission`."""
        return self.workspace is not None and (not self.workspace.deleted or permission == RESTORE)
