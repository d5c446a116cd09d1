"""Revocations on DynamoDB: one set of user ids for each quarter of an hour.

    pk revoked   sk <seconds since 1970 at which the quarter starts>

An access token lives ten minutes, so this quarter's set and the one before it have everybody who counts."""

from __future__ import annotations

from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeSetAttribute
from pynamodb.exceptions import PynamoDBException

from atelier.adapters.aws.dynamodb import batch_read
from atelier.adapters.aws.dynamodb.identity.items import IdentityItem
from atelier.errors import Unavailable

REVOKED = "revoked"
WINDOW_SECONDS = 900


class RevokedUsersItem(IdentityItem, discriminator="revoked-users"):
    """The users of one quarter of an hour."""

    user_ids = UnicodeSetAttribute()
    expires_at_seconds = NumberAttribute()


class DynamoRevocations:
    """Revocations on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

    def add(self, user_id: str, now: datetime) -> None:
        start = _start(now)
        expiry = RevokedUsersItem.expires_at_seconds.set(start + 3 * WINDOW_SECONDS)
        RevokedUsersItem(REVOKED, str(start)).update(actions=[RevokedUsersItem.user_ids.add({user_id}), expiry])

    def users(self, now: datetime) -> frozenset[str]:
        start = _start(now)
        windows = [(RevokedUsersItem, REVOKED, str(each)) for each in (start, start - WINDOW_SECONDS)]
        try:
            found = batch_read([], eventual=windows).values()
        except PynamoDBException as error:
            raise Unavailable("The list of ended sessions does not answer.") from error
        return frozenset[str]().union(*(item.user_ids for item in found if isinstance(item, RevokedUsersItem)))


def _start(now: datetime) -> int:
    return int(now.timestamp()) // WINDOW_SECONDS * WINDOW_SECONDS
