"""Members of organisations on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    TransactionConflict,
    batch_read,
    pause_with_jitter,
    transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.items import (
    PROFILE,
    IdentityItem,
    MembershipItem,
    UserItem,
    WorkspaceItem,
    decode_user,
    member_sk,
)
from atelier.adapters.aws.dynamodb.workspaces.items import (
    MEMBER_PREFIX,
    MemberItem,
    decode_member,
    member_item,
)
from atelier.audit_log.model import AuditEvent
from atelier.errors import Forbidden, NotFound
from atelier.identity.model import User
from atelier.identity.permissions import Role
from atelier.workspaces.model import Actor, LastOwner, Member, MemberDetails
from atelier.workspaces.ports import StaleWorkspace

BATCH_MAX = 100
# The condition of an organisation that loses an owner: another one remains.
ANOTHER_OWNER = WorkspaceItem.owners > 1


class DynamoMembers:
    """MemberStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. The audit table must be bound too."""
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

    def user(self, user_id: str) -> User:
        try:
            return decode_user(UserItem.get(user_id, PROFILE, consistent_read=True))
        except DoesNotExist:
            raise NotFound from None

    def change_role(self, before: Member, role: Role, actor: Actor, events: Sequence[AuditEvent]) -> None:
        owners = (role is Role.OWNER) - (before.role is Role.OWNER)

        def fill(write: Transaction) -> None:
            _check_actor(write, actor, before)
            _put_role(write, before, role)
            _put_counters(write, before.workspace_id, owners=owners)
            save_events(write, events)

        self._write(fill, before.workspace_id)

    def remove(self, before: Member, actor: Actor, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            _check_actor(write, actor, before)
            unchanged = MembershipItem.role == before.role.value
            write.delete(MembershipItem(before.user_id, member_sk(before.workspace_id)), unchanged, part="member")
            write.delete(member_item(before))
            user, one_less = UserItem(before.user_id, PROFILE), [UserItem.organizations.add(-1)]
            write.update(user, one_less, UserItem.pk.exists(), part="member")
            _put_counters(write, before.workspace_id, owners=-(before.role is Role.OWNER), members=-1)
            save_events(write, events)

        self._write(fill, before.workspace_id)

    def transfer(self, owner: Member, heir: Member, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            _put_role(write, owner, Role.ADMIN)
            _put_role(write, heir, Role.OWNER)
            actions: list[Action] = [WorkspaceItem.owner_id.set(heir.user_id)]
            if heir.role is Role.OWNER:
                actions.append(WorkspaceItem.owners.add(-1))
            exists = WorkspaceItem.pk.exists() & WorkspaceItem.deleted_at.does_not_exist()
            write.update(WorkspaceItem(owner.workspace_id, PROFILE), actions, exists, part="workspace")
            save_events(write, events)

        self._write(fill, owner.workspace_id)

    @staticmethod
    def _write(fill: Callable[[Transaction], None], workspace_id: str) -> None:
        try:
            with transaction() as write:
                fill(write)
        except TransactionConflict as error:
            pause_with_jitter(3)
            raise StaleWorkspace from error
        except ConditionsFailed as error:
            if "member" in error.parts:
                raise StaleWorkspace from error
            if "actor" in error.parts:
                raise Forbidden("Your role does not allow this any more.") from error
            raise _refusal(workspace_id) from error


def check_role(write: Transaction, user_id: str, workspace_id: str, *roles: Role, part: str) -> None:
    """Require in a transaction that a user has one of these roles in a workspace."""
    condition: Condition = MembershipItem.role.is_in(*(role.value for role in roles))
    write.check(MembershipItem, user_id, member_sk(workspace_id), condition, part=part)


def _check_actor(write: Transaction, actor: Actor, member: Member) -> None:
    # A transaction takes one part for each item: whoever changes the own membership is checked by its condition.
    if actor.user_id != member.user_id:
        check_role(write, actor.user_id, member.workspace_id, actor.role, part="actor")


def _put_role(write: Transaction, before: Member, role: Role) -> None:
    membership = MembershipItem(before.user_id, member_sk(before.workspace_id))
    unchanged = MembershipItem.role == before.role.value
    write.update(membership, [MembershipItem.role.set(role.value)], unchanged, part="member")
    write.update(member_item(before), [MemberItem.role.set(role.value)])


def _put_counters(write: Transaction, workspace_id: str, *, owners: int = 0, members: int = 0) -> None:
    condition = WorkspaceItem.pk.exists() & WorkspaceItem.deleted_at.does_not_exist()
    if owners < 0:
        condition &= ANOTHER_OWNER
    actions = [WorkspaceItem.owners.add(owners), WorkspaceItem.members.add(members)]
    write.update(WorkspaceItem(workspace_id, PROFILE), actions, condition, part="workspace")


def _refusal(workspace_id: str) -> Exception:
    """Why the workspace's own condition did not hold."""
    item = WorkspaceItem.get(workspace_id, PROFILE, consistent_read=True)
    return NotFound("There is no such workspace.") if item.deleted_at else LastOwner()
