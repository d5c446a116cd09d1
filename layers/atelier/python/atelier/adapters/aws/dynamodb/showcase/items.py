"""The items of the showcase, in the community table, and their values.

    pk wsp_…  sk listing#lst_…             a listing, in the workspace of whoever published it
    pk lst_…  sk place                     whose listing it is
    pk lst_…  sk content                   the copy of the work that its buyers get
    pk wsp_…  sk purchase#lst_…            that the workspace has the listing, and when its price is paid
    pk wsp_…  sk earning#usr_…#pur_…       what the workspace got of a purchase, for the work of a person
    pk wsp_…  sk earned#usr_…              the sums of these
    pk lst_…  sk visit                     when the listing is due
    pk lst_…  sk outbox#<time>#<event>     an event that was not published yet
    pk lst_…  sk report#usr_…              that a person has reported it
    pk lst_…  sk likes#<shard>             how many of the people in this shard like it
    pk usr_…  sk like#lst_…, follow#usr_…  what a person likes, and whom they follow
    pk usr_…  sk work#lst_…                what everybody sees of a person
    pk word#…, tag#…  sk lst_…             in which listings that everybody sees a word is, or a tag

A listing that a moderator has to look at is in the index `due`; one that everybody sees is in the index `public` by the
time of its publication, and its place by its trend."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from atelier.adapters.aws.dynamodb import CompactJSON, Item
from atelier.clock import parse_rfc3339, rfc3339
from atelier.showcase.model import (
    Ancestor,
    Disclosure,
    EarnedTotal,
    Earning,
    Listing,
    ListingStatus,
    Purchase,
    PurchaseState,
    Report,
    Share,
    Snapshot,
    SnapshotFile,
    Split,
    WorkKind,
)

LISTING, PURCHASE, EARNING, EARNED = "listing#", "purchase#", "earning#", "earned#"
OUTBOX, REPORT, LIKES, LIKE, FOLLOW, WORK = "outbox#", "report#", "likes#", "like#", "follow#", "work#"
WORD, TAG, VISIT = "word#", "tag#", "visit"
# Parallel likes of a listing write to so many items.
SHARDS = 8
DUE_OF, PAYMENTS_DUE_OF = "listings", "purchases"
PLACE, CONTENT = "place", "content"
REVIEW_OF, BY_TIME, BY_TREND = "listing-reviews", "listings", "listings-by-trend"
IN_REVIEW = frozenset({ListingStatus.PENDING, ListingStatus.HIDDEN})


class _ReviewDue(GlobalSecondaryIndex["ListingItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_of = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class _ListingsByTime(GlobalSecondaryIndex["ListingItem"]):
    class Meta:
        index_name = "public"
        projection = KeysOnlyProjection()

    public = UnicodeAttribute(hash_key=True)
    place = UnicodeAttribute(range_key=True, attr_name="starts_at")


class _PlacesByTrend(GlobalSecondaryIndex["ListingPlaceItem"]):
    class Meta:
        index_name = "public"
        projection = KeysOnlyProjection()

    public = UnicodeAttribute(hash_key=True)
    trend = UnicodeAttribute(range_key=True, attr_name="starts_at")


class _PaymentsDue(GlobalSecondaryIndex["PurchaseItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_of = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class _ListingsDue(GlobalSecondaryIndex["ListingVisitItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_of = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class ListingItem(Item):
    """One listing. due_of, due_at: there while a moderator has to look at it. public, place: there while everybody sees
    it; the place is the time of publication, in an attribute that the table's index has for all contexts."""

    user_id = UnicodeAttribute()
    kind = UnicodeAttribute()
    subject_id = UnicodeAttribute()
    media_type = UnicodeAttribute()
    title = UnicodeAttribute()
    description = UnicodeAttribute(null=True)
    tags = CompactJSON(null=True)
    licence = UnicodeAttribute()
    price_credits = NumberAttribute()
    disclosure = UnicodeAttribute()
    status = UnicodeAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    thumbnail = UnicodeAttribute(null=True)
    ancestors = CompactJSON(null=True)
    published_at = UnicodeAttribute(null=True)
    sales = NumberAttribute(default=0)
    likes = NumberAttribute(default=0)
    trend = NumberAttribute(null=True)
    ranked_sales = NumberAttribute(default=0)
    reports = NumberAttribute(default=0)
    appeals = NumberAttribute(default=0)
    reason = UnicodeAttribute(null=True)
    version = NumberAttribute()
    due_of = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    public = UnicodeAttribute(null=True)
    place = UnicodeAttribute(null=True, attr_name="starts_at")
    due = _ReviewDue()
    by_time = _ListingsByTime()


class ListingPlaceItem(Item):
    """Whose a listing is, by its id alone. public, trend: there while everybody sees it."""

    workspace_id = UnicodeAttribute()
    public = UnicodeAttribute(null=True)
    trend = UnicodeAttribute(null=True, attr_name="starts_at")
    by_trend = _PlacesByTrend()


class ListingVisitItem(Item):
    """That a listing is due; version counts what made it due. liked_by: how many people like it, in the
    items of shards."""

    due_of = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    version = NumberAttribute(default=0)
    liked_by = NumberAttribute(default=0)
    due = _ListingsDue()


class ListingOutboxItem(Item):
    """An event that was not published yet."""

    type = UnicodeAttribute()
    detail = CompactJSON()


class ReportItem(Item):
    """One report."""

    reason = UnicodeAttribute()
    text = UnicodeAttribute(null=True)
    at = UnicodeAttribute()


class LikeItem(Item):
    """That a person likes a listing, or follows a creator."""

    at = UnicodeAttribute()


class FoundListingItem(Item):
    """That a listing is found by a word, a tag or its creator; whose it is."""

    workspace_id = UnicodeAttribute()


class SnapshotItem(Item):
    """The copy of a work."""

    files = CompactJSON(null=True)
    document = CompactJSON(null=True)


class PurchaseItem(Item):
    """One purchase. due_of, due_at: there while its price is in escrow; due_at is pays_at, or later when a payment
    failed."""

    purchase_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    title = UnicodeAttribute()
    price_credits = NumberAttribute()
    fee = NumberAttribute()
    shares = CompactJSON(null=True)
    state = UnicodeAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    collected_at = UnicodeAttribute(null=True)
    refunded_before = NumberAttribute(null=True)
    request_key = UnicodeAttribute(null=True)
    pays_at = UnicodeAttribute(null=True)
    due_of = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    due = _PaymentsDue()


class EarningItem(Item):
    """What one purchase brings. waits: there while its price is in escrow. Those of 2026 have no paid_at: they were
    paid at once."""

    listing_id = UnicodeAttribute()
    title = UnicodeAttribute()
    role = UnicodeAttribute()
    credits = NumberAttribute()
    price_credits = NumberAttribute()
    at = UnicodeAttribute()
    taken_back_at = UnicodeAttribute(null=True)
    waits = NumberAttribute(null=True)
    paid_at = UnicodeAttribute(null=True)


class EarnedTotalItem(Item):
    """The sums of a person's earnings."""

    earned = NumberAttribute(default=0)
    taken_back = NumberAttribute(default=0)
    sales = NumberAttribute(default=0)
    waiting = NumberAttribute(default=0)


ITEMS: tuple[type[Item], ...] = (
    ListingItem,
    ListingPlaceItem,
    SnapshotItem,
    PurchaseItem,
    EarningItem,
    EarnedTotalItem,
    ListingVisitItem,
    ListingOutboxItem,
    ReportItem,
    LikeItem,
    FoundListingItem,
)


def listing_item(listing: Listing) -> ListingItem:
    """The stored form of a listing."""
    in_review, is_public = listing.status in IN_REVIEW, listing.status is ListingStatus.VISIBLE
    return ListingItem(
        listing.workspace_id,
        LISTING + listing.id,
        user_id=listing.user_id,
        kind=listing.kind.value,
        subject_id=listing.subject_id,
        media_type=listing.media_type,
        title=listing.title,
        description=listing.description or None,
        tags=list(listing.tags) or None,
        licence=listing.licence,
        price_credits=listing.price_credits,
        disclosure=listing.disclosure.value,
        status=listing.status.value,
        created_at=rfc3339(listing.created_at),
        updated_at=rfc3339(listing.updated_at),
        thumbnail=listing.thumbnail,
        ancestors=[[a.listing_id, a.workspace_id, a.user_id, a.generation] for a in listing.ancestors] or None,
        published_at=time_text(listing.published_at),
        sales=listing.sales,
        likes=listing.likes,
        trend=listing.trend,
        ranked_sales=listing.ranked_sales,
        reports=listing.reports,
        appeals=listing.appeals,
        reason=listing.reason,
        version=listing.version,
        due_of=REVIEW_OF if in_review else None,
        due_at=rfc3339(listing.updated_at) if in_review else None,
        public=BY_TIME if is_public else None,
        place=time_text(listing.published_at) if is_public else None,
    )


def place_item(listing: Listing) -> ListingPlaceItem:
    """The stored place of a listing."""
    is_public = listing.status is ListingStatus.VISIBLE and listing.trend is not None
    item = ListingPlaceItem(listing.id, PLACE, workspace_id=listing.workspace_id)
    if is_public and listing.trend is not None:
        item.public, item.trend = BY_TREND, f"{listing.trend:020d}"
    return item


def listing_of(item: ListingItem) -> Listing:
    """The listing in an item."""
    return Listing(
        item.sk.removeprefix(LISTING),
        item.pk,
        item.user_id,
        WorkKind(item.kind),
        item.subject_id,
        item.media_type,
        item.title,
        item.description or "",
        tuple(item.tags or ()),
        item.licence,
        int(item.price_credits),
        Disclosure(item.disclosure),
        ListingStatus(item.status),
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        item.thumbnail,
        tuple(Ancestor(*each) for each in item.ancestors or ()),
        time_of(item.published_at),
        int(item.sales),
        int(item.likes),
        number_of(item.trend),
        int(item.ranked_sales),
        int(item.reports),
        int(item.appeals),
        item.reason,
        int(item.version),
    )


def snapshot_item(listing_id: str, snapshot: Snapshot) -> SnapshotItem:
    """The stored form of a copy."""
    files: list[Any] = [asdict(each) for each in snapshot.files]
    return SnapshotItem(listing_id, CONTENT, files=files or None, document=snapshot.document)


def snapshot_of(item: SnapshotItem) -> Snapshot:
    """The copy in an item."""
    return Snapshot(tuple(SnapshotFile(**each) for each in item.files or ()), item.document)


def report_item(report: Report) -> ReportItem:
    """The stored form of a report."""
    key = report.listing_id, REPORT + report.user_id
    return ReportItem(*key, reason=report.reason, text=report.text or None, at=rfc3339(report.at))


def report_of(item: ReportItem) -> Report:
    """The report in an item."""
    return Report(item.pk, item.sk.removeprefix(REPORT), item.reason, item.text or "", parse_rfc3339(item.at))


def purchase_item(purchase: Purchase) -> PurchaseItem:
    """The stored form of a purchase."""
    shares = [[s.workspace_id, s.user_id, s.credits, s.role] for s in purchase.split.shares]
    return PurchaseItem(
        purchase.workspace_id,
        PURCHASE + purchase.listing_id,
        purchase_id=purchase.id,
        user_id=purchase.user_id,
        title=purchase.title,
        price_credits=purchase.price_credits,
        fee=purchase.split.fee,
        shares=shares or None,
        state=purchase.state.value,
        created_at=rfc3339(purchase.created_at),
        updated_at=rfc3339(purchase.updated_at),
        collected_at=time_text(purchase.collected_at),
        refunded_before=1 if purchase.refunded_before else None,
        request_key=purchase.request_key,
        pays_at=time_text(purchase.pays_at),
        due_of=PAYMENTS_DUE_OF if purchase.pays_at else None,
        due_at=time_text(purchase.pays_at),
    )


def purchase_of(item: PurchaseItem) -> Purchase:
    """The purchase in an item."""
    return Purchase(
        item.purchase_id,
        item.sk.removeprefix(PURCHASE),
        item.pk,
        item.user_id,
        item.title,
        int(item.price_credits),
        Split(int(item.fee), tuple(Share(*each) for each in item.shares or ())),
        PurchaseState(item.state),
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        time_of(item.collected_at),
        bool(item.refunded_before),
        item.request_key,
        time_of(item.pays_at),
    )


def earning_item(purchase: Purchase, share: Share) -> EarningItem:
    """The stored form of a share of a purchase."""
    return EarningItem(
        share.workspace_id,
        f"{EARNING}{share.user_id}#{purchase.id}",
        listing_id=purchase.listing_id,
        title=purchase.title,
        role=share.role,
        credits=share.credits,
        price_credits=purchase.price_credits,
        at=rfc3339(purchase.created_at),
        waits=1,
    )


def earning_of(item: EarningItem) -> Earning:
    """The earning in an item."""
    _, user_id, purchase_id = item.sk.split("#")
    return Earning(
        purchase_id,
        item.listing_id,
        item.title,
        item.pk,
        user_id,
        item.role,
        int(item.credits),
        int(item.price_credits),
        parse_rfc3339(item.at),
        time_of(item.taken_back_at),
        None if item.waits or (item.taken_back_at and not item.paid_at) else time_of(item.paid_at or item.at),
    )


def total_of(item: EarnedTotalItem) -> EarnedTotal:
    """The sums in an item."""
    return EarnedTotal(int(item.earned), int(item.taken_back), int(item.sales), int(item.waiting))


def number_of(number: float | None) -> int | None:
    """A whole number from its stored form."""
    return None if number is None else int(number)


def time_text(at: datetime | None) -> str | None:
    """A time as it is stored."""
    return rfc3339(at) if at else None


def time_of(text: str | None) -> datetime | None:
    """A time from its stored form."""
    return parse_rfc3339(text) if text else None
