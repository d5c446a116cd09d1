"""The requests and views of users for administrators of the platform."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from atelier.audit_log.reason import Reason
from atelier.identity.credentials import EMAIL_BYTES_MAX
from atelier.identity.directory import UserPage, UserRecord
from atelier.identity.model import Session, UserAccount
from atelier.identity.schemas import SessionView, WorkspaceView, session_list, workspace_view
from atelier.lazy_model import LazyModel

PlatformRole = Literal["user", "admin"]


def _normal_prefix(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


class UserQuery(LazyModel):
    """Which users are listed, in the order of their addresses."""

    model_config = ConfigDict(extra="ignore")

    email: Annotated[str, Field(max_length=EMAIL_BYTES_MAX), AfterValidator(_normal_prefix)] = Field(
        default="", description="What the address begins with."
    )
    limit: int = Field(default=25, ge=1, le=50)
    cursor: Annotated[str, Field(max_length=1000)] | None = None


class SuspendRequest(LazyModel):
    """Suspend an account."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(description="For the audit logs; the person's own log shows it too.")


class PlatformRoleRequest(LazyModel):
    """Give or take the role of an administrator of the platform."""

    model_config = ConfigDict(extra="forbid")

    role: PlatformRole


class AdminUserView(LazyModel):
    """A user, as administrators of the platform see them."""

    id: str
    email: str
    email_verified: bool
    name: str
    platform_role: PlatformRole
    status: Literal["active", "suspended", "erased"]
    second_factors: list[Literal["totp", "passkey"]]
    workspace_id: str = Field(description="The personal workspace.")
    created_at: datetime
    last_login_at: datetime
    suspended_at: datetime | None
    suspension_reason: str | None
    deletion_due_at: datetime | None = Field(description="When the account will be erased, at the person's request.")


class AdminUserList(LazyModel):
    """A page of users."""

    items: list[AdminUserView]
    next_cursor: str | None


class AdminUserEnvelope(LazyModel):
    """One user."""

    user: AdminUserView


class AdminUserDetails(LazyModel):
    """One user with what an administrator needs to help them."""

    user: AdminUserView
    tier: str = Field(description="The tier of the personal workspace.")
    last_seen_at: datetime = Field(description="When a session was opened or used last.")
    sessions: list[SessionView] = Field(description="Those that have not ended.")
    workspaces: list[WorkspaceView]


def admin_user(record: UserRecord) -> AdminUserView:
    """The view of a user."""
    user = record.user
    return AdminUserView.model_validate(
        {
            "id": user.id,
            "email": user.email,
            "email_verified": user.email_verified,
            "name": user.name,
            "platform_role": user.platform_role,
            "status": user.status.value,
            "second_factors": user.second_factors,
            "workspace_id": user.workspace_id,
            "created_at": user.created_at,
            "last_login_at": record.last_login_at,
            "suspended_at": record.suspended_at,
            "suspension_reason": record.suspension_reason,
            "deletion_due_at": user.deletion_due_at,
        }
    )


def admin_user_envelope(record: UserRecord) -> AdminUserEnvelope:
    """The response with one user."""
    return AdminUserEnvelope(user=admin_user(record))


def admin_user_list(page: UserPage, next_cursor: str | None) -> AdminUserList:
    """The response with a page of users."""
    return AdminUserList(items=list(map(admin_user, page.users)), next_cursor=next_cursor)


def admin_user_details(record: UserRecord, account: UserAccount, live: tuple[Session, ...]) -> AdminUserDetails:
    """The response with all that is shown of a user. live: the sessions that have not ended."""
    return AdminUserDetails(
        user=admin_user(record),
        tier=account.tier,
        last_seen_at=max([record.last_login_at, *(session.last_used_at for session in live)]),
        sessions=session_list(live, None).items,
        workspaces=list(map(workspace_view, account.memberships)),
    )
