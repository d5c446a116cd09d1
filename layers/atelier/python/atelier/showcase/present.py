"""Answer the requests about the showcase: each function calls a use case and builds its view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from atelier import cursors
from atelier.caller import Caller
from atelier.errors import NotFound, ValidationFailed
from atelier.ids import is_id
from atelier.showcase.buy import Acquirer, Bought, Collected, own_purchase
from atelier.showcase.deps import FileUrls, ShowcaseDeps
from atelier.showcase.model import Listing, ListingStatus, Purchase
from atelier.showcase.ports import ListingPage
from atelier.showcase.rules import (
    FEE_PERCENT,
    LICENCES,
    PRICE_CREDITS_MAX,
    REFUND_WITHIN,
    REPORT_REASONS,
    ROYALTY_PERCENT_BY_GENERATION,
    SEARCHED_MAX,
)
from atelier.showcase.schemas import (
    CollectedView,
    CreatorView,
    EarningsView,
    EarningView,
    LicenceView,
    LikeView,
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
    ReportView,
    ReviewedListingEnvelope,
    ReviewedListingView,
    ReviewQueue,
    ShareView,
    ShowcaseQuery,
    ShowcaseRules,
    SplitRuleView,
)
from atelier.showcase.words import search_words, words_of

# How somebody who spends credits is known: by the permission for it.
SPENDS = "generations.create"
# Who may read the earnings of another member.
PUBLISHES = "showcase.publish"
# The thumbnail has the same key for all formats; this one names none.
ANY_FORMAT = "png"
REPORTS_SHOWN = 20
SEARCHED_TOGETHER = 50


def buyer_of(caller: Caller, request_key: str | None = None) -> Acquirer:
    """The caller as somebody who buys."""
    return Acquirer(caller.workspace_id, caller.user_id, caller.has_permission(SPENDS), request_key)


def list_showcase(deps: ShowcaseDeps, query: ShowcaseQuery, now: datetime) -> ListingList:
    """A page of what everybody sees, or of what a search finds."""
    words = search_words(query.q or "")
    if query.q is not None and not words:
        return ListingList(items=[], next_cursor=None)
    by = _found_by(query, words)
    if by is not None:
        page = find_listings(by, words, query, deps)
    elif query.order == "popular":
        page = deps.listings.popular(_key(query.cursor, "popular#", ("lst",)), query.limit)
    else:
        page = deps.listings.newest(_key(query.cursor, "listing#", ("wsp", "lst")), query.limit)
    return ListingList(items=_views(page.listings, deps, now), next_cursor=cursors.encode(page.next_key))


def find_listings(by: str, words: Sequence[str], query: ShowcaseQuery, deps: ShowcaseDeps) -> ListingPage:
    """A page of what is found by a word, a tag or a creator, and is all else that the query wants. It looks at
    SEARCHED_MAX listings at most, so a page may be short though there are more."""
    before, found, seen = _key(query.cursor, "lst_", ()), list[Listing](), 0
    while seen < SEARCHED_MAX:
        part = deps.listings.found(by, before, SEARCHED_TOGETHER)
        for listing in part.listings:
            if _is_wanted(listing, words, query):
                found.append(listing)
            if len(found) == query.limit:
                return ListingPage(tuple(found), listing.id)
        before, seen = part.next_key, seen + SEARCHED_TOGETHER
        if before is None:
            break
    return ListingPage(tuple(found), before)


def list_followed(deps: ShowcaseDeps, caller: Caller, query: OwnWorksQuery, now: datetime) -> ListingList:
    """A page of what those publish whom the caller follows, newest first."""
    before = _key(query.cursor, "lst_", ())
    pages = [deps.listings.found(user_id, before, query.limit) for user_id in deps.reactions.followed(caller.user_id)]
    found = [each for page in pages for each in page.listings]
    newest = sorted(found, key=lambda listing: listing.id, reverse=True)[: query.limit]
    next_key = newest[-1].id if len(newest) == query.limit else None
    return ListingList(items=_views(newest, deps, now), next_cursor=cursors.encode(next_key))


def read_listing(deps: ShowcaseDeps, listing_id: str, now: datetime) -> ListingEnvelope:
    """One listing that everybody sees. Raises NotFound."""
    listing = deps.listings.find(listing_id)
    if listing.status is not ListingStatus.VISIBLE:
        raise NotFound
    listing = replace(listing, likes=deps.reactions.likes(listing_id))
    return ListingEnvelope(listing=_views([listing], deps, now)[0])


def read_mine(deps: ShowcaseDeps, caller: Caller, listing_id: str, now: datetime) -> MineView:
    """What a listing is to the caller: one that everybody sees, or that the workspace has published or bought. Raises
    NotFound."""
    listing = deps.listings.find(listing_id)
    purchase = deps.purchases.purchase(caller.workspace_id, listing_id)
    is_yours = listing.workspace_id == caller.workspace_id
    if not is_yours and purchase is None and listing.status is not ListingStatus.VISIBLE:
        raise NotFound
    listing = replace(listing, likes=deps.reactions.likes(listing_id))
    view = _own_views([listing], deps, now)[0] if is_yours else _views([listing], deps, now)[0]
    return MineView(
        listing=view,
        is_yours=is_yours,
        purchase=purchase_view(purchase, now) if purchase else None,
        likes_it=deps.reactions.likes_it(listing_id, caller.user_id),
        follows_creator=listing.user_id in deps.reactions.followed(caller.user_id),
    )


def like_view(deps: ShowcaseDeps, caller: Caller, listing_id: str) -> LikeView:
    """The response to a like."""
    likes_it = deps.reactions.likes_it(listing_id, caller.user_id)
    return LikeView(likes=deps.reactions.likes(listing_id), likes_it=likes_it)


def rules() -> ShowcaseRules:
    """What publishing and buying go by."""
    return ShowcaseRules(
        split=SplitRuleView(
            fee_percent=FEE_PERCENT,
            royalty_percent_by_generation=list(ROYALTY_PERCENT_BY_GENERATION),
            refund_hours=int(REFUND_WITHIN.total_seconds() // 3600),
        ),
        licences=list(map(licence_view, LICENCES)),
        report_reasons=list(REPORT_REASONS),
        price_credits_max=PRICE_CREDITS_MAX,
    )


def list_reviews(deps: ShowcaseDeps, query: OwnWorksQuery, now: datetime) -> ReviewQueue:
    """A page of what waits for a moderator."""
    page = deps.listings.in_review(_key(query.cursor, "listing#", ("wsp", "lst")), query.limit)
    items = _own_views(page.listings, deps, now)
    return ReviewQueue(items=items, next_cursor=cursors.encode(page.next_key))


def reviewed_envelope(listing: Listing, deps: ShowcaseDeps, now: datetime) -> ReviewedListingEnvelope:
    """The response with a listing, for moderators."""
    snapshot = deps.listings.snapshot(listing.id)
    names = ReportView.model_fields
    reports = [
        ReportView(**{name: getattr(each, name) for name in names})
        for each in deps.listings.reports(listing.id, REPORTS_SHOWN)
    ]
    urls = [deps.urls(listing.id, file.sha256, file.format, now)[0] for file in snapshot.files]
    return ReviewedListingEnvelope(
        listing=ReviewedListingView(
            **_own_views([listing], deps, now)[0].model_dump(),
            workspace_id=listing.workspace_id,
            appeals=listing.appeals,
            reports=reports,
            file_urls=urls,
            document=snapshot.document,
        )
    )


def own_envelope(listing: Listing, deps: ShowcaseDeps, now: datetime) -> OwnListingEnvelope:
    """The response with one of the workspace's listings."""
    return OwnListingEnvelope(listing=_own_views([listing], deps, now)[0])


def list_own(deps: ShowcaseDeps, caller: Caller, query: OwnWorksQuery, now: datetime) -> OwnListingList:
    """A page of the workspace's listings."""
    page = deps.listings.page(caller.workspace_id, cursors.decode(query.cursor, "listing#"), query.limit)
    items = _own_views(page.listings, deps, now)
    return OwnListingList(items=items, next_cursor=cursors.encode(page.next_key))


def purchase_envelope(bought: Bought, now: datetime) -> PurchaseEnvelope:
    """The receipt."""
    return PurchaseEnvelope(purchase=purchase_view(bought.purchase, now))


def read_purchase(deps: ShowcaseDeps, caller: Caller, listing_id: str, now: datetime) -> PurchaseEnvelope:
    """The receipt of a listing that the workspace has bought. Raises NotFound."""
    return PurchaseEnvelope(purchase=purchase_view(own_purchase(listing_id, buyer_of(caller), deps), now))


def list_purchases(deps: ShowcaseDeps, caller: Caller, query: OwnWorksQuery, now: datetime) -> PurchaseList:
    """A page of what the workspace has bought."""
    page = deps.purchases.purchases(caller.workspace_id, cursors.decode(query.cursor, "purchase#"), query.limit)
    items = [purchase_view(each, now) for each in page.purchases]
    return PurchaseList(items=items, next_cursor=cursors.encode(page.next_key))


def collected_view(collected: Collected, now: datetime) -> CollectedView:
    """The response to a collection."""
    view = purchase_view(collected.purchase, now)
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
        balance_credits=total.earned - total.taken_back - total.waiting,
        waiting_credits=total.waiting,
        sales=total.sales,
        payout=PayoutView(),
        items=[EarningView(**{name: getattr(each, name) for name in names}) for each in page.earnings],
        next_cursor=cursors.encode(page.next_key),
    )


def purchase_view(purchase: Purchase, now: datetime) -> PurchaseView:
    """The response form of a purchase."""
    same = ("id", "listing_id", "title", "price_credits", "created_at", "collected_at")
    return PurchaseView(
        **{name: getattr(purchase, name) for name in same},
        fee_credits=purchase.split.fee,
        shares=[ShareView.model_validate({"role": s.role, "credits": s.credits}) for s in purchase.split.shares],
        state=purchase.state.value,
        refundable_until=purchase.refundable_until(now),
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
    return ListingView(
        **{name: getattr(listing, name) for name in same},
        kind=listing.kind.value,
        tags=list(listing.tags),
        licence=licence_view(listing.licence),
        disclosure=listing.disclosure.value,
        creator=CreatorView(user_id=listing.user_id, name=names.get(listing.user_id, "")),
        made_from=[each.listing_id for each in listing.ancestors],
        thumbnail_url=thumbnail_url(listing, deps.urls, now),
    )


def thumbnail_url(listing: Listing, urls: FileUrls, now: datetime) -> str | None:
    """The signed URL of what shows a listing, if it has a picture."""
    return urls(listing.id, listing.thumbnail, ANY_FORMAT, now)[1] if listing.thumbnail else None


def _found_by(query: ShowcaseQuery, words: Sequence[str]) -> str | None:
    """By what a query is answered, the most telling first; None = it wants all."""
    if words:
        return f"word#{words[0]}"
    return query.creator or (f"tag#{query.tag}" if query.tag else None)


def _is_wanted(listing: Listing, words: Sequence[str], query: ShowcaseQuery) -> bool:
    is_by_creator = query.creator in (None, listing.user_id)
    return is_by_creator and query.tag in (None, *listing.tags) and set(words) <= set(words_of(listing))


def _key(cursor: str | None, prefix: str, ids: Sequence[str]) -> str | None:
    """The key in a cursor of a list whose keys have a prefix and end with these kinds of ids. Raises ValidationFailed
    for one that the list never gave."""
    key = cursors.decode(cursor, prefix)
    if key is None:
        return None
    parts = key.split("#")
    kinds = ids or ("lst",)
    is_right = len(parts) == (len(ids) + 2 if ids else 1)
    if not is_right or not all(is_id(id, kind) for id, kind in zip(parts[-len(kinds) :], kinds, strict=True)):
        raise ValidationFailed([{"path": "query.cursor", "message": "is not a cursor of this list"}])
    return key
