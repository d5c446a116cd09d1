"""ReactionStore on DynamoDB."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import cast

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    ItemAddress,
    Transaction,
    batch_read,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.showcase.items import (
    FOLLOW,
    ITEMS,
    LIKE,
    LIKES,
    SHARDS,
    LikeItem,
    ListingVisitItem,
)
from atelier.adapters.aws.dynamodb.showcase.marks import make_due
from atelier.clock import rfc3339

BUSY = "Many people like this just now. Try again."
TRIES_MAX = 60


class DynamoReactions:
    """ReactionStore on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        for item in ITEMS:
            item.bind(table_name)

    def like(self, listing_id: str, user_id: str, now: datetime) -> None:
        item = LikeItem(user_id, LIKE + listing_id, at=rfc3339(now))

        def fill(write: Transaction) -> None:
            write.save(item, LikeItem.pk.does_not_exist(), part="like")
            make_due(write, listing_id, now, sk=_shard(user_id), liked_by=1)

        # Without the condition, the person likes it already.
        with suppress(ConditionsFailed):
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)

    def unlike(self, listing_id: str, user_id: str, now: datetime) -> None:
        def fill(write: Transaction) -> None:
            write.delete(LikeItem(user_id, LIKE + listing_id), LikeItem.pk.exists(), part="like")
            make_due(write, listing_id, now, sk=_shard(user_id), liked_by=-1)

        with suppress(ConditionsFailed):
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)

    def likes_it(self, listing_id: str, user_id: str) -> bool:
        try:
            LikeItem.get(user_id, LIKE + listing_id, consistent_read=True)
        except DoesNotExist:
            return False
        return True

    def likes(self, listing_id: str) -> int:
        return count_likes(listing_id)

    def followed(self, user_id: str) -> Sequence[str]:
        found = LikeItem.query(user_id, LikeItem.sk.startswith(FOLLOW), consistent_read=True)
        return [item.sk.removeprefix(FOLLOW) for item in found]

    def follow(self, creator_id: str, user_id: str, now: datetime) -> None:
        LikeItem(user_id, FOLLOW + creator_id, at=rfc3339(now)).save()

    def unfollow(self, creator_id: str, user_id: str) -> None:
        LikeItem(user_id, FOLLOW + creator_id).delete()


def count_likes(listing_id: str) -> int:
    """How many people like a listing (consistent read)."""
    addresses: list[ItemAddress] = [(ListingVisitItem, listing_id, f"{LIKES}{shard}") for shard in range(SHARDS)]
    return sum(int(cast("ListingVisitItem", item).liked_by) for item in batch_read(addresses).values())


def _shard(user_id: str) -> str:
    return f"{LIKES}{zlib.crc32(user_id.encode()) % SHARDS}"
