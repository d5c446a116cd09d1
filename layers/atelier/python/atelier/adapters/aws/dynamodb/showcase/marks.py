"""Parts of transactions that the stores of the showcase share: a listing becomes due, an event goes into its outbox."""

from __future__ import annotations

from datetime import datetime

from atelier.adapters.aws.dynamodb import Transaction
from atelier.adapters.aws.dynamodb.showcase.items import (
    DUE_OF,
    OUTBOX,
    VISIT,
    ListingOutboxItem,
    ListingVisitItem,
)
from atelier.clock import rfc3339
from atelier.events.event import Event, payload
from atelier.events.showcase_events import ListingChange, ListingRoyalty, ListingSale
from atelier.showcase.model import Listing, ListingStatus, Purchase

CHANGES = {
    ListingStatus.PENDING: "submitted",
    ListingStatus.VISIBLE: "approved",
    ListingStatus.HIDDEN: "hidden",
    ListingStatus.REJECTED: "rejected",
    ListingStatus.REMOVED: "removed",
}

# What a sale, or its refund, means to those who get a royalty of it.
ROYALTIES = {"sold": "royalty_earned", "refunded": "royalty_taken_back"}


def make_due(write: Transaction, listing_id: str, now: datetime, *, sk: str = VISIT, liked_by: int = 0) -> None:
    """Add to a transaction that a listing is due. sk: the item that says so; liked_by: a change of the likes in it."""
    item = ListingVisitItem
    actions = [item.due_of.set(DUE_OF), item.due_at.set(rfc3339(now)), item.version.add(1)]
    actions += [item.liked_by.add(liked_by)] if liked_by else []
    write.update(ListingVisitItem(listing_id, sk), actions)


def tell_status(write: Transaction, listing: Listing) -> None:
    """Add to a transaction the event of a listing's present status."""
    at, change = rfc3339(listing.updated_at), CHANGES[listing.status]
    facts = listing.workspace_id, listing.id, listing.user_id, change, listing.version, listing.title, at
    put_event(write, listing.id, ListingChange(*facts))
    make_due(write, listing.id, listing.updated_at)


def tell_sale(write: Transaction, listing: Listing, purchase: Purchase, change: str) -> None:
    """Add to a transaction the events of a sale, or of its refund: the seller's, and one for each royalty."""
    at, got = rfc3339(purchase.updated_at), 0
    for share in purchase.split.shares:
        if share.role == "seller":
            got += share.credits
        else:
            facts = share.workspace_id, listing.id, purchase.id, share.user_id, ROYALTIES[change], listing.title
            put_event(write, listing.id, ListingRoyalty(*facts, share.credits, at))
    sale = listing.workspace_id, listing.id, purchase.id, listing.user_id, change, listing.title, got
    put_event(write, listing.id, ListingSale(*sale, at))
    make_due(write, listing.id, purchase.updated_at)


def put_event(write: Transaction, listing_id: str, event: Event) -> None:
    """Add to a transaction an event that waits to be published."""
    key = f"{OUTBOX}{event.occurred_at}#{event.id.replace('#', ' ')}"
    write.save(ListingOutboxItem(listing_id, key, type=event.type, detail=payload(event)))
