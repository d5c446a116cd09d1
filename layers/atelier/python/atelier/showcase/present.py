"""Answer the requests about the showcase: each function calls a use case and builds its view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from atelier import cursors
from atelier.caller import Caller
from atelier.errors import NotFound, ValidationFailed
from atelier.ids import is_id
from atelier.showcase.buy import Acquirer, Bought, Collected, own_purchase
from atelier.showcase.deps import ShowcaseDeps
from atelier.showcase.model import Listing, ListingStatus, Purchase
from atelier.showcase.rules import LICENCES
from atelier.showcase.schemas import (
    CollectedView,
    CreatorView,
    EarningsView,
    EarningView,
    LicenceView,
    ListingEnvelope,
    ListingList,
    ListingView,
    MineView,
    OwnListingEnvelope,
    OwnListingList,
    OwnListingView,
    OwnWorksQuery,
    PayoutView,
    PurchaseEnvelope,
    PurchaseList,
    PurchaseView,
    ShareView,
    ShowcaseQuery,
)

# How somebody who spends credits is known: by the permission for it.
SPENDS = "generations.create"
# Who may read the earnings of another member.
PUBLISHES = "showcase.publish"
# The thumbnail has the same key for all formats; this one names none.
ANY_FORMAT = "png"


def buyer_of(caller: Caller, request_key: str | None = None) -> Acquirer:
    """The caller as somebody who buys."""
    return Acquirer(caller.workspace_id, caller.user_id, caller.has_permission(SPENDS), request_key)


def list_showcase(deps: ShowcaseDeps, query: ShowcaseQuery, now: datetime) -> ListingList:
    """A page of what everybody sees."""
    page = deps.listings.newest(_newest_key(query.cursor), query.limit)
    return ListingList(items=_views(page.listings, deps, now), next_cursor=cursors.encode(page.next_key))


def read_listing(deps: ShowcaseDeps, listing_id: str, now: datetime) -> ListingEnvelope:
    """One listing that everybody sees. Raises NotFound."""
    listing = deps.listings.find(listing_id)
    if listing.status is not ListingStatus.VISIBLE:
        raise NotFound
    return ListingEnvelope(listing=_views([listing], deps, now)[0])


def read_mine(deps: ShowcaseDeps, caller: Caller, listing_id: str, now: datetime) -> MineView:
    """What a listing is to the caller: one that everybody sees, or that the workspace has published or bought. Raises
    NotFound."""
    listing = deps.listings.find(listing_id)
    purchase = deps.purchases.purchase(caller.workspace_id, listing_id)
    is_yours = listing.workspace_id == caller.workspace_id
    if not is_yours and purchase is None and listing.status is not ListingStatus.VISIBLE:
        raise NotFound
    view = _own_views([listing], deps, now)[0] if is_yours else _views([listing], deps, now)[0]
    return MineView(listing=view, is_yours=is_yours, purchase=purchase_view(purchase) if purchase else None)


def own_envelope(listing: Listing, deps: ShowcaseDeps, now: datetime) -> OwnListingEnvelope:
    """The response with one of the workspace's listings."""
    return OwnListingEnvelope(listing=_own_views([listing], deps, now)[0])


def list_own(deps: ShowcaseDeps, caller: Caller, query: OwnWorksQuery, now: datetime) -> OwnListingList:
    """A page of the workspace's listings."""
    page = deps.listings.page(caller.workspace_id, cursors.decode(query.cursor, "listing#"), query.limit)
    items = _own_views(page.listings, deps, now)
    return OwnListingList(items=items, next_cursor=cursors.encode(page.next_key))


def purchase_envelope(bought: Bought) -> PurchaseEnvelope:
    """The receipt."""
    return PurchaseEnvelope(purchase=purchase_view(bought.purchase))


def read_purchase(deps: ShowcaseDeps, caller: Caller, listing_id: str) -> PurchaseEnvelope:
    """The receipt of a listing that the workspace has bought. Raises NotFound."""
    return PurchaseEnvelope(purchase=purchase_view(own_purchase(listing_id, buyer_of(caller), deps)))


def list_purchases(deps: ShowcaseDeps, caller: Caller, query: OwnWorksQuery) -> PurchaseList:
    """A page of what the workspace has bought."""
    page = deps.purchases.purchases(caller.workspace_id, cursors.decode(query.cursor, "purchase#"), query.limit)
    items = [purchase_view(each) for each in page.purchases]
    return PurchaseList(items=items, next_cursor=cursors.encode(page.next_key))


def collected_view(collected: Collected) -> CollectedView:
    """The response to a collection."""
    view = purchase_view(collected.purchase)
    return CollectedView(purchase=view, id=collected.id, asset_ids=list(collected.asset_ids))


def read_earnings(deps: ShowcaseDeps, caller: Caller, user_id: str, query: OwnWorksQuery) -> EarningsView:
    """What a person has earned in the caller's workspace: for that person, and for who publishes there. Raises
    NotFound."""
    total = deps.purchases.earned(caller.workspace_id, user_id)
    if caller.user_id != user_id and not (caller.has_permission(PUBLISHES) and total.earned):
        raise NotFound
    after = cursors.decode(query.cursor, f"earning#{user_id}#")
    page = deps.purchases.earnings(caller.workspace_id, user_id, after, query.limit)
    names = EarningView.model_fields
    return EarningsView(
        user_id=user_id,
        earned_credits=total.earned,
        taken_back_credits=total.taken_back,
        balance_credits=total.earned - total.taken_back,
        sales=total.sales,
        payout=PayoutView(),
        items=[EarningView(**{name: getattr(each, name) for name in names}) for each in page.earnings],
        next_cursor=cursors.encode(page.next_key),
    )


def purchase_view(purchase: Purchase) -> PurchaseView:
    """The response form of a purchase."""
    same = ("id", "listing_id", "title", "price_credits", "created_at", "collected_at")
    return PurchaseView(
        **{name: getattr(purchase, name) for name in same},
        fee_credits=purchase.split.fee,
        shares=[ShareView.model_validate({"role": s.role, "credits": s.credits}) for s in purchase.split.shares],
        state=purchase.state.value,
        refundable_until=purchase.refundable_until(),
    )


def licence_view(id: str) -> LicenceView:
    """The response form of a licence."""
    licence = LICENCES[id]
    return LicenceView(
        id=id,
        name=licence.name,
        url=licence.url,
        allows_remix=licence.allows_remix,
        allows_commercial_use=licence.allows_commercial_use,
    )


def _views(listings: Sequence[Listing], deps: ShowcaseDeps, now: datetime) -> list[ListingView]:
    names = deps.people.names([each.user_id for each in listings])
    return [_view(each, names, deps, now) for each in listings]


def _own_views(listings: Sequence[Listing], deps: ShowcaseDeps, now: datetime) -> list[OwnListingView]:
    return [
        OwnListingView(**view.model_dump(), status=each.status.value, subject_id=each.subject_id, reason=each.reason)
        for each, view in zip(listings, _views(listings, deps, now), strict=True)
    ]


def _view(listing: Listing, names: Mapping[str, str], deps: ShowcaseDeps, now: datetime) -> ListingView:
    same = ("id", "media_type", "title", "description", "price_credits", "sales", "likes", "published_at", "created_at")
    shown = deps.urls(listing.id, listing.thumbnail, ANY_FORMAT, now)[1] if listing.thumbnail else None
    return ListingView(
        **{name: getattr(listing, name) for name in same},
        kind=listing.kind.value,
        tags=list(listing.tags),
        licence=licence_view(listing.licence),
        disclosure=listing.disclosure.value,
        creator=CreatorView(user_id=listing.user_id, name=names.get(listing.user_id, "")),
        made_from=[each.listing_id for each in listing.ancestors],
        thumbnail_url=shown,
    )


def _newest_key(cursor: str | None) -> str | None:
    """The key in a cursor of the newest listings. Raises ValidationFailed for one that this list never gave."""
    key = cursors.decode(cursor, "newest#")
    parts = (key or "").split("#")
    if key is not None and not (len(parts) == 4 and is_id(parts[2], "wsp") and is_id(parts[3], "lst")):
        raise ValidationFailed([{"path": "query.cursor", "message": "is not a cursor of this list"}])
    return key
