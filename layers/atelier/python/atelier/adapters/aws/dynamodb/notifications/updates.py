"""UpdateStore on DynamoDB; `update_items.py` says how the items lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import ConditionsFailed, Transaction, batch_read, newest_page, write_transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.items import is_value
from atelier.adapters.aws.dynamodb.notifications.items import (
    UNREAD,
    DueMailItem,
    NotificationItem,
    UnreadCountItem,
    due_mail_item,
    notification_item,
)
from atelier.adapters.aws.dynamodb.notifications.update_items import (
    COUNT_PREFIX,
    DUE,
    SHARD_PREFIX,
    UPDATES,
    DueUpdateItem,
    UpdateCountItem,
    UpdateItem,
    UpdateShardItem,
    decode_shard,
    decode_update,
    due_item,
    shard_item,
    update_item,
)
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.errors import NotFound
from atelier.notifications.update_ports import UpdateChanged, UpdateDelivery, UpdateExists, UpdatePage
from atelier.notifications.updates import ShardProgress, ShardState, Update, UpdateCounts, UpdateState

BUSY = "The update is busy just now. Try again."
TRIES_MAX = 20
UPDATE, SHARD = "update", "shard"
DUE_MAX = 100


class DynamoUpdates:
    """UpdateStore on DynamoDB. The audit table must be bound too."""

    def __init__(self, table_name: str) -> None:
        own = (UpdateItem, DueUpdateItem, UpdateShardItem, UpdateCountItem)
        for item in (*own, NotificationItem, UnreadCountItem, DueMailItem):
            item.bind(table_name)

    def create(self, update: Update, events: Sequence[AuditEvent]) -> None:
        def write_all(write: Transaction) -> None:
            write.save(update_item(update), UpdateItem.pk.does_not_exist(), part=UPDATE)
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise UpdateExists from error

    def get(self, update_id: str) -> Update:
        try:
            return decode_update(UpdateItem.get(UPDATES, update_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound("There is no such update.") from error

    def list(self, after_id: str | None, limit: int) -> UpdatePage:
        bounds = ("upd_", "upd_~")
        items, next_id = newest_page(UpdateItem, UPDATES, bounds, matching=None, after=after_id, limit=limit)
        return UpdatePage(tuple(map(decode_update, items)), next_id)

    def replace(self, before: Update, after: Update, events: Sequence[AuditEvent]) -> None:
        is_cancelled = after.state is UpdateState.CANCELLED and before.state is UpdateState.SENDING
        running = [each for each in self.shards(before.id) if each.state is ShardState.RUNNING] if is_cancelled else []

        def write_all(write: Transaction) -> None:
            write.save(update_item(after), UpdateItem.version == before.version, part=UPDATE)
            if before.send_at and (before.send_at != after.send_at or after.state is UpdateState.CANCELLED):
                write.delete(due_item(before))
            if after.state is UpdateState.SCHEDULED and before.send_at != after.send_at:
                write.save(due_item(after))
            for each in running:
                shard, is_running = shard_item(each), UpdateShardItem.state == ShardState.RUNNING.value
                write.update(shard, [UpdateShardItem.state.set(ShardState.CANCELLED.value)], is_running, part=SHARD)
            save_events(write, events)

        _write(write_all)

    def delete(self, update: Update, events: Sequence[AuditEvent]) -> None:
        def write_all(write: Transaction) -> None:
            write.delete(update_item(update), UpdateItem.version == update.version, part=UPDATE)
            save_events(write, events)

        _write(write_all)

    def due(self, now: datetime) -> Sequence[str]:
        last = DueUpdateItem.sk <= f"{rfc3339(now)}#~"
        return [item.sk.partition("#")[2] for item in DueUpdateItem.query(DUE, last, limit=DUE_MAX)]

    def begin(self, before: Update, after: Update, shards: int) -> None:
        def write_all(write: Transaction) -> None:
            write.save(update_item(after), UpdateItem.version == before.version, part=UPDATE)
            for shard in range(shards):
                write.save(shard_item(ShardProgress(after.id, shard)))

        _write(write_all)

    def set_queued(self, update: Update) -> None:
        due_item(update).delete()

    def shards(self, update_id: str) -> Sequence[ShardProgress]:
        begins = UpdateShardItem.sk.startswith(SHARD_PREFIX)
        return list(map(decode_shard, UpdateShardItem.query(update_id, begins, consistent_read=True)))

    def deliver(self, progress: ShardProgress, deliveries: Sequence[UpdateDelivery], after: ShardProgress) -> int:
        try:
            self._deliver(progress, deliveries, after)
        except ConditionsFailed as error:
            if SHARD in error.parts:
                raise UpdateChanged from error
            # Somebody who has changed the address is met in two places of the directory.
            return self.deliver(progress, _new(deliveries), after)
        return len(deliveries)

    @staticmethod
    def _deliver(progress: ShardProgress, deliveries: Sequence[UpdateDelivery], after: ShardProgress) -> None:
        is_next = UpdateShardItem.state == ShardState.RUNNING.value
        is_next &= is_value(UpdateShardItem.after, progress.after) & (UpdateShardItem.sent == progress.sent)

        def write_all(write: Transaction) -> None:
            moved = UpdateShardItem.after.set(after.after) if after.after else UpdateShardItem.after.remove()
            actions = [UpdateShardItem.state.set(after.state.value), moved, UpdateShardItem.sent.add(len(deliveries))]
            write.update(shard_item(progress), actions, is_next, part=SHARD)
            for each in deliveries:
                made = each.notification
                write.save(notification_item(made), NotificationItem.pk.does_not_exist(), part=made.user_id)
                if made.is_unread:
                    write.update(UnreadCountItem(made.user_id, UNREAD), [UnreadCountItem.unread.add(1)])
                if each.mail_at is not None:
                    write.save(due_mail_item(made.user_id, made.id, each.mail_at))

        write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)

    def set_sent(self, before: Update, after: Update) -> None:
        def write_all(write: Transaction) -> None:
            write.save(update_item(after), UpdateItem.version == before.version, part=UPDATE)

        _write(write_all)

    def counts(self, update_id: str) -> UpdateCounts:
        sent = sum(each.sent for each in self.shards(update_id))
        counted = list(UpdateCountItem.query(update_id, UpdateCountItem.sk.startswith(COUNT_PREFIX)))
        read = sum(int(item.read or 0) for item in counted)
        return UpdateCounts(sent, read, sum(int(item.acknowledged or 0) for item in counted))


def _write(write_all: Callable[[Transaction], None]) -> None:
    try:
        write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
    except ConditionsFailed as error:
        raise UpdateChanged from error


def _new(deliveries: Sequence[UpdateDelivery]) -> Sequence[UpdateDelivery]:
    """Those whose notification does not exist yet."""
    known = batch_read([(NotificationItem, each.notification.user_id, each.notification.id) for each in deliveries])
    have = {user_id for _, user_id, _ in known}
    return [each for each in deliveries if each.notification.user_id not in have]
