"""Calls with API tokens in the requests table.

    pk calls#wsp_…  sk <month, such as 2026-11>

TTL deletes a counter some time after its month.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pynamodb.attributes import NumberAttribute
from pynamodb.exceptions import DoesNotExist, PynamoDBException

from atelier.adapters.aws.dynamodb import Item
from atelier.errors import Unavailable

RETENTION = timedelta(days=400)
CALLS_PREFIX = "calls#"


class ApiCallsItem(Item):
    """The counter of one workspace and month."""

    total = NumberAttribute()
    expires_at_seconds = NumberAttribute()


class DynamoApiCalls:
    """CallCounters on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the requests table."""
        ApiCallsItem.bind(table_name)

    def add(self, workspace_id: str, month: str, count: int) -> int:
        forgotten_at = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC) + RETENTION
        item = ApiCallsItem(_pk(workspace_id), month)
        try:
            item.update(
                actions=[
                    ApiCallsItem.total.add(count),
                    ApiCallsItem.expires_at_seconds.set(int(forgotten_at.timestamp())),
                ]
            )
        except PynamoDBException as error:
            raise Unavailable("The counter of calls does not answer.") from error
        return int(item.total)

    def used(self, workspace_id: str, month: str) -> int:
        """How many calls are counted."""
        try:
            return int(ApiCallsItem.get(_pk(workspace_id), month, consistent_read=True).total)
        except DoesNotExist:
            return 0


def _pk(workspace_id: str) -> str:
    return f"{CALLS_PREFIX}{workspace_id}"
