"""The stored form of organisations: the items, and their conversion from and to values."""

from __future__ import annotations

from typing import cast

from pynamodb.attributes import UnicodeAttribute

from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, WorkspaceItem
from atelier.clock import parse_rfc3339, rfc3339
from atelier.identity.permissions import Role
from atelier.workspaces.model import Member, WorkspaceKind, WorkspaceProfile, WorkspaceSettings

SLUG = "workspace"
MEMBER_PREFIX = "member#"


class SlugItem(IdentityItem, discriminator="slug"):
    workspace_id = UnicodeAttribute()


class MemberItem(IdentityItem, discriminator="member"):
    role = UnicodeAttribute()
    created_at = UnicodeAttribute()


def slug_item(slug: str, workspace_id: str = "") -> SlugItem:
    return SlugItem(f"slug#{slug}", SLUG, workspace_id=workspace_id)


def member_item(member: Member) -> MemberItem:
    return MemberItem(
        member.workspace_id,
        MEMBER_PREFIX + member.user_id,
        role=member.role.value,
        created_at=rfc3339(member.joined_at),
    )


def decode_member(item: MemberItem) -> Member:
    return Member(item.pk, item.sk.removeprefix(MEMBER_PREFIX), Role(item.role), parse_rfc3339(item.created_at))


def profile_item(workspace: WorkspaceProfile, tier: str) -> WorkspaceItem:
    return WorkspaceItem(
        workspace.id,
        PROFILE,
        name=workspace.name,
        workspace_kind=workspace.kind,
        owner_id=workspace.owner_id,
        tier=tier,
        created_at=rfc3339(workspace.created_at),
        updated_at=rfc3339(workspace.updated_at),
        avatar_asset_id=workspace.avatar_asset_id,
        slug=workspace.slug,
        owners=workspace.owners,
        members=workspace.members,
        require_mfa=workspace.settings.require_mfa,
        open_invitations=workspace.settings.open_invitations,
    )


def decode_profile(item: WorkspaceItem) -> WorkspaceProfile:
    return WorkspaceProfile(
        id=item.pk,
        kind=cast("WorkspaceKind", item.workspace_kind),
        name=item.name,
        owner_id=item.owner_id,
        created_at=parse_rfc3339(item.created_at),
        # A workspace from before times of change were stored has not changed yet.
        updated_at=parse_rfc3339(item.updated_at or item.created_at),
        slug=item.slug,
        avatar_asset_id=item.avatar_asset_id,
        settings=WorkspaceSettings(bool(item.require_mfa), bool(item.open_invitations)),
        owners=int(item.owners or 1),
        members=int(item.members or 1),
        deleted_at=parse_rfc3339(item.deleted_at) if item.deleted_at else None,
    )
