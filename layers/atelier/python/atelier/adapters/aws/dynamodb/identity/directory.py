"""UserDirectory on DynamoDB.

Index `directory` (directory, email): all users by address, keys only; a page's users are read in one batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from atelier.adapters.aws.dynamodb import ConditionsFailed, Item, Transaction, batch_read, write_transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.account_changes import end_sessions
from atelier.adapters.aws.dynamodb.identity.items import (
    DIRECTORY_STARTS,
    PROFILE,
    IdentityItem,
    UserItem,
    decode_user,
    directory_of,
)
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound, ValidationFailed
from atelier.identity.directory import NotSuspendable, UserPage, UserRecord
from atelier.identity.model import PLATFORM_ADMIN, Session, UserStatus
from atelier.identity.show_users import KEY_PREFIX
from atelier.retrying import LostRace

BUSY = "The account is busy just now. Try again."
TRIES_MAX = 5


class _ByEmail(GlobalSecondaryIndex["DirectoryEntry"]):
    class Meta:
        index_name = "directory"
        projection = KeysOnlyProjection()

    directory = UnicodeAttribute(hash_key=True)
    email = UnicodeAttribute(range_key=True)


class DirectoryEntry(Item):
    """A user's item as the index has it."""

    directory = UnicodeAttribute()
    email = UnicodeAttribute()
    by_email = _ByEmail()


class DynamoUserDirectory:
    """UserDirectory on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. Transactions also write to the audit table, which its own adapter binds."""
        IdentityItem.bind(table_name)
        DirectoryEntry.bind(table_name)

    def page(self, prefix: str, after: str | None, limit: int) -> UserPage:
        last = _parse(after)
        if last and not last[0].startswith(prefix):
            raise _not_a_cursor()
        found: list[DirectoryEntry] = []
        # A prefix lies in one partition; without one, all of them follow each other in the order of addresses.
        first = directory_of(last[0]) if last else directory_of(prefix)
        partitions = [first] if prefix else [f"users#{at}" for at in range(int(first[6:]), len(DIRECTORY_STARTS) + 1)]
        for partition in partitions:
            begins = DirectoryEntry.email.startswith(prefix) if prefix else None
            start = _start(last) if last and partition == first else None
            wanted = limit + 1 - len(found)
            found += DirectoryEntry.by_email.query(
                partition, begins, limit=wanted, page_size=wanted, last_evaluated_key=start
            )
            if len(found) > limit:
                break
        page = found[:limit]
        addresses = [(UserItem, entry.pk, PROFILE) for entry in page]
        items = batch_read(addresses) if addresses else {}
        users = [item for address in addresses if isinstance(item := items.get(address), UserItem)]
        next_key = KEY_PREFIX + json.dumps([page[-1].email, page[-1].pk]) if len(found) > limit else None
        return UserPage(tuple(map(_record, users)), next_key)

    def record(self, user_id: str) -> UserRecord:
        return _record(_item(user_id))

    def suspend(
        self, before: UserRecord, reason: str, at: datetime, *, ended: Sequence[Session], events: Sequence[AuditEvent]
    ) -> bool:
        user_id = before.user.id

        def write_all(write: Transaction) -> None:
            actions = [
                UserItem.status.set(UserStatus.SUSPENDED.value),
                UserItem.suspended_at.set(rfc3339(at)),
                UserItem.suspension_reason.set(reason),
            ]
            may_be = (UserItem.status == UserStatus.ACTIVE.value) & (UserItem.platform_role != PLATFORM_ADMIN)
            # Each new session writes it, so none was opened since the sessions were read.
            may_be &= UserItem.last_login_at == rfc3339(before.last_login_at)
            write.update(UserItem(user_id, PROFILE), actions, may_be, part="user")
            end_sessions(write, ended, at)
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            item = _item(user_id)
            if item.status == UserStatus.SUSPENDED.value:
                return False
            if item.status == UserStatus.ACTIVE.value and item.platform_role != PLATFORM_ADMIN:
                raise LostRace from error
            raise NotSuspendable from error
        return True

    def unsuspend(self, user_id: str, *, events: Sequence[AuditEvent]) -> bool:
        def write_all(write: Transaction) -> None:
            actions = [
                UserItem.status.set(UserStatus.ACTIVE.value),
                UserItem.suspended_at.remove(),
                UserItem.suspension_reason.remove(),
            ]
            suspended = UserItem.status == UserStatus.SUSPENDED.value
            write.update(UserItem(user_id, PROFILE), actions, suspended, part="user")
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            _item(user_id)
            return False
        return True


def _item(user_id: str) -> UserItem:
    try:
        return UserItem.get(user_id, PROFILE, consistent_read=True)
    except DoesNotExist as error:
        raise NotFound("There is no such user.") from error


def _record(item: UserItem) -> UserRecord:
    return UserRecord(
        decode_user(item),
        parse_rfc3339(item.last_login_at),
        parse_rfc3339(item.suspended_at) if item.suspended_at else None,
        item.suspension_reason,
    )


def _parse(after: str | None) -> tuple[str, str] | None:
    if after is None:
        return None
    try:
        email, user_id = map(str, json.loads(after.removeprefix(KEY_PREFIX)))
    except (ValueError, TypeError) as error:
        raise _not_a_cursor() from error
    return email, user_id


def _not_a_cursor() -> ValidationFailed:
    return ValidationFailed([{"path": "query.cursor", "message": "is not a cursor of this list"}])


def _start(last: tuple[str, str]) -> dict[str, Any]:
    email, user_id = last
    values = {"directory": directory_of(email), "email": email, "pk": user_id, "sk": PROFILE}
    return {name: {"S": value} for name, value in values.items()}
