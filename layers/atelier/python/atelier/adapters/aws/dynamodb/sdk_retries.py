"""Retries of requests to `/v1` by SDKs, in the requests table.

    pk try#wsp_…#<fingerprint>  sk try

All retries of a request share one item with the name of its order. The condition of the write decides which of several
parallel retries sets the name. The item is replaced once the order has ended, and deleted by TTL.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import Item, conditional
from atelier.openai_api.ports import OrderEntry
from atelier.retrying import retrying

# Longer than a generation's deadline and RESULT_WAITS together.
LIFETIME = timedelta(hours=3)
READ_ATTEMPTS_MAX = 3


class SdkRetryItem(Item):
    """The name of one request's order, and whether it was answered."""

    name = UnicodeAttribute()
    expires_at_seconds = NumberAttribute()
    answered = BooleanAttribute(null=True)


class DynamoSdkRetries:
    """Tries on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the requests table."""
        SdkRetryItem.bind(table_name)

    def claim(
        self, workspace_id: str, fingerprint: str, name: str, now: datetime, *, instead_of: str | None = None
    ) -> OrderEntry:
        """See the port. Raises Unavailable when parallel requests write and delete the item at every attempt."""
        free = SdkRetryItem.pk.does_not_exist() | (SdkRetryItem.expires_at_seconds <= int(now.timestamp()))
        if instead_of is not None:
            free |= SdkRetryItem.name == instead_of
        until = int((now + LIFETIME).timestamp())
        item = SdkRetryItem(f"try#{workspace_id}#{fingerprint}", "try", name=name, expires_at_seconds=until)

        def attempt() -> OrderEntry:
            if conditional(lambda: item.save(condition=free)):
                return OrderEntry(name)
            found = SdkRetryItem.get(item.pk, item.sk, consistent_read=True)
            return OrderEntry(found.name, bool(found.answered))

        # The item may have been deleted between the write and the read.
        return retrying(attempt, on=DoesNotExist, busy="The database is busy. Try again.", tries_max=READ_ATTEMPTS_MAX)

    def mark_answered(self, workspace_id: str, fingerprint: str, name: str) -> None:
        item = SdkRetryItem(f"try#{workspace_id}#{fingerprint}", "try")
        conditional(lambda: item.update([SdkRetryItem.answered.set(True)], condition=SdkRetryItem.name == name))
