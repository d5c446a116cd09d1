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
    BY_TREND,
    CONTENT,
    IN_REVIEW,
    ITEMS,
    LISTING,
    PLACE,
    REPORT,
    REVIEW_OF,
    TAG,
    WORD,
    WORK,
    FoundListingItem,
    ListingItem,
    ListingPlaceItem,
    ReportItem,
    SnapshotItem,
    listing_item,
    listing_of,
    place_item,
    report_item,
    report_of,
    snapshot_item,
    snapshot_of,
)
from atelier.adapters.aws.dynamodb.showcase.marks import tell_status
from atelier.audit_log.model import AuditEvent
from atelier.errors import NotFound
from atelier.ledger.ports import StaleWallet
from atelier.showcase.model import Listing, ListingChanged, ListingExists, ListingStatus, Report, Snapshot
from atelier.showcase.ports import ListingPage
from atelier.showcase.words import words_of

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
            tell_status(write, listing)
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

    def has_snapshot(self, listing_id: str) -> bool:
        try:
            self.snapshot(listing_id)
        except NotFound:
            return False
        return True

    def drop_snapshot(self, listing_id: str) -> None:
        SnapshotItem(listing_id, CONTENT).delete()

    def change(
        self, before: Listing, after: Listing, events: Sequence[AuditEvent], *, report: Report | None = None
    ) -> None:
        def fill(write: Transaction) -> None:
            write.save(listing_item(after), ListingItem.version == before.version, part="listing")
            write.save(place_item(after))
            if report is not None:
                write.save(report_item(report), ReportItem.pk.does_not_exist(), part="report")
            if before.status is not after.status:
                _put_findings(write, before, after)
                tell_status(write, after)
            save_events(write, events)

        write_change(fill)

    def has_reported(self, listing_id: str, user_id: str) -> bool:
        try:
            ReportItem.get(listing_id, REPORT + user_id, consistent_read=True)
        except DoesNotExist:
            return False
        return True

    def reports(self, listing_id: str, limit: int) -> Sequence[Report]:
        found = ReportItem.query(listing_id, ReportItem.sk.startswith(REPORT), limit=limit)
        return list(map(report_of, found))

    def in_review(self, after_key: str | None, limit: int) -> ListingPage:
        start = _index_start(after_key, REVIEW_OF, "due_of", "due_at")
        found = ListingItem.due.query(REVIEW_OF, limit=limit, page_size=limit, last_evaluated_key=start)
        listings = read_listings([(ListingItem, item.pk, item.sk) for item in found])
        last = cast("dict[str, Any] | None", found.last_evaluated_key)
        return ListingPage(tuple(each for each in listings if each.status in IN_REVIEW), _index_key(last, "due_at"))

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
        start = _index_start(after_key, BY_TIME, "public", "starts_at")
        found = ListingItem.by_time.query(
            BY_TIME, scan_index_forward=False, limit=limit, page_size=limit, last_evaluated_key=start
        )
        addresses: list[ItemAddress] = [(ListingItem, item.pk, item.sk) for item in found]
        last = cast("dict[str, Any] | None", found.last_evaluated_key)
        return ListingPage(tuple(visible(read_listings(addresses))), _index_key(last, "starts_at"))

    def popular(self, after_key: str | None, limit: int) -> ListingPage:
        _, trend, listing_id = (after_key or "##").split("#")
        place = {"public": BY_TREND, "starts_at": trend, "pk": listing_id, "sk": PLACE}
        start = {name: {"S": value} for name, value in place.items()} if after_key else None
        found = ListingPlaceItem.by_trend.query(
            BY_TREND, scan_index_forward=False, limit=limit, page_size=limit, last_evaluated_key=start
        )
        ids = [item.pk for item in found]
        last = cast("dict[str, Any] | None", found.last_evaluated_key)
        next_key = f"popular#{last['starts_at']['S']}#{last['pk']['S']}" if last else None
        return ListingPage(tuple(visible(self.find_all(ids))), next_key)

    def found(self, by: str, before_id: str | None, limit: int) -> ListingPage:
        # Of a person the sort key has a prefix, so that the person's other items are apart.
        prefix = WORK if by.startswith("usr_") else ""
        bounds = (prefix + "lst_", prefix + "lst_~")
        after = prefix + before_id if before_id else None
        items, next_key = newest_page(
            FoundListingItem, by, bounds, matching=None, after=after, limit=limit, mostly_matching=True
        )
        addresses: list[ItemAddress] = [
            (ListingItem, item.workspace_id, LISTING + item.sk.removeprefix(prefix)) for item in items
        ]
        next_id = next_key.removeprefix(prefix) if next_key else None
        return ListingPage(tuple(visible(read_listings(addresses))), next_id)


def _put_findings(write: Transaction, before: Listing, after: Listing) -> None:
    """Add to a transaction how a listing is found, if that changes: by its words, its tags and its creator."""
    was, is_now = (each.status is ListingStatus.VISIBLE for each in (before, after))
    words = [(WORD + word, after.id) for word in words_of(after)]
    tags = [(TAG + tag, after.id) for tag in after.tags]
    for pk, sk in [*words, *tags, (after.user_id, WORK + after.id)] if was != is_now else ():
        item = FoundListingItem(pk, sk, workspace_id=after.workspace_id)
        if is_now:
            write.save(item)
        else:
            write.delete(item)


def _index_start(after_key: str | None, value: str, hash_key: str, range_key: str) -> dict[str, dict[str, str]] | None:
    """Where a page of an index of listings begins. after_key: a name, the range key, the workspace, the listing."""
    if after_key is None:
        return None
    _, at, pk, listing_id = after_key.split("#")
    place = {hash_key: value, range_key: at, "pk": pk, "sk": LISTING + listing_id}
    return {name: {"S": value} for name, value in place.items()}


def _index_key(last: dict[str, Any] | None, range_key: str) -> str | None:
    if last is None:
        return None
    return f"listing#{last[range_key]['S']}#{last['pk']['S']}#{last['sk']['S'].removeprefix(LISTING)}"


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
