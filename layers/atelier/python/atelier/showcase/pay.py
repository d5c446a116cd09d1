"""Pay the creators of what was bought: when it is collected, when the time for a refund is over, or when the buyer's
account is erased. Each payment is one transaction with the purchase, and may be repeated at any time.

A buyer whose wallet is in debt pays nobody: the payment for the credits was taken back, at the payment service, after
the purchase. Then the purchase is refunded instead, and its credits cover the debt. The same for a wallet that an
administrator has frozen; its credits stay frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from atelier.clock import TimeLeft
from atelier.errors import AtelierError, NotFound, Unavailable
from atelier.ledger.escrow import escrow_key, plan_escrow_end
from atelier.ledger.model import Movement, Wallet
from atelier.ledger.operations import Facts, Posting, TransferShare
from atelier.ledger.ports import StaleWallet
from atelier.ledger.post import PostDeps
from atelier.retrying import retrying
from atelier.showcase.deps import PaymentDeps
from atelier.showcase.model import Listing, ListingChanged, Purchase, PurchaseState
from atelier.telemetry import logger

PAGE = 25
TRIES_MAX = 60
# The schedule tries seldom: the next run is a try too.
TRIES_OF_SCHEDULE_MAX = 5
TIME_MARGIN_MILLISECONDS = 10_000
BUSY = "Many people buy this just now. Try again."
# A payment that failed is tried again after this time, so that it does not stand before the others.
PUT_OFF = timedelta(minutes=5)
ResultT = TypeVar("ResultT")


def pay_due(context: TimeLeft | None, *, deps: PaymentDeps, clock: Callable[[], datetime]) -> int:
    """Pay for some of the purchases that can no longer be refunded, the longest overdue first; returns how many."""
    paid = 0
    for each in deps.purchases.due(clock(), PAGE):
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            logger.warning("payments are left for the next run", paid=paid)
            break
        try:
            pay(each, deps=deps, now=clock(), tries_max=TRIES_OF_SCHEDULE_MAX)
            paid += 1
        except Exception as error:
            logger.exception("a purchase could not be paid", purchase_id=each.id, error=type(error).__name__)
            deps.purchases.put_off(each, clock() + PUT_OFF)
    return paid


def pay_all(workspace_id: str, *, deps: PaymentDeps, now: datetime) -> None:
    """Pay for all that a workspace has bought, because its purchases are about to be erased. What cannot be paid at all
    does not stop the others. Safe to repeat. Raises Unavailable when a purchase is too busy."""
    after: str | None = None
    while True:
        page = deps.purchases.purchases(workspace_id, after, PAGE)
        for each in page.purchases:
            try:
                pay(each, deps=deps, now=now)
            except Unavailable:
                raise
            except AtelierError as error:
                logger.exception("a purchase cannot be paid", purchase_id=each.id, error=type(error).__name__)
        after = page.next_key
        if after is None:
            return


def pay(purchase: Purchase, *, deps: PaymentDeps, now: datetime, tries_max: int = TRIES_MAX) -> None:
    """Pay for a purchase whose price is in escrow, or refund it if the buyer's wallet pays nobody; nothing otherwise.
    Raises Unavailable when it is too busy."""

    def attempt() -> None:
        before = deps.purchases.purchase(purchase.workspace_id, purchase.listing_id)
        if before is None or before.id != purchase.id or before.pays_at is None:
            return
        payer = deps.wallets.wallets.wallet(before.workspace_id)
        if payer.pays_nobody:
            give_back(before, payer, deps=deps, now=now)
        else:
            after = replace(before, pays_at=None, updated_at=max(now, before.updated_at))
            deps.purchases.change(before, after, payment(before, payer, deps=deps, now=now))

    until_written(attempt, deps.wallets, tries_max)


def give_back(before: Purchase, payer: Wallet, *, deps: PaymentDeps, now: datetime) -> Purchase:
    """Refund a purchase whose price is in escrow; returns it as it is then. payer: the buyer's wallet. Raises
    ListingChanged, StaleWallet."""
    at = max(now, before.updated_at)
    after = replace(before, state=PurchaseState.REFUNDED, pays_at=None, updated_at=at)
    facts = facts_of(before) | {"refunded": before.price_credits}
    postings = plan_escrow_end(payer, _escrow(before, deps), (), 0, facts, now, is_payers_choice=True)
    deps.purchases.refund(listing_or_none(before.listing_id, deps), before, after, postings)
    return after


def payment(purchase: Purchase, payer: Wallet, *, deps: PaymentDeps, now: datetime) -> tuple[Posting, ...]:
    """What the ledger books when a price leaves its escrow for the receivers and the platform. payer: the buyer's
    wallet."""
    wallet = deps.wallets.wallets.wallet
    shares = [TransferShare(wallet(each.workspace_id), each.credits, each.role) for each in purchase.split.shares]
    facts = facts_of(purchase) | {"refunded": 0}
    return plan_escrow_end(payer, _escrow(purchase, deps), shares, purchase.split.fee, facts, now)


def _escrow(purchase: Purchase, deps: PaymentDeps) -> Movement:
    return deps.wallets.wallets.movement(purchase.workspace_id, purchase.id[4:], escrow_key(purchase.id))


def facts_of(purchase: Purchase) -> Facts:
    """The facts by which statements name the listing. Receivers have them too, so they do not say who bought."""
    return {"listing": purchase.listing_id, "purchase": purchase.id, "price": purchase.price_credits}


def listing_or_none(listing_id: str, deps: PaymentDeps) -> Listing | None:
    """A listing; None when it is gone, with its account."""
    try:
        return deps.find_listing(listing_id)
    except NotFound:
        return None


def until_written(attempt: Callable[[], ResultT], wallets: PostDeps, tries_max: int = TRIES_MAX) -> ResultT:
    """Try until no parallel write of the listing, the purchase or the wallets is in the way. Raises Unavailable."""
    return retrying(attempt, on=(ListingChanged, StaleWallet), busy=BUSY, tries_max=tries_max, pause=wallets.pause)
