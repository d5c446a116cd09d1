"""The audit table.

    pk wsp_…, usr_… or platform  sk event#adt_…                one event; the id begins with its time
    pk wsp_…, usr_… or platform  sk seal#<number, 12 digits>   one seal, in the form that is hashed and shown
    pk archive#<0-15>            sk <month>#<log>              a log has seals of a month, which will be archived

`audit_seals.py` reads events, and keeps seals and archives. Events are only ever put, under the condition that none has
their id; functions that write them may neither update nor delete items of this table.
"""

from __future__ import annotations

from collections.abc import Iterable

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from atelier.adapters.aws.dynamodb import (
    CompactJSON,
    Item,
    Transaction,
    conditional,
    retry_conflicts,
    transaction,
)
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339

EVENT_PREFIX = "event#"
# The name of the events' part of a transaction. It fails only if an id is written twice.
AUDIT_PART = "audit"
TRIES_MAX = 5


class AuditEventItem(Item):
    """One event."""

    at = UnicodeAttribute()
    action = UnicodeAttribute()
    actor = UnicodeAttribute(null=True)
    token_id = UnicodeAttribute(null=True)
    target = UnicodeAttribute(null=True)
    outcome = UnicodeAttribute()
    address = UnicodeAttribute(null=True)
    user_agent = UnicodeAttribute(null=True)
    request_id = UnicodeAttribute(null=True)
    facts = CompactJSON(null=True)
    # The event that says that a person was erased, after whose erasure this one has lost what named the person.
    erased = UnicodeAttribute(null=True)
    # Set when the event was archived, some time before it may go.
    expires_at_seconds = NumberAttribute(null=True)


def bind(table_name: str) -> None:
    """Name the audit table."""
    AuditEventItem.bind(table_name)


def save_events(write: Transaction, events: Iterable[AuditEvent]) -> None:
    """Add events to the transaction of the change that they tell (one put each). Their table must be bound."""
    for event in events:
        write.save(_item(event), AuditEventItem.pk.does_not_exist(), part=AUDIT_PART)


class DynamoAuditLog:
    """AuditLog on DynamoDB."""

    def append(self, *events: AuditEvent) -> None:
        if len(events) == 1:
            # The condition fails only when the SDK sent a write again that had succeeded.
            item = _item(events[0])
            conditional(lambda: item.save(condition=AuditEventItem.pk.does_not_exist()))
            return

        def write_all() -> None:
            with transaction() as write:
                save_events(write, events)

        if events:
            retry_conflicts(write_all, busy="The audit log is busy. Try again.", tries_max=TRIES_MAX)


def _item(event: AuditEvent) -> AuditEventItem:
    origin = event.origin
    return AuditEventItem(
        event.log,
        EVENT_PREFIX + event.id,
        at=rfc3339(event.at),
        action=event.action,
        actor=origin.user_id,
        token_id=origin.token_id,
        target=event.target,
        outcome=event.outcome,
        address=origin.address or None,
        user_agent=origin.user_agent or None,
        request_id=origin.request_id or None,
        facts=event.facts or None,
    )
