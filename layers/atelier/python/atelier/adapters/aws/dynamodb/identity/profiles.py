"""Profiles on DynamoDB.

A request for deletion takes the user out of the counter `owners` of each organisation, under the condition that another
owner remains, so that two owners who go at the same time cannot leave none. `released` names these organisations; their
counters are restored with the account, unless the user lost the role meanwhile (see `workspaces/members.py`). Of an
organisation without other members the counter stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    TransactionFailed,
    batch_read,
    pause_with_jitter,
    transaction,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.items import (
    PROFILE,
    IdentityItem,
    MembershipItem,
    UserItem,
    WorkspaceItem,
    decode_user,
    due_erasure,
    is_value,
    member_sk,
    set_or_remove,
)
from atelier.adapters.aws.dynamodb.identity.mails import save_mail
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import Conflict, NotFound
from atelier.identity.delete_account import SoleOwner
from atelier.identity.model import User, UserStatus
from atelier.identity.permissions import Role
from atelier.mails.mail import MailRequest
from atelier.retrying import retrying

BUSY = "The account is busy just now. Try again."
TRIES_MAX = 5


class DynamoProfiles:
    """Profiles on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. Its transactions also write to the audit table, which its own adapter binds."""
        IdentityItem.bind(table_name)

    def user(self, user_id: str) -> User:
        return decode_user(self._item(user_id))

    def save_profile(self, after: User, *, events: Sequence[AuditEvent]) -> None:
        def write_all(write: Transaction) -> None:
            actions = [
                UserItem.name.set(after.name),
                UserItem.persona.set(after.persona),
                set_or_remove(UserItem.avatar_asset_id, after.avatar_asset_id),
                set_or_remove(UserItem.locale, after.locale),
                set_or_remove(UserItem.time_zone, after.time_zone),
            ]
            write.update(UserItem(after.id, PROFILE), actions, UserItem.pk.exists(), part="user")
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise NotFound from error

    def request_deletion(
        self, user: User, due_at: datetime, *, events: Sequence[AuditEvent], mail: MailRequest
    ) -> None:
        # Read first: whoever becomes an owner after this read changes it.
        ownerships = self._item(user.id).ownerships
        owned = self._owned_organizations(user.id)
        # Of the others the last member goes with this account. A deleted one needs no owner, but its other owners may
        # restore it.
        shared = [each for each in owned if int((each.owners if each.deleted_at else each.members) or 1) > 1]

        def write_all(write: Transaction) -> None:
            actions = [UserItem.deletion_due_at.set(rfc3339(due_at))]
            actions += [UserItem.released.set({each.pk for each in shared})] if shared else []
            not_requested = UserItem.pk.exists() & UserItem.deletion_due_at.does_not_exist()
            not_requested &= is_value(UserItem.ownerships, ownerships)
            write.update(UserItem(user.id, PROFILE), actions, not_requested, part="user")
            for each in owned:
                still_mine = MembershipItem.role == Role.OWNER.value
                write.check(MembershipItem, user.id, member_sk(each.pk), still_mine, part="user")
                if each in shared:
                    another = WorkspaceItem.owners > 1
                    write.update(WorkspaceItem(each.pk, PROFILE), [WorkspaceItem.owners.add(-1)], another, part=each.pk)
                else:
                    unchanged = WorkspaceItem.deleted_at.exists() if each.deleted_at else WorkspaceItem.members == 1
                    write.check(WorkspaceItem, each.pk, PROFILE, unchanged, part="user")
            write.save(due_erasure(user.id, due_at))
            save_events(write, events)
            save_mail(write, mail)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            sole = tuple(each.pk for each in shared if each.pk in error.parts)
            if sole:
                raise SoleOwner(sole) from error
            raise Conflict("The account was changed meanwhile. Try again.") from error

    def restore(self, user: User, *, events: Sequence[AuditEvent]) -> None:
        def attempt() -> None:
            item = self._item(user.id)
            if item.status == UserStatus.ERASED.value:
                raise NotFound
            if item.deletion_due_at:
                self._restore(item, events)

        retrying(attempt, on=TransactionFailed, busy=BUSY, tries_max=TRIES_MAX, pause=pause_with_jitter)

    def _restore(self, item: UserItem, events: Sequence[AuditEvent]) -> None:
        released = item.released or set()
        # An organisation that was erased meanwhile must not come back as a counter.
        found = batch_read([(WorkspaceItem, workspace_id, PROFILE) for workspace_id in released]) if released else {}
        kept = {workspace_id for _, workspace_id, _ in found}

        with transaction() as write:
            actions = [UserItem.deletion_due_at.remove(), UserItem.released.remove()]
            unchanged = UserItem.deletion_due_at.exists() & is_value(UserItem.released, item.released)
            # Nothing comes back once the erasure has begun.
            unchanged &= UserItem.status != UserStatus.ERASED.value
            write.update(UserItem(item.pk, PROFILE), actions, unchanged, part="user")
            for workspace_id in sorted(kept):
                exists = WorkspaceItem.pk.exists()
                write.update(WorkspaceItem(workspace_id, PROFILE), [WorkspaceItem.owners.add(1)], exists, part="user")
            write.delete(due_erasure(item.pk, parse_rfc3339(str(item.deletion_due_at))))
            save_events(write, events)

    def _item(self, user_id: str) -> UserItem:
        try:
            return UserItem.get(user_id, PROFILE, consistent_read=True)
        except DoesNotExist as error:
            raise NotFound from error

    def _owned_organizations(self, user_id: str) -> list[WorkspaceItem]:
        memberships = MembershipItem.query(user_id, MembershipItem.sk.startswith("member#"), consistent_read=True)
        owned = [item.sk.removeprefix("member#") for item in memberships if item.role == Role.OWNER.value]
        found = batch_read([(WorkspaceItem, workspace_id, PROFILE) for workspace_id in owned]) if owned else {}
        items = [item for item in found.values() if isinstance(item, WorkspaceItem)]
        return [item for item in items if item.workspace_kind == "organization"]
