"""The ports of workspaces: their stores, and what they need of other contexts."""

from __future__ import annotations

from typing import Protocol

from atelier.errors import Conflict
from atelier.identity.permissions import Role
from atelier.workspaces.model import ORGANIZATIONS_PER_USER_MAX, Member, MemberDetails, WorkspaceProfile


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


class WorkspaceStore(Protocol):
    """Workspaces, and who belongs to which. Every write is conditional."""

    def create(self, workspace: WorkspaceProfile) -> None:
        """Store a new organisation, its owner's membership and an empty wallet on the free tier without daily credits:
        all or nothing. Raises WorkspaceExists, SlugTaken, TooManyOrganizations, Unavailable."""
        ...

    def profile(self, workspace_id: str) -> WorkspaceProfile:
        """A workspace by a consistent read, deleted ones too; raises NotFound."""
        ...

    def of_user(self, user_id: str) -> tuple[tuple[WorkspaceProfile, Role], ...]:
        """The workspaces of a user with the user's role in each, oldest first, deleted ones too."""
        ...

    def change(self, before: WorkspaceProfile, after: WorkspaceProfile) -> None:
        """Write everything that members may change, and whether the workspace is deleted. Raises StaleWorkspace when
        the stored workspace is not `before`, and SlugTaken."""
        ...


class MemberStore(Protocol):
    """The members of organisations."""

    def members(self, workspace_id: str) -> tuple[MemberDetails, ...]:
        """All members, in the order in which they joined."""
        ...

    def member(self, workspace_id: str, user_id: str) -> Member | None:
        """A member by a consistent read."""
        ...


class AvatarAssets(Protocol):
    """The assets among which an avatar is chosen."""

    def is_kept(self, workspace_id: str, asset_id: str) -> bool:
        """Whether the workspace has this asset, and it is not deleted."""
        ...
