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
from atelier.workspaces.model import Actor, LastOwner, LeavingMember, Member, MemberDetails
from atelier.workspaces.ports import StaleWorkspace

BATCH_MAX = 100
# The condition of an organisation that loses an owner: another one remains.
ANOTHER_OWNER = WorkspaceItem.owners > 1
# The condition of a person who becomes an owner, or invites: their account is not being deleted.
STAYS = UserItem.pk.exists() & UserItem.deletion_due_at.does_not_exist()


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

    def role(self, user_id: str, workspace_id: str) -> Role | None:
        """The role of a user in a workspace, from the user's own items (consistent read); None = no member."""
        try:
            return Role(MembershipItem.get(user_id, member_sk(workspace_id), consistent_read=True).role)
        except DoesNotExist:
            return None

    def user(self, user_id: str) -> User:
        try:
            return decode_user(UserItem.get(user_id, PROFILE, consistent_read=True))
        except DoesNotExist:
            raise NotFound from None

    def change_role(self, before: Member, role: Role, actor: Actor, events: Sequence[AuditEvent]) -> None:
        is_counted = self._is_counted(before)

        def fill(write: Transaction) -> None:
            _check_actor(write, actor, before)
            put_role(write, before, role)
            if role is Role.OWNER:
                note_ownership(write, before.user_id)
            elif before.role is Role.OWNER:
                _end_ownership(write, before, is_counted)
            _put_counters(write, before.workspace_id, owners=(role is Role.OWNER) - is_counted)
            save_events(write, events)

        self._write(fill, before.workspace_id)

    def remove(self, before: Member, actor: Actor, events: Sequence[AuditEvent]) -> None:
        is_counted = self._is_counted(before)

        def fill(write: Transaction) -> None:
            _check_actor(write, actor, before)
            unchanged = MembershipItem.role == before.role.value
            write.delete(MembershipItem(before.user_id, member_sk(before.workspace_id)), unchanged, part="member")
            write.delete(member_item(before))
            _end_ownership(write, before, is_counted, UserItem.organizations.add(-1))
            _put_counters(write, before.workspace_id, owners=-is_counted, members=-1)
            save_events(write, events)

        self._write(fill, before.workspace_id)

    def transfer(self, owner: Member, heir: Member, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            put_role(write, owner, Role.ADMIN)
            put_role(write, heir, Role.OWNER)
            write.check(UserItem, owner.user_id, PROFILE, STAYS, part="actor")
            note_ownership(write, heir.user_id)
            actions: list[Action] = [WorkspaceItem.owner_id.set(heir.user_id)]
            if heir.role is Role.OWNER:
                actions.append(WorkspaceItem.owners.add(-1))
            exists = WorkspaceItem.pk.exists() & WorkspaceItem.deleted_at.does_not_exist()
            write.update(WorkspaceItem(owner.workspace_id, PROFILE), actions, exists, part="workspace")
            save_events(write, events)

        self._write(fill, owner.workspace_id)

    @staticmethod
    def _is_counted(member: Member) -> bool:
        """Whether the member counts in the organisation's `owners`: the request to delete an owner's account has taken
        it out of this number (see `identity/profiles.py`)."""
        if member.role is not Role.OWNER:
            return False
        user = UserItem.get(member.user_id, PROFILE, consistent_read=True)
        return member.workspace_id not in (user.released or ())

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
            if "heir" in error.parts:
                raise LeavingMember from error
            raise _refusal(workspace_id) from error


def check_role(write: Transaction, user_id: str, workspace_id: str, *roles: Role, part: str) -> None:
    """Require in a transaction that a user has one of these roles in a workspace."""
    condition: Condition = MembershipItem.role.is_in(*(role.value for role in roles))
    write.check(MembershipItem, user_id, member_sk(workspace_id), condition, part=part)


def _check_actor(write: Transaction, actor: Actor, member: Member) -> None:
    # A transaction takes one part for each item: whoever changes the own membership is checked by its condition.
    if actor.user_id != member.user_id:
        check_role(write, actor.user_id, member.workspace_id, actor.role, part="actor")


def note_ownership(write: Transaction, user_id: str) -> None:
    """Count one more ownership of a person whose account stays."""
    write.update(UserItem(user_id, PROFILE), [UserItem.ownerships.add(1)], STAYS, part="heir")


def _end_ownership(write: Transaction, member: Member, is_counted: bool, *actions: Action) -> None:
    """Change the user of a membership that ends, or is no owner's any more: their account, if it is being deleted, does
    not count again in this organisation when it is restored."""
    is_released = UserItem.released.contains(member.workspace_id)
    user, left_out = UserItem(member.user_id, PROFILE), member.role is Role.OWNER and not is_counted
    changes = [*actions, UserItem.released.delete({member.workspace_id})] if left_out else [*actions]
    condition = is_released if left_out else UserItem.pk.exists() & ~is_released
    if changes:
        write.update(user, changes, condition, part="member")
    else:
        write.check(UserItem, member.user_id, PROFILE, condition, part="member")


def put_role(write: Transaction, before: Member, role: Role) -> None:
    """Give a member another role in a transaction, if the present one is `before.role`."""
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
