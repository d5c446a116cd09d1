"""NotificationStore on DynamoDB; `items.py` says how the items lie.

The counter of unread notifications, and the counters of an update, change in the transaction of what they count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action as UpdateAction

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    TransactionConflict,
    batch_read,
    newest_page,
    pause_with_jitter,
    transaction,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.identity.items import is_value, set_or_remove
from atelier.adapters.aws.dynamodb.notifications.items import (
    PREFERENCES,
    UNREAD,
    DueMailItem,
    NotificationItem,
    NotificationPreferencesItem,
    UnreadCountItem,
    decode_notification,
    decode_preferences,
    due_mail_item,
    expiry,
    notification_item,
    preferences_item,
)
from atelier.adapters.aws.dynamodb.notifications.update_items import UpdateCountItem, update_count_item
from atelier.clock import rfc3339
from atelier.errors import NotFound
from atelier.notifications.model import Notification, NotificationKind, Preferences, as_read
from atelier.notifications.ports import NotificationChanged, NotificationPage, NotificationView

FIRST, LAST = "ntf_", "ntf_~"
BUSY = "The notifications are busy just now. Try again."
TRIES_MAX = 10
BUSY_PAUSE = 2
BATCH_MAX = 100
# Read together: for each its item and perhaps a counter of its update, and one counter of unread ones.
READ_TOGETHER = 40
_IS_UNREAD = NotificationItem.read_at.does_not_exist() & NotificationItem.archived_at.does_not_exist()
_MATCHING: dict[NotificationView, Condition] = {
    NotificationView.CURRENT: NotificationItem.archived_at.does_not_exist(),
    NotificationView.UNREAD: _IS_UNREAD,
    NotificationView.ARCHIVED: NotificationItem.archived_at.exists(),
}


class DynamoNotifications:
    """NotificationStore on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        for item in (NotificationItem, UnreadCountItem, NotificationPreferencesItem, DueMailItem, UpdateCountItem):
            item.bind(table_name)

    def add(self, notification: Notification, mail_at: datetime | None = None) -> bool:
        def write_all(write: Transaction) -> None:
            write.save(notification_item(notification), NotificationItem.pk.does_not_exist(), part="notification")
            _count(write, notification.user_id, int(notification.is_unread))
            if mail_at is not None:
                write.save(due_mail_item(notification.user_id, notification.id, mail_at))

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return False
        return True

    def find(self, user_id: str, notification_id: str) -> Notification:
        try:
            return decode_notification(NotificationItem.get(user_id, notification_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def page(self, user_id: str, view: NotificationView, after_id: str | None, limit: int) -> NotificationPage:
        items, next_id = newest_page(
            NotificationItem,
            user_id,
            (FIRST, LAST),
            matching=_MATCHING[view],
            after=after_id,
            limit=limit,
            mostly_matching=view is NotificationView.CURRENT,
        )
        return NotificationPage(tuple(map(decode_notification, items)), next_id)

    def open_items(self, user_id: str, kind: NotificationKind, workspace_id: str) -> Sequence[Notification]:
        matching = NotificationItem.is_action_item.exists() & NotificationItem.acknowledged_at.does_not_exist()
        matching &= (NotificationItem.kind == kind.value) & (NotificationItem.workspace_id == workspace_id)
        return tuple(map(decode_notification, self._matching(user_id, matching)))

    def unread(self, user_id: str) -> int:
        try:
            return int(UnreadCountItem.get(user_id, UNREAD, consistent_read=True).unread or 0)
        except DoesNotExist:
            return 0

    def change(self, before: Notification, after: Notification) -> None:
        try:
            with transaction() as write:
                self._change(write, before, after)
                _count(write, after.user_id, after.is_unread - before.is_unread)
                _count_states(write, [(before, after)])
        except ConditionsFailed as error:
            raise NotificationChanged from error
        except TransactionConflict as error:
            pause_with_jitter(BUSY_PAUSE)
            raise NotificationChanged from error

    @staticmethod
    def _change(write: Transaction, before: Notification, after: Notification) -> None:
        unchanged, actions = NotificationItem.pk.exists(), list[UpdateAction]()
        for name in ("read_at", "acknowledged_at", "archived_at"):
            attribute, old, new = getattr(NotificationItem, name), getattr(before, name), getattr(after, name)
            unchanged &= is_value(attribute, rfc3339(old) if old else None)
            actions += [attribute.set(rfc3339(new))] if new != old else []
        actions.append(set_or_remove(NotificationItem.expires_at_seconds, expiry(after)))
        write.update(NotificationItem(after.user_id, after.id), actions, unchanged, part="notification")

    def read_all(self, user_id: str, now: datetime) -> int:
        count = 0
        while self.unread(user_id) > 0:
            unread = list(map(decode_notification, self._matching(user_id, _IS_UNREAD)))
            read = sum(
                self._read_together(unread[start : start + READ_TOGETHER], now)
                for start in range(0, len(unread), READ_TOGETHER)
            )
            count += read
            if not read:
                break
        return count

    def _read_together(self, unread: Sequence[Notification], now: datetime) -> int:
        """Read these in one transaction, or each by itself when one of them was changed meanwhile."""
        pairs = [(before, as_read(before, now)) for before in unread]
        try:
            with transaction() as write:
                for before, after in pairs:
                    self._change(write, before, after)
                _count(write, unread[0].user_id, -len(pairs))
                _count_states(write, pairs)
        except (ConditionsFailed, TransactionConflict):
            return sum(self._try_change(before, after) for before, after in pairs)
        return len(pairs)

    def _try_change(self, before: Notification, after: Notification) -> bool:
        try:
            self.change(before, after)
        except NotificationChanged:
            return False
        return True

    def preferences(self, user_ids: Iterable[str]) -> Mapping[str, Preferences]:
        addresses = [(NotificationPreferencesItem, user_id, PREFERENCES) for user_id in user_ids]
        found = dict[str, Preferences]()
        for start in range(0, len(addresses), BATCH_MAX):
            for item in batch_read(addresses[start : start + BATCH_MAX]).values():
                assert isinstance(item, NotificationPreferencesItem)
                found[item.pk] = decode_preferences(item)
        return found

    def save_preferences(self, user_id: str, preferences: Preferences) -> None:
        preferences_item(user_id, preferences).save()

    @staticmethod
    def _matching(user_id: str, matching: Condition) -> Iterator[NotificationItem]:
        between = NotificationItem.sk.between(FIRST, LAST)
        found: Iterator[NotificationItem] = NotificationItem.query(
            user_id, between, filter_condition=matching, consistent_read=True
        )
        return found


def _count(write: Transaction, user_id: str, change: int) -> None:
    if change:
        write.update(UnreadCountItem(user_id, UNREAD), [UnreadCountItem.unread.add(change)])


def _count_states(write: Transaction, pairs: Sequence[tuple[Notification, Notification]]) -> None:
    """Add to the counters of updates those that became read or acknowledged."""
    read, acknowledged = Counter[str](), Counter[str]()
    user_id = pairs[0][1].user_id
    for before, after in pairs:
        if after.update_id:
            read[after.update_id] += bool(after.read_at) - bool(before.read_at)
            acknowledged[after.update_id] += bool(after.acknowledged_at) - bool(before.acknowledged_at)
    for update_id in read:
        actions = [UpdateCountItem.read.add(read[update_id]), UpdateCountItem.acknowledged.add(acknowledged[update_id])]
        write.update(update_count_item(update_id, user_id), list[UpdateAction](actions))
