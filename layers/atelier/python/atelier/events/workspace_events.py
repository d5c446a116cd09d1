"""The events of people, workspaces and their members, which are part of the catalogue."""

from __future__ import annotations

from typing import Annotated, ClassVar

from atelier.dataclass import dataclass
from atelier.events.event import Instant, Workspace


@dataclass(frozen=True, slots=True)
class MemberChanged:
    """Somebody was invited to an organisation, joined it (its founder too), got another role, left or was removed."""

    source: ClassVar[str] = "atelier.workspaces"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = tuple(
        f"member.{change}" for change in ("invited", "joined", "role_changed", "removed")
    )

    id: Annotated[str, "the change"]
    workspace_id: Workspace
    change: Annotated[str, "`invited`, `joined`, `role_changed` or `removed`"]
    user_id: Annotated[str | None, "the member; null for `invited`"]
    invitation_id: Annotated[str | None, "the invitation; null for the other changes"]
    role: Annotated[str, "the role after the change; for `removed` the one before it"]
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"member.{self.change}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """A person asked for the deletion of their account, which is erased when it is due; or took that back by signing
    in."""

    source: ClassVar[str] = "atelier.identity"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("user.deletion_requested", "user.restored")

    user_id: Annotated[str, "the person"]
    workspace_id: Annotated[str, "their personal workspace"]
    change: Annotated[str, "`deletion_requested` or `restored`"]
    due_at: Annotated[str, "when the account is or would have been erased; RFC 3339, UTC"]
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"user.{self.change}"

    @property
    def id(self) -> str:
        return f"{self.user_id}#{self.change}#{self.due_at}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at


@dataclass(frozen=True, slots=True)
class WorkspaceChanged:
    """An owner deleted an organisation, which can be restored until a time; or restored it."""

    source: ClassVar[str] = "atelier.workspaces"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("workspace.deletion_requested", "workspace.restored")

    workspace_id: Workspace
    change: Annotated[str, "`deletion_requested` or `restored`"]
    restorable_until: Annotated[str, "until when the deletion can or could be taken back; RFC 3339, UTC"]
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"workspace.{self.change}"

    @property
    def id(self) -> str:
        return f"{self.workspace_id}#{self.change}#{self.restorable_until}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at
