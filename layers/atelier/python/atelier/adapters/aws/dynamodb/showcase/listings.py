"""ListingStore on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    ItemAddress,
    Transaction,
    batch_read,
    newest_page,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.showcase.items import (
    BY_TIME,
    CONTENT,
    ITEMS,
    LISTING,
    PLACE,
    ListingItem,
    ListingPlaceItem,
    SnapshotItem,
    listing_item,
    listing_of,
    place_item,
    snapshot_item,
    snapshot_of,
)
from atelier.audit_log.model import AuditEvent
from atelier.errors import NotFound
from atelier.ledger.ports import StaleWallet
from atelier.showcase.model import Listing, ListingChanged, ListingExists, ListingStatus, Snapshot
from atelier.showcase.ports import ListingPage

BUSY = "The listing is busy. Try again."
TRIES_MAX = 60


class DynamoListings:
    """ListingStore on DynamoDB. The audit log's items must be bound to their table."""

    def __init__(self, table_name: str) -> None:
        for item in ITEMS:
            item.bind(table_name)

    def create(self, listing: Listing, snapshot: Snapshot, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            write.save(listing_item(listing), ListingItem.pk.does_not_exist(), part="listing")
            write.save(place_item(listing))
            write.save(snapshot_item(listing.id, snapshot))
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise ListingExists from error

    def find(self, listing_id: str) -> Listing:
        try:
            place = ListingPlaceItem.get(listing_id, PLACE, consistent_read=True)
            return listing_of(ListingItem.get(place.workspace_id, LISTING + listing_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def find_all(self, listing_ids: Collection[str]) -> Sequence[Listing]:
        addresses: list[ItemAddress] = [(ListingPlaceItem, id, PLACE) for id in dict.fromkeys(listing_ids)]
        places = batch_read(addresses) if addresses else {}
        found: list[ItemAddress] = [
            (ListingItem, cast("ListingPlaceItem", places[each]).workspace_id, LISTING + each[1])
            for each in addresses
            if each in places
        ]
        return read_listings(found)

    def snapshot(self, listing_id: str) -> Snapshot:
        try:
            return snapshot_of(SnapshotItem.get(listing_id, CONTENT, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def change(self, before: Listing, after: Listing, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            write.save(listing_item(after), ListingItem.version == before.version, part="listing")
            write.save(place_item(after))
            save_events(write, events)

        write_change(fill)

    def page(self, workspace_id: str, after_key: str | None, limit: int) -> ListingPage:
        items, next_key = newest_page(
            ListingItem,
            workspace_id,
            (LISTING, LISTING + "~"),
            matching=None,
            after=after_key,
            limit=limit,
            mostly_matching=True,
        )
        return ListingPage(tuple(map(listing_of, items)), next_key)

    def newest(self, after_key: str | None, limit: int) -> ListingPage:
        # The key of a page: the prefix, the time of publication, the workspace and the listing.
        _, at, pk, listing_id = (after_key or "###").split("#")
        place = {"public": BY_TIME, "starts_at": at, "pk": pk, "sk": LISTING + listing_id}
        start = {name: {"S": value} for name, value in place.items()} if after_key else None
        found = ListingItem.by_time.query(
            BY_TIME, scan_index_forward=False, limit=limit, page_size=limit, last_evaluated_key=start
        )
        addresses: list[ItemAddress] = [(ListingItem, item.pk, item.sk) for item in found]
        last = cast("dict[str, Any] | None", found.last_evaluated_key)
        next_key = None
        if last:
            next_key = f"newest#{last['starts_at']['S']}#{last['pk']['S']}#{last['sk']['S'].removeprefix(LISTING)}"
        return ListingPage(tuple(visible(read_listings(addresses))), next_key)


def read_listings(addresses: Sequence[ItemAddress]) -> list[Listing]:
    """The listings at these addresses that exist, in this order."""
    items = batch_read(addresses) if addresses else {}
    return [listing_of(cast("ListingItem", items[each])) for each in addresses if each in items]


def visible(listings: Sequence[Listing]) -> list[Listing]:
    """Those that everybody sees: an index may still have what was hidden a moment ago."""
    return [each for each in listings if each.status is ListingStatus.VISIBLE]


def write_change(fill: Callable[[Transaction], None]) -> None:
    """Write a transaction; raises ListingChanged, or StaleWallet when nothing but wallets had changed."""
    try:
        write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
    except ConditionsFailed as error:
        raise (ListingChanged if error.parts - {"wallet"} else StaleWallet) from error
