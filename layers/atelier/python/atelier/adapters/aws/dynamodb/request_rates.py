"""Rate windows in the requests table.

    pk rate#<subject>  sk <seconds since 1970 at which the window starts>

There is one counter for each window and subject; TTL deletes it some time after the window has passed.
"""

from __future__ import annotations

from datetime import datetime

from pynamodb.attributes import NumberAttribute
from pynamodb.exceptions import PynamoDBException

from atelier.adapters.aws.dynamodb import Item, conditional
from atelier.errors import Unavailable


class RequestRateItem(Item):
    """One window of one subject."""

    total = NumberAttribute()
    expires_at_seconds = NumberAttribute()


class DynamoRequestRates:
    """RateWindows on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the requests table."""
        RequestRateItem.bind(table_name)

    def add(self, subject: str, count: int, window_seconds: int, now: datetime) -> int:
        """Raises Unavailable when the counter cannot be written."""
        try:
            return self._add(subject, count, window_seconds, now, limit=None)
        except PynamoDBException as error:
            raise Unavailable("The rate counter does not answer.") from error

    def try_add_one(self, subject: str, limit: int, window_seconds: int, now: datetime) -> bool:
        return conditional(lambda: self._add(subject, 1, window_seconds, now, limit=limit))

    def _add(self, subject: str, count: int, window_seconds: int, now: datetime, limit: int | None) -> int:
        start = int(now.timestamp()) // window_seconds * window_seconds
        item = RequestRateItem(f"rate#{subject}", str(start))
        item.update(
            actions=[
                RequestRateItem.total.add(count),
                RequestRateItem.expires_at_seconds.set(start + 2 * window_seconds),
            ],
            condition=None
            if limit is None
            else RequestRateItem.total.does_not_exist() | (RequestRateItem.total < limit),
        )
        return int(item.total)
