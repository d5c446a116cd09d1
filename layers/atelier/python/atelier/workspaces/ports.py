"""The ports of workspaces: their stores, and what they need of other contexts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from atelier.audit_log.model import AuditEvent
from atelier.errors import Conflict, NotFound
from atelier.identity.model import User
from atelier.identity.permissions import Role
from atelier.mails.mail import MailRequest
from atelier.workspaces.model import (
    ORGANIZATIONS_PER_USER_MAX,
    Actor,
    Invitation,
    Member,
    MemberDetails,
    WorkspaceProfile,
)


class SlugTaken(Conflict):
    """Another organisation has this slug."""

    def __init__(self, slug: str) -> None:
        super().__init__("Another organisation has this short name. Choose another one.", slug=slug)


class TooManyOrganizations(Conflict):
    """The user is a member of ORGANIZATIONS_PER_USER_MAX organisations."""

    def __init__(self) -> None:
        super().__init__(f"A person can belong to {ORGANIZATIONS_PER_USER_MAX} organisations. Leave one first.")


class WorkspaceExists(Exception):
    """A workspace with this id exists already."""


class StaleWorkspace(Exception):
    """The workspace, or a member of it, changed since it was read: read again and apply the change again."""


class MembersFull(Exception):
    """The organisation has as many members as it may have."""

    def __init__(self, used: int) -> None:
        super().__init__(str(used))
        self.used = used


class AlreadyMember(Conflict):
    """The person is a member already."""

    def __init__(self) -> None:
        super().__init__("This person is a member already.")


class AlreadyInvited(Conflict):
    """The address has an open invitation."""

    def __init__(self) -> None:
        super().__init__("This address is invited already. Send the invitation again, or revoke it.")


class InvitationGone(NotFound):
    """There is no such open invitation: it was accepted, revoked or has expired, or never existed."""

    def __init__(self) -> None:
        super().__init__("This invitation is not valid, or not valid any more.")


class WorkspaceStore(Protocol):
    """Workspaces, and who belongs to which. Every write is conditional."""

    def create(self, workspace: WorkspaceProfile, events: Sequence[AuditEvent] = ()) -> None:
        """Store a new organisation, its owner's membership and an empty wallet on the free tier without daily credits:
        all or nothing. Raises WorkspaceExists, SlugTaken, TooManyOrganizations, Unavailable."""
        ...

    def profile(self, workspace_id: str) -> WorkspaceProfile:
        """A workspace by a consistent read, deleted ones too; raises NotFound."""
        ...

    def of_user(self, user_id: str) -> tuple[tuple[WorkspaceProfile, Role], ...]:
        """The workspaces of a user with the user's role in each, oldest first, deleted ones too."""
        ...

    def change(self, before: WorkspaceProfile, after: WorkspaceProfile, events: Sequence[AuditEvent] = ()) -> None:
        """Write everything that members may change, and whether the workspace is deleted. Raises StaleWorkspace when
        the stored workspace is not `before`, and SlugTaken."""
        ...


class MemberStore(Protocol):
    """The members of organisations. A change is written only while the actor still has the role that it was authorised
    by; otherwise it raises Forbidden. Each raises StaleWorkspace when the member has changed since it was read,
    NotFound for a deleted organisation, and Unavailable."""

    def members(self, workspace_id: str) -> tuple[MemberDetails, ...]:
        """All members, in the order in which they joined."""
        ...

    def member(self, workspace_id: str, user_id: str) -> Member | None:
        """A member by a consistent read."""
        ...

    def user(self, user_id: str) -> User:
        """A user by a consistent read; raises NotFound."""
        ...

    def change_role(self, before: Member, role: Role, actor: Actor, events: Sequence[AuditEvent]) -> None:
        """Give a member another role. Raises LastOwner, and LeavingMember for a new owner whose account is being
        deleted."""
        ...

    def remove(self, before: Member, actor: Actor, events: Sequence[AuditEvent]) -> None:
        """End a membership. Raises LastOwner."""
        ...

    def transfer(self, owner: Member, heir: Member, events: Sequence[AuditEvent]) -> None:
        """Make `heir` the owner in place of `owner`, who becomes an admin. Raises LeavingMember."""
        ...


class InvitationStore(Protocol):
    """The invitations of organisations. An address has at most one open invitation to each."""

    def add(self, new: Invitation, mail: MailRequest, limit: int, actor: Actor, events: Sequence[AuditEvent]) -> None:
        """Store an invitation and its mail. Raises AlreadyInvited, MembersFull when the organisation has `limit`
        members, Forbidden as MemberStore, NotFound, Unavailable."""
        ...

    def invitation(self, workspace_id: str, invitation_id: str) -> Invitation | None:
        """An invitation by a consistent read, open or not."""
        ...

    def open_invitations(self, workspace_id: str, now: datetime) -> tuple[Invitation, ...]:
        """The open invitations, newest first."""
        ...

    def send_again(self, before: Invitation, after: Invitation, mail: MailRequest) -> None:
        """Store a later expiry and another mail. Raises InvitationGone, Unavailable."""
        ...

    def revoke(self, invitation: Invitation, events: Sequence[AuditEvent]) -> None:
        """Remove an open invitation. Raises InvitationGone, Unavailable."""
        ...

    def accept(
        self, invitation: Invitation, user: User, limit: int, events: Sequence[AuditEvent], now: datetime
    ) -> None:
        """Use an invitation up, and make the user a member: all or nothing, and only while the user has the e-mail
        address that was read, and whoever invited may still invite. Raises InvitationGone, AlreadyMember, MembersFull
        when the organisation has `limit` members, TooManyOrganizations, LeavingMember, StaleWorkspace, Unavailable."""
        ...


class AvatarAssets(Protocol):
    """The assets among which an avatar is chosen."""

    def is_kept(self, workspace_id: str, asset_id: str) -> bool:
        """Whether the workspace has this asset, and it is not deleted."""
        ...
