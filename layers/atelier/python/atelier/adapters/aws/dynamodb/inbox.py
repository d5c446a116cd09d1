"""The inbox table: every webhook as it was received, stored before it is answered.

pk <provider>#att_…  sk <event id>     raw body, headers, and the generation's address
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pynamodb.attributes import BinaryAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute

from atelier.adapters.aws.dynamodb import Item, conditional
from atelier.clock import parse_rfc3339, rfc3339
from atelier.generations.ports import StoredWebhook

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
        provider: str,
        attempt_id: str,
        event_id: str,
        address: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> bool:
        item = WebhookItem(
            f"{provider}#{attempt_id}",
            event_id,
            address=dict(address),
            headers=dict(headers),
            body=body,
            received_at=rfc3339(now),
            expires_at_seconds=int((now + LIFETIME).timestamp()),
        )
        return conditional(lambda: item.save(condition=WebhookItem.pk.does_not_exist()))

    def find(self, provider: str, attempt_id: str) -> list[StoredWebhook]:
        items = WebhookItem.query(f"{provider}#{attempt_id}", consistent_read=True, limit=50)
        return [StoredWebhook(item.headers, item.body, parse_rfc3339(item.received_at)) for item in items]
