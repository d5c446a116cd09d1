"""People on DynamoDB: who may have to know of an event, from the items of identity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import batch_read
from atelier.adapters.aws.dynamodb.identity.items import (
    CREDENTIALS,
    PROFILE,
    CredentialsItem,
    IdentityItem,
    UserItem,
    WorkspaceItem,
)
from atelier.adapters.aws.dynamodb.workspaces.invitations import PREFIX, InvitationItem
from atelier.adapters.aws.dynamodb.workspaces.items import MEMBER_PREFIX, MemberItem
from atelier.identity.model import UserStatus
from atelier.identity.permissions import Role
from atelier.notifications.model import Recipient

BATCH_MAX = 100


class DynamoPeople:
    """People on DynamoDB."""

    def __init__(self, identity_table: str) -> None:
        IdentityItem.bind(identity_table)

    def recipients(self, user_ids: Iterable[str]) -> Mapping[str, Recipient]:
        addresses = [(UserItem, user_id, PROFILE) for user_id in user_ids]
        found = dict[str, Recipient]()
        for start in range(0, len(addresses), BATCH_MAX):
            for item in batch_read(addresses[start : start + BATCH_MAX]).values():
                assert isinstance(item, UserItem)
                found[item.pk] = recipient_of(item)
        return found

    def members(self, workspace_id: str) -> Mapping[str, Role]:
        workspace = self._workspace(workspace_id)
        if workspace is None:
            return {}
        if workspace.workspace_kind == "personal":
            return {workspace.owner_id: Role.OWNER}
        items = MemberItem.query(workspace_id, MemberItem.sk.startswith(MEMBER_PREFIX), consistent_read=True)
        return {item.sk.removeprefix(MEMBER_PREFIX): Role(item.role) for item in items}

    def workspace_name(self, workspace_id: str) -> str:
        workspace = self._workspace(workspace_id)
        return workspace.name if workspace else ""

    def invited(self, workspace_id: str, invitation_id: str) -> str | None:
        try:
            invitation = InvitationItem.get(workspace_id, PREFIX + invitation_id, consistent_read=True)
            claim = CredentialsItem.get(f"email#{invitation.email}", CREDENTIALS, consistent_read=True)
            user = UserItem.get(claim.user_id, PROFILE, consistent_read=True)
        except DoesNotExist:
            return None
        # Whoever has not proven the address is told nothing about the mails that come to it.
        is_theirs = user.email_verified and user.email == invitation.email
        return None if invitation.accepted_at or not is_theirs else user.pk

    @staticmethod
    def _workspace(workspace_id: str) -> WorkspaceItem | None:
        try:
            return WorkspaceItem.get(workspace_id, PROFILE)
        except DoesNotExist:
            return None


def recipient_of(item: UserItem) -> Recipient:
    is_active = item.status == UserStatus.ACTIVE.value and not item.deletion_due_at
    return Recipient(item.pk, item.email if item.email_verified else None, item.locale, item.time_zone, is_active)
