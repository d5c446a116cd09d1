"""RankStore on DynamoDB."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import cast

from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    ConditionsFailed,
    ItemAddress,
    Transaction,
    batch_read,
    conditional,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.showcase.items import (
    DUE_OF,
    LISTING,
    OUTBOX,
    ListingItem,
    ListingOutboxItem,
    ListingVisitItem,
    place_item,
)
from atelier.adapters.aws.dynamodb.showcase.listings import BUSY, TRIES_MAX, DynamoListings
from atelier.adapters.aws.dynamodb.showcase.reactions import count_likes
from atelier.clock import rfc3339
from atelier.events.catalogue import parse
from atelier.events.event import Event
from atelier.showcase.model import Listing
from atelier.showcase.ports import DueListing

EVENTS_MAX = 100


class DynamoRanks:
    """RankStore on DynamoDB."""

    def __init__(self, listings: DynamoListings) -> None:
        self._listings = listings

    def due(self, now: datetime, limit: int) -> Sequence[DueListing]:
        found = ListingVisitItem.due.query(
            DUE_OF, ListingVisitItem.due_at <= rfc3339(now), limit=limit, page_size=limit
        )
        addresses: list[ItemAddress] = [(ListingVisitItem, item.pk, item.sk) for item in found]
        items = batch_read(addresses) if addresses else {}
        marks: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        for address in addresses:
            if (item := cast("ListingVisitItem | None", items.get(address))) is not None and item.due_at:
                marks[item.pk].append((item.sk, int(item.version)))
        return [DueListing(id, tuple(each)) for id, each in marks.items()]

    def settle(self, due: DueListing) -> None:
        item = ListingVisitItem
        for sk, version in due.marks:
            settled: list[Action] = [item.due_of.remove(), item.due_at.remove()]
            update = partial(ListingVisitItem(due.listing_id, sk).update, settled, condition=item.version == version)
            conditional(update, CONFLICT_CODES)

    def find(self, listing_id: str) -> Listing:
        return self._listings.find(listing_id)

    def likes(self, listing_id: str) -> int:
        return count_likes(listing_id)

    def save_rank(self, before: Listing, after: Listing) -> bool:
        item = ListingItem
        actions = [item.likes.set(after.likes), item.ranked_sales.set(after.ranked_sales), item.version.add(1)]
        actions += [] if after.trend is None else [item.trend.set(after.trend)]

        def fill(write: Transaction) -> None:
            stored = ListingItem(before.workspace_id, LISTING + before.id)
            write.update(stored, actions, item.version == before.version, part="listing")
            write.save(place_item(after))

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return False
        return True

    def outbox(self, listing_id: str) -> Sequence[tuple[str, Event]]:
        found = ListingOutboxItem.query(
            listing_id, ListingOutboxItem.sk.startswith(OUTBOX), consistent_read=True, limit=EVENTS_MAX
        )
        return [(item.sk, parse(item.type, item.detail)) for item in found]

    def published(self, listing_id: str, key: str) -> None:
        ListingOutboxItem(listing_id, key).delete()
