"""Product events in the exports table.

pk wsp_…  sk track#<time, 10 characters of a ULID>#<digest>   one event; deleted by TTL after RETENTION
pk wsp_…  sk tracking                                         that the workspace has switched them off
"""

from __future__ import annotations

from collections.abc import Sequence

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import CompactJSON, Item, conditional, transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.exports.records import RawItem, Row, query_page, time_prefix
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.exports.model import Export
from atelier.exports.ports import RecordPage
from atelier.exports.track import RETENTION, ProductEvent

SWITCH = "tracking"


class ProductEventItem(Item):
    """One event."""

    id = UnicodeAttribute(null=True)
    name = UnicodeAttribute()
    happened_at = UnicodeAttribute()
    received_at = UnicodeAttribute()
    user_id = UnicodeAttribute()
    token_id = UnicodeAttribute(null=True)
    properties = CompactJSON(null=True)
    expires_at_seconds = NumberAttribute()


class TrackingItem(Item):
    """The switch of a workspace; without one its events are kept."""

    is_on = NumberAttribute()


class DynamoProductEvents:
    """ProductEventStore, and the Records of exported events, on DynamoDB."""

    def __init__(self, table: str) -> None:
        self._table = table
        for item in (ProductEventItem, TrackingItem):
            item.bind(table)

    def is_on(self, workspace_id: str) -> bool:
        try:
            return bool(TrackingItem.get(workspace_id, SWITCH).is_on)
        except DoesNotExist:
            return True

    def switch(self, workspace_id: str, is_on: bool, events: Sequence[AuditEvent]) -> None:
        with transaction() as write:
            write.save(TrackingItem(workspace_id, SWITCH, is_on=int(is_on)))
            save_events(write, events)

    def add(self, event: ProductEvent) -> bool:
        item = ProductEventItem(
            event.workspace_id,
            f"track#{time_prefix('evt', event.at)[4:]}#{event.key}",
            id=event.id,
            name=event.name,
            happened_at=rfc3339(event.at),
            received_at=rfc3339(event.received_at),
            user_id=event.user_id,
            token_id=event.token_id,
            properties=event.properties or None,
            expires_at_seconds=int((event.received_at + RETENTION).timestamp()),
        )
        return conditional(lambda: item.save(condition=ProductEventItem.pk.does_not_exist()))

    def page(self, export: Export, after: str | None) -> RecordPage:
        """One page of the events that happened in the time, and were received before the cut."""
        lowest, highest = (f"track#{time_prefix('evt', at)[4:]}" for at in (export.begin, export.end))
        items, last = query_page(self._table, export.workspace_id, (lowest, highest), after)
        cut_at = rfc3339(export.cut_at)
        return RecordPage([_row(item) for item in items if item["received_at"]["S"] < cut_at], last)


def _row(item: RawItem) -> Row:
    names = ("id", "name", "happened_at", "received_at", "user_id", "token_id", "properties")
    return tuple(item[name]["S"] if name in item else None for name in names)
