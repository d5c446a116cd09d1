"""Members of organisations on DynamoDB."""

from __future__ import annotations

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import batch_read
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, UserItem
from atelier.adapters.aws.dynamodb.workspaces.items import MEMBER_PREFIX, MemberItem, decode_member
from atelier.workspaces.model import Member, MemberDetails

BATCH_MAX = 100


class DynamoMembers:
    """MemberStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

    def members(self, workspace_id: str) -> tuple[MemberDetails, ...]:
        items = MemberItem.query(workspace_id, MemberItem.sk.startswith(MEMBER_PREFIX), consistent_read=True)
        members = sorted(map(decode_member, items), key=lambda member: (member.joined_at, member.user_id))
        users: dict[str, UserItem] = {}
        for start in range(0, len(members), BATCH_MAX):
            part = members[start : start + BATCH_MAX]
            found = batch_read([(UserItem, member.user_id, PROFILE) for member in part])
            users |= {item.pk: item for item in found.values() if isinstance(item, UserItem)}
        return tuple(
            MemberDetails(member, user.name, user.email, user.avatar_url)
            for member in members
            if (user := users.get(member.user_id))
        )

    def member(self, workspace_id: str, user_id: str) -> Member | None:
        try:
            return decode_member(MemberItem.get(workspace_id, MEMBER_PREFIX + user_id, consistent_read=True))
        except DoesNotExist:
            return None
