"""Profiles on DynamoDB.

A request for deletion takes the user out of the counter `owners` of each organisation, under the condition that another
owner remains, so that two owners who go at the same time cannot leave none. `released` names these organisations; their
counters are restored with the account. Of an organisation without other members the counter stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import ConditionsFailed, batch_read, retry_conflicts, transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.items import (
    PROFILE,
    IdentityItem,
    MembershipItem,
    UserItem,
    WorkspaceItem,
    decode_user,
    member_sk,
    set_or_remove,
)
from atelier.adapters.aws.dynamodb.identity.mails import save_mail
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.errors import Conflict, NotFound
from atelier.identity.delete_account import SoleOwner
from atelier.identity.model import User
from atelier.identity.permissions import Role
from atelier.mails.mail import MailRequest

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
        def write_all() -> None:
            with transaction() as write:
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
            retry_conflicts(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise NotFound from error

    def request_deletion(
        self, user: User, due_at: datetime, *, events: Sequence[AuditEvent], mail: MailRequest
    ) -> None:
        owned = self._owned_organizations(user.id)
        # Of the others the last member goes with this account.
        shared = [each for each in owned if (each.members or 1) > 1]

        def write_all() -> None:
            with transaction() as write:
                actions = [UserItem.deletion_due_at.set(rfc3339(due_at))]
                actions += [UserItem.released.set({each.pk for each in shared})] if shared else []
                not_requested = UserItem.pk.exists() & UserItem.deletion_due_at.does_not_exist()
                write.update(UserItem(user.id, PROFILE), actions, not_requested, part="user")
                for each in owned:
                    still_mine = MembershipItem.role == Role.OWNER.value
                    write.check(MembershipItem, user.id, member_sk(each.pk), still_mine, part="user")
                    if each in shared:
                        another = WorkspaceItem.owners > 1
                        write.update(
                            WorkspaceItem(each.pk, PROFILE), [WorkspaceItem.owners.add(-1)], another, part=each.pk
                        )
                    else:
                        alone = WorkspaceItem.members == 1
                        write.check(WorkspaceItem, each.pk, PROFILE, alone, part="user")
                save_events(write, events)
                save_mail(write, mail)

        try:
            retry_conflicts(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            sole = tuple(each.pk for each in shared if each.pk in error.parts)
            if sole:
                raise SoleOwner(sole) from error
            raise Conflict("The account was changed meanwhile. Try again.") from error

    def restore(self, user: User, *, events: Sequence[AuditEvent]) -> None:
        released = self._item(user.id).released or set()
        # An organisation that was erased meanwhile must not come back as a counter.
        found = batch_read([(WorkspaceItem, workspace_id, PROFILE) for workspace_id in released]) if released else {}
        kept = {workspace_id for _, workspace_id, _ in found}

        def write_all() -> None:
            with transaction() as write:
                actions = [UserItem.deletion_due_at.remove(), UserItem.released.remove()]
                write.update(UserItem(user.id, PROFILE), actions, UserItem.deletion_due_at.exists(), part="user")
                for workspace_id in sorted(kept):
                    exists = WorkspaceItem.pk.exists()
                    write.update(
                        WorkspaceItem(workspace_id, PROFILE), [WorkspaceItem.owners.add(1)], exists, part="user"
                    )
                save_events(write, events)

        try:
            retry_conflicts(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return

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
        return [item for item in items if item.workspace_kind == "organization" and not item.deleted_at]
