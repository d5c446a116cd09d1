"""DueMails on DynamoDB: one partition for each shard, in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    batch_read,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.identity.items import IdentityItem
from atelier.adapters.aws.dynamodb.identity.mails import save_mail
from atelier.adapters.aws.dynamodb.notifications.items import (
    DUE_SHARDS,
    DueMailItem,
    NotificationItem,
    decode_notification,
    due_pk,
)
from atelier.clock import rfc3339
from atelier.mails.mail import MailRequest
from atelier.notifications.model import Notification
from atelier.notifications.send_mails import DueMail

BUSY = "The mails are busy just now."
TRIES_MAX = 10


class DynamoDueMails:
    """DueMails on DynamoDB."""

    def __init__(self, notifications_table: str, identity_table: str) -> None:
        for item in (NotificationItem, DueMailItem):
            item.bind(notifications_table)
        IdentityItem.bind(identity_table)

    @property
    def shards(self) -> int:
        return DUE_SHARDS

    def due(self, shard: int, now: datetime, after: str | None, limit: int) -> Sequence[DueMail]:
        # `~` is above each character of an id, so what is due at this very millisecond is in it.
        last, pk = f"{rfc3339(now)}#~", f"due#{shard}"
        lowest = f"{after}\0" if after else "0"
        if lowest > last:
            return []
        items = DueMailItem.query(pk, DueMailItem.sk.between(lowest, last), consistent_read=True, limit=limit)
        keys = [(item.sk, *item.sk.split("#")) for item in items]
        return [DueMail(user_id, notification_id, key) for key, _, user_id, notification_id in keys]

    def settle(self, user_id: str, due: Sequence[DueMail], mail: MailRequest | None) -> bool:
        def write_all(write: Transaction) -> None:
            for each in due:
                write.delete(DueMailItem(due_pk(user_id), each.key), DueMailItem.pk.exists(), part="due")
            if mail is not None:
                save_mail(write, mail)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return False
        return True

    def notifications(self, due: Sequence[DueMail]) -> Sequence[Notification]:
        addresses = [(NotificationItem, each.user_id, each.notification_id) for each in due]
        found = batch_read(addresses)
        items = [item for address in addresses if isinstance(item := found.get(address), NotificationItem)]
        return list(map(decode_notification, items))
