"""HTTP schemas of workspaces, members and invitations."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from atelier.errors import ValidationFailed
from atelier.identity.permissions import Role
from atelier.identity.schemas import Email
from atelier.ids import is_id
from atelier.lazy_model import LazyModel
from atelier.workspaces.invitations import NewInvitation, OpenedInvitation
from atelier.workspaces.manage import NewOrganization
from atelier.workspaces.model import (
    SLUG_LENGTH_MAX,
    SLUG_LENGTH_MIN,
    SLUG_PATTERN,
    Invitation,
    Member,
    MemberDetails,
    WorkspaceProfile,
    WorkspaceSettings,
)
from atelier.workspaces.usage import QuotaUsage

RoleName = Literal["owner", "admin", "editor", "member", "viewer"]
Name = Annotated[
    str,
    Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$", examples=["Atlas Films"]),
]
Slug = Annotated[
    str,
    Field(
        min_length=SLUG_LENGTH_MIN,
        max_length=SLUG_LENGTH_MAX,
        pattern=SLUG_PATTERN,
        description="A unique short name: small letters, digits and single hyphens.",
        examples=["atlas-films"],
    ),
]


class CreateWorkspaceRequest(LazyModel):
    """A new organisation."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name
    slug: Slug | None = None

    def new(self, user_id: str, idempotency_key: str | None) -> NewOrganization:
        """The command for the use case."""
        return NewOrganization(user_id, self.name, self.slug, idempotency_key)


class SettingsRequest(LazyModel):
    """Changes of an organisation's settings: a field that is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    require_mfa: bool = Field(default=False, description="Whether members need a second factor.")
    open_invitations: bool = Field(
        default=False,
        description="Whether whoever holds the link of an invitation may accept it, not only the invited address.",
    )


class ChangeWorkspaceRequest(LazyModel):
    """Changes of a workspace: a field that is left out stays as it is, and null removes the avatar."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name = ""
    slug: Slug = ""
    avatar_asset_id: Annotated[str, Field(max_length=30)] | None = None
    settings: SettingsRequest = SettingsRequest.of_defaults()

    def change(self, before: WorkspaceProfile) -> WorkspaceProfile:
        """The workspace with the fields that the request names. Raises ValidationFailed."""
        if self.avatar_asset_id is not None and not is_id(self.avatar_asset_id, "ast"):
            raise ValidationFailed([{"path": "avatar_asset_id", "message": "is no asset of this workspace"}])
        fields = self.model_dump(include=self.model_fields_set - {"settings"})
        settings = replace(before.settings, **self.settings.model_dump(exclude_unset=True))
        return replace(before, **fields, settings=settings)


class ChangeMemberRequest(LazyModel):
    """Another role for a member."""

    model_config = ConfigDict(extra="forbid")

    role: RoleName


class TransferRequest(LazyModel):
    """The member who becomes the owner."""

    model_config = ConfigDict(extra="forbid")

    user_id: Annotated[str, Field(max_length=30)]


class InviteRequest(LazyModel):
    """An invitation by mail."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    role: RoleName = "editor"

    def new(self, workspace_id: str, idempotency_key: str | None) -> NewInvitation:
        """The command for the use case."""
        return NewInvitation(workspace_id, self.email, Role(self.role), idempotency_key)


class SettingsView(LazyModel):
    """The settings of an organisation."""

    require_mfa: bool
    open_invitations: bool


class WorkspaceDetailsView(LazyModel):
    """A workspace, as one of its members sees it."""

    id: str
    kind: Literal["personal", "organization"]
    name: str
    slug: str | None
    avatar_asset_id: str | None
    role: RoleName
    members: int = Field(description="The number of members.")
    settings: SettingsView
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    restorable_until: datetime | None = Field(description="Until when a deleted organisation can be restored.")


class WorkspaceEnvelope(LazyModel):
    """One workspace."""

    workspace: WorkspaceDetailsView


class WorkspaceList(LazyModel):
    """The caller's workspaces, oldest first; a deleted one is there for its owner as long as it can be restored."""

    items: list[WorkspaceDetailsView]


class MemberView(LazyModel):
    """A member of an organisation, as the other members see the person."""

    user_id: str
    name: str
    email: str
    avatar_url: str | None
    role: RoleName
    joined_at: datetime


class MemberList(LazyModel):
    """All members, in the order in which they joined."""

    items: list[MemberView]


class MemberRoleView(LazyModel):
    """A member's role."""

    user_id: str
    role: RoleName
    joined_at: datetime


class MemberEnvelope(LazyModel):
    """One member."""

    member: MemberRoleView


class InvitationView(LazyModel):
    """An invitation that has not been accepted."""

    id: str
    email: str
    role: RoleName
    invited_by: str
    created_at: datetime
    sent_at: datetime
    expires_at: datetime


class InvitationEnvelope(LazyModel):
    """One invitation."""

    invitation: InvitationView


class InvitationList(LazyModel):
    """The open invitations, newest first."""

    items: list[InvitationView]


class QuotaUsageView(LazyModel):
    """One quota of the workspace's tier."""

    name: Literal["storage_bytes", "projects", "members", "sites", "api_calls"]
    limit: int
    used: int


class QuotasView(LazyModel):
    """How much the workspace has of what its tier limits; `api_calls` are those of this month, UTC."""

    quotas: list[QuotaUsageView]


class OpenedInvitationView(LazyModel):
    """An invitation as whoever holds its link sees it."""

    workspace_name: str
    inviter_name: str
    role: RoleName
    expires_at: datetime
    for_you: bool = Field(description="Whether you may accept it; otherwise it is for another e-mail address.")


class OpenedInvitationEnvelope(LazyModel):
    """One invitation, read by its link."""

    invitation: OpenedInvitationView


def workspace_details(workspace: WorkspaceProfile, role: str) -> WorkspaceDetailsView:
    """The response model of a workspace."""
    settings: WorkspaceSettings = workspace.settings
    return WorkspaceDetailsView.model_validate(
        {
            "id": workspace.id,
            "kind": workspace.kind,
            "name": workspace.name,
            "slug": workspace.slug,
            "avatar_asset_id": workspace.avatar_asset_id,
            "role": role,
            "members": workspace.members,
            "settings": {"require_mfa": settings.require_mfa, "open_invitations": settings.open_invitations},
            "created_at": workspace.created_at,
            "updated_at": workspace.updated_at,
            "deleted_at": workspace.deleted_at,
            "restorable_until": workspace.restorable_until,
        }
    )


def workspace_envelope(workspace: WorkspaceProfile, role: str) -> WorkspaceEnvelope:
    """The response with one workspace."""
    return WorkspaceEnvelope(workspace=workspace_details(workspace, role))


def workspace_list(found: list[tuple[WorkspaceProfile, Role]]) -> WorkspaceList:
    """The response with the caller's workspaces."""
    return WorkspaceList(items=[workspace_details(workspace, role.value) for workspace, role in found])


def member_envelope(member: Member) -> MemberEnvelope:
    """The response with one member's role."""
    view = {"user_id": member.user_id, "role": member.role.value, "joined_at": member.joined_at}
    return MemberEnvelope.model_validate({"member": view})


def invitation_view(invitation: Invitation) -> InvitationView:
    """The response model of an invitation."""
    return InvitationView.model_validate(invitation, from_attributes=True)


def invitation_list(found: tuple[Invitation, ...]) -> InvitationList:
    """The response with the open invitations."""
    return InvitationList(items=list(map(invitation_view, found)))


def usage_view(found: list[QuotaUsage]) -> QuotasView:
    """The response with the quotas."""
    return QuotasView(quotas=[QuotaUsageView.model_validate(each, from_attributes=True) for each in found])


def opened_invitation(opened: OpenedInvitation) -> OpenedInvitationEnvelope:
    """The response to the link of an invitation."""
    view = {
        "workspace_name": opened.workspace.name,
        "inviter_name": opened.inviter.name,
        "role": opened.invitation.role.value,
        "expires_at": opened.invitation.expires_at,
        "for_you": opened.for_you,
    }
    return OpenedInvitationEnvelope.model_validate({"invitation": view})


def member_list(members: tuple[MemberDetails, ...]) -> MemberList:
    """The response with all members."""
    return MemberList(
        items=[
            MemberView.model_validate(
                {
                    "user_id": each.member.user_id,
                    "name": each.name,
                    "email": each.email,
                    "avatar_url": each.avatar_url,
                    "role": each.member.role.value,
                    "joined_at": each.member.joined_at,
                }
            )
            for each in members
        ]
    )
