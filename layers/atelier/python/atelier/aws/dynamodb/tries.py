"""What SDKs' requests go by, in the requests table.

    pk try#wsp_…#<fingerprint>  sk try

Overwritten by the next request that says the same; deleted by TTL.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.aws.dynamodb import Item

# Three tries of half a minute, and the longest pauses between them that an SDK makes.
KNOWN_FOR = timedelta(minutes=10)


class TryItem(Item):
    """One request's name."""

    name = UnicodeAttribute()
    expires_at_seconds = NumberAttribute()


class DynamoTries:
    """Tries on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the requests table."""
        TryItem.bind(table_name)

    def remember(self, workspace_id: str, fingerprint: str, name: str, now: datetime) -> None:
        until = int((now + KNOWN_FOR).timestamp())
        TryItem(f"try#{workspace_id}#{fingerprint}", "try", name=name, expires_at_seconds=until).save()

    def recall(self, workspace_id: str, fingerprint: str, now: datetime) -> str | None:
        try:
            found = TryItem.get(f"try#{workspace_id}#{fingerprint}", "try", consistent_read=True)
        except DoesNotExist:
            return None
        return found.name if found.expires_at_seconds > now.timestamp() else None
