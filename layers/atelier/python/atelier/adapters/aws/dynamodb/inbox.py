"""The inbox table: every webhook as it was received, stored before it is answered.

pk <source>#<subject>  sk <event id>     raw body, headers, and the address that the source's handler takes

The source of a provider's webhook is the provider, and its subject the attempt: `replicate#att_…`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import BinaryAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute

from atelier.adapters.aws.dynamodb import Item, conditional
from atelier.clock import parse_rfc3339, rfc3339
from atelier.inbox.dispatch import ArrivedWebhook
from atelier.inbox.ports import StoredWebhook

LIFETIME = timedelta(days=30)


class WebhookItem(Item):
    """One webhook. The table's stream carries the whole item to its reader."""

    address = JSONAttribute()
    headers = JSONAttribute()
    body = BinaryAttribute(legacy_encoding=False)
    received_at = UnicodeAttribute()
    expires_at_seconds = NumberAttribute()


class DynamoInbox:
    """WebhookInbox on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the inbox's table."""
        WebhookItem.bind(table_name)

    def keep(
        self,
        source: str,
        subject: str,
        event_id: str,
        address: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> bool:
        item = WebhookItem(
            f"{source}#{subject}",
            event_id,
            address=dict(address),
            headers=dict(headers),
            body=body,
            received_at=rfc3339(now),
            expires_at_seconds=int((now + LIFETIME).timestamp()),
        )
        return conditional(lambda: item.save(condition=WebhookItem.pk.does_not_exist()))

    def find(self, source: str, subject: str) -> list[StoredWebhook]:
        items = WebhookItem.query(f"{source}#{subject}", consistent_read=True, limit=50)
        return [StoredWebhook(item.headers, item.body, parse_rfc3339(item.received_at)) for item in items]


def arrived_webhooks(records: Sequence[Mapping[str, Any]]) -> Iterator[ArrivedWebhook]:
    """The new webhooks in a batch of the table's stream (DynamoDB JSON, with the new image)."""
    for record in records:
        if record["eventName"] == "INSERT":
            keys, image = record["dynamodb"]["Keys"], record["dynamodb"]["NewImage"]
            source, _, _ = keys["pk"]["S"].partition("#")
            yield ArrivedWebhook(source, keys["sk"]["S"], json.loads(image["address"]["S"]))
