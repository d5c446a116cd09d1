"""Buy a listing, have a purchase refunded, and collect what was bought. Each is one transaction, planned anew when a
parallel write won; the copying of files and records that follows may be repeated.

A price is in escrow until what was bought is collected or cannot be refunded any more (see `pay.py`). Otherwise a
creator could spend what the buyer then gets back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.errors import Conflict, Forbidden, NotFound
from atelier.ids import derived_id, new_id
from atelier.ledger.escrow import plan_escrow
from atelier.ledger.operations import Posting
from atelier.library.model import Asset
from atelier.showcase.deps import ShowcaseDeps
from atelier.showcase.model import (
    Listing,
    Purchase,
    PurchaseState,
    Snapshot,
    Split,
    escrow_ends_at,
    split_price,
)
from atelier.showcase.pay import facts_of, give_back, listing_or_none, payment, until_written
from atelier.showcase.publish import REFERENCES


@dataclass(frozen=True, slots=True)
class Acquirer:
    """The verified caller who buys. may_spend: whether the caller may spend the workspace's credits. request_key: the
    request's Idempotency-Key."""

    workspace_id: str
    user_id: str
    may_spend: bool
    request_key: str | None = None


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase and its listing; replayed: there was one already. listing: None = it is gone."""

    purchase: Purchase
    listing: Listing | None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Collected:
    """The ids of what is in the buyer's library now: of an asset, a character or a template, and of all its assets."""

    purchase: Purchase
    id: str
    asset_ids: tuple[str, ...]


def buy(listing_id: str, seen_price: int | None, buyer: Acquirer, *, deps: ShowcaseDeps, now: datetime) -> Bought:
    """Buy a listing for the buyer's workspace, once. seen_price: what the buyer saw; None = whatever it is. Whoever has
    it already pays nothing again. Raises NotFound, Conflict (with the present price), Forbidden, InsufficientCredits,
    WalletFrozen."""

    def attempt() -> Bought:
        before = deps.purchases.purchase(buyer.workspace_id, listing_id)
        if before is not None and (before.state is not PurchaseState.REFUNDED or _is_same_request(before, buyer)):
            return Bought(before, listing_or_none(listing_id, deps.payments), replayed=True)
        listing = deps.listings.find(listing_id)
        _require_offer(listing, seen_price, buyer)
        new = _new_purchase(_with_living_ancestors(listing, deps), before, buyer, now)
        deps.purchases.buy(listing, before, new, _hold(new, deps, now))
        return Bought(new, listing)

    return until_written(attempt, deps.wallets)


def refund(listing_id: str, buyer: Acquirer, *, deps: ShowcaseDeps, now: datetime) -> Bought:
    """Have a purchase refunded, as `rules.py` says: its price leaves the escrow for the buyer. A refunded one stays as
    it is. Raises NotFound, Forbidden, Conflict."""

    def attempt() -> Bought:
        before = own_purchase(listing_id, buyer, deps)
        listing = listing_or_none(listing_id, deps.payments)
        if before.state is PurchaseState.REFUNDED:
            return Bought(before, listing, replayed=True)
        if not buyer.may_spend:
            raise Forbidden("Your role does not allow to spend this workspace's credits.")
        if before.refundable_until(now) is None:
            raise Conflict(_refusal(before), state=before.state.value)
        payer = deps.wallets.wallets.wallet(before.workspace_id)
        return Bought(give_back(before, payer, deps=deps.payments, now=now), listing)

    return until_written(attempt, deps.wallets)


def collect(listing_id: str, buyer: Acquirer, *, deps: ShowcaseDeps, now: datetime) -> Collected:
    """Take what was bought into the buyer's library; with that it is paid, and there is no refund. Safe to repeat.
    Raises NotFound, Forbidden, Conflict after a refund or when the wallet is in debt, QuotaExceeded."""
    snapshot = deps.listings.snapshot(listing_id)
    size_bytes = sum(file.size_bytes for file in snapshot.files)

    def attempt() -> Purchase:
        before = own_purchase(listing_id, buyer, deps)
        if before.state is PurchaseState.REFUNDED:
            raise Conflict("This purchase was refunded.", state=before.state.value)
        if before.state is PurchaseState.COLLECTED:
            return before
        deps.works().require_room(buyer.workspace_id, size_bytes)
        at = max(now, before.updated_at)
        after = replace(before, state=PurchaseState.COLLECTED, pays_at=None, collected_at=at, updated_at=at)
        deps.purchases.change(before, after, _pay(before, buyer, deps, now))
        return after

    return _deliver(until_written(attempt, deps.wallets), snapshot, deps)


def own_purchase(listing_id: str, buyer: Acquirer, deps: ShowcaseDeps) -> Purchase:
    """The purchase of the caller's workspace. Raises NotFound."""
    found = deps.purchases.purchase(buyer.workspace_id, listing_id)
    if found is None:
        raise NotFound
    return found


def _require_offer(listing: Listing, seen_price: int | None, buyer: Acquirer) -> None:
    """Raises NotFound for what the buyer must not know of, Conflict, Forbidden."""
    if listing.workspace_id == buyer.workspace_id or listing.user_id == buyer.user_id:
        raise Conflict("This is your own.", reason="own_listing")
    if listing.published_at is None:
        raise NotFound
    listing.require_visible()
    price = listing.price_credits
    if seen_price is not None and seen_price != price:
        raise Conflict(f"The price has changed; it is {price} credits now.", price_credits=price, reason="price")
    if price and not buyer.may_spend:
        raise Forbidden("Your role does not allow to spend this workspace's credits.")


def _with_living_ancestors(listing: Listing, deps: ShowcaseDeps) -> Listing:
    """The listing without ancestors whose accounts were erased: their royalties are the creator's."""
    if not listing.ancestors or not listing.price_credits:
        return listing
    living = {each.id for each in deps.listings.find_all([each.listing_id for each in listing.ancestors])}
    return replace(listing, ancestors=tuple(each for each in listing.ancestors if each.listing_id in living))


def _new_purchase(listing: Listing, before: Purchase | None, buyer: Acquirer, now: datetime) -> Purchase:
    split = split_price(listing, buyer.workspace_id) if listing.price_credits else Split(0, ())
    pays_at = escrow_ends_at(now, refunded_before=before is not None) if listing.price_credits else None
    return Purchase(
        new_id("pur", now),
        listing.id,
        buyer.workspace_id,
        buyer.user_id,
        listing.title,
        listing.price_credits,
        split,
        PurchaseState.BOUGHT,
        now,
        now,
        refunded_before=before is not None,
        request_key=buyer.request_key,
        pays_at=pays_at,
    )


def _hold(purchase: Purchase, deps: ShowcaseDeps, now: datetime) -> tuple[Posting, ...]:
    """What the ledger books at a purchase; nothing for a free listing. Raises InsufficientCredits, WalletFrozen."""
    if purchase.price_credits == 0:
        return ()
    payer = deps.wallets.refreshed_wallet(purchase.workspace_id, now)
    return (plan_escrow(payer, purchase.id, purchase.price_credits, facts_of(purchase), now),)


def _pay(purchase: Purchase, buyer: Acquirer, deps: ShowcaseDeps, now: datetime) -> tuple[Posting, ...]:
    """What the ledger books when a work is collected; nothing when it was paid before. Raises Forbidden, WalletFrozen,
    Conflict."""
    if purchase.pays_at is None:
        return ()
    if purchase.refundable_until(now) is not None and not buyer.may_spend:
        raise Forbidden("This can still be refunded, and your role does not allow to spend this workspace's credits.")
    payer = deps.wallets.wallets.wallet(purchase.workspace_id)
    payer.require_not_frozen()
    if payer.debt:
        raise Conflict("A payment for credits of this workspace was taken back. Buy credits first.", reason="debt")
    return payment(purchase, payer, deps=deps.payments, now=now)


def _refusal(purchase: Purchase) -> str:
    if purchase.state is PurchaseState.COLLECTED:
        return "What was collected cannot be refunded."
    if purchase.refunded_before:
        return "A purchase of this was refunded before."
    return "There is nothing to refund." if purchase.price_credits == 0 else "The time for a refund is over."


def _is_same_request(before: Purchase, buyer: Acquirer) -> bool:
    return before.request_key is not None and before.request_key == buyer.request_key


def _deliver(purchase: Purchase, snapshot: Snapshot, deps: ShowcaseDeps) -> Collected:
    """Copy the work into the buyer's library. The ids follow from the purchase, so repeating it makes nothing twice."""
    works, at = deps.works(), purchase.collected_at or purchase.updated_at
    asset_ids: dict[str, str] = {}
    for number, file in enumerate(snapshot.files):
        asset_ids[file.asset_id] = new = derived_id("ast", at, f"{purchase.id} {number}")
        # The file goes first: an asset whose file is nowhere would be a broken promise.
        works.copy_file(purchase.listing_id, purchase.workspace_id, file.sha256, file.format)
        works.record_asset(
            Asset(
                new,
                purchase.workspace_id,
                purchase.user_id,
                file.type,
                file.name,
                file.format,
                file.sha256,
                file.size_bytes,
                file.width,
                file.height,
                None,
                at,
                duration_ms=file.duration_ms,
                has_thumbnail=file.has_thumbnail,
                listing_id=purchase.listing_id,
            )
        )
    ids = tuple(asset_ids.values())
    if snapshot.document is None:
        return Collected(purchase, ids[0], ids)
    prefix = "chr" if REFERENCES in snapshot.document else "tpl"
    fields = dict(snapshot.document)
    if REFERENCES in fields:
        fields[REFERENCES] = [asset_ids[each] for each in fields[REFERENCES]]
    id = derived_id(prefix, at, purchase.id)
    works.record_document(id, purchase.workspace_id, purchase.user_id, fields, purchase.listing_id)
    return Collected(purchase, id, ids)
