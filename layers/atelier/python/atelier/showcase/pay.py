"""Pay the creators of what was bought: when it is collected, when the time for a refund is over, or when the buyer's
account is erased. Each payment is one transaction with the purchase, and may be repeated at any time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from atelier.clock import TimeLeft
from atelier.ledger.escrow import escrow_key, plan_escrow_end
from atelier.ledger.operations import Facts, Posting, TransferShare
from atelier.ledger.ports import StaleWallet
from atelier.ledger.post import PostDeps
from atelier.retrying import retrying
from atelier.showcase.model import ListingChanged, Purchase
from atelier.showcase.ports import PurchaseStore
from atelier.telemetry import logger

PAGE = 25
ROUNDS_MAX = 40
TRIES_MAX = 60
TIME_MARGIN_MILLISECONDS = 10_000
BUSY = "Many people buy this just now. Try again."
# A payment that failed is tried again after this time, so that it does not stand before the others.
PUT_OFF = timedelta(minutes=5)
ResultT = TypeVar("ResultT")


def pay_due(
    context: TimeLeft | None, *, purchases: PurchaseStore, wallets: PostDeps, clock: Callable[[], datetime]
) -> int:
    """Pay for the purchases that can no longer be refunded, the longest overdue first, as long as the time suffices;
    returns how many were paid."""
    paid = 0
    for _ in range(ROUNDS_MAX):
        due = purchases.due(clock(), PAGE)
        if not due:
            break
        for each in due:
            if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
                logger.warning("payments are left for the next run", paid=paid)
                return paid
            try:
                pay(each, purchases=purchases, wallets=wallets, now=clock())
                paid += 1
            except Exception as error:
                logger.exception("a purchase could not be paid", purchase_id=each.id, error=type(error).__name__)
                purchases.put_off(each, clock() + PUT_OFF)
    logger.info("purchases paid", paid=paid)
    return paid


def pay_all(workspace_id: str, *, purchases: PurchaseStore, wallets: PostDeps, now: datetime) -> None:
    """Pay for all that a workspace has bought, because its purchases are about to be erased. Safe to repeat."""
    after: str | None = None
    while True:
        page = purchases.purchases(workspace_id, after, PAGE)
        for each in page.purchases:
            pay(each, purchases=purchases, wallets=wallets, now=now)
        after = page.next_key
        if after is None:
            return


def pay(purchase: Purchase, *, purchases: PurchaseStore, wallets: PostDeps, now: datetime) -> None:
    """Pay for a purchase whose price is in escrow; nothing otherwise. Raises Unavailable when it is too busy."""

    def attempt() -> None:
        before = purchases.purchase(purchase.workspace_id, purchase.listing_id)
        if before is None or before.id != purchase.id or before.pays_at is None:
            return
        after = replace(before, pays_at=None, updated_at=max(now, before.updated_at))
        purchases.change(before, after, end_escrow(before, wallets=wallets, now=now))

    until_written(attempt, wallets)


def end_escrow(purchase: Purchase, *, wallets: PostDeps, now: datetime, is_refund: bool = False) -> tuple[Posting, ...]:
    """What the ledger books when a price leaves its escrow: for its receivers and the platform, or as a refund for the
    buyer. Nothing when no price is in escrow."""
    if purchase.pays_at is None:
        return ()
    payer = wallets.wallets.wallet(purchase.workspace_id)
    escrow = wallets.wallets.movement(purchase.workspace_id, purchase.id[4:], escrow_key(purchase.id))
    facts = facts_of(purchase) | {"refunded": purchase.price_credits if is_refund else 0}
    if is_refund:
        return plan_escrow_end(payer, escrow, (), 0, facts, now)
    shares = [
        TransferShare(wallets.wallets.wallet(each.workspace_id), each.credits, each.role)
        for each in purchase.split.shares
    ]
    return plan_escrow_end(payer, escrow, shares, purchase.split.fee, facts, now)


def facts_of(purchase: Purchase) -> Facts:
    """The facts by which statements name the listing. Receivers have them too, so they do not say who bought."""
    return {"listing": purchase.listing_id, "purchase": purchase.id, "price": purchase.price_credits}


def until_written(attempt: Callable[[], ResultT], wallets: PostDeps) -> ResultT:
    """Try until no parallel write of the listing, the purchase or the wallets is in the way."""
    return retrying(attempt, on=(ListingChanged, StaleWallet), busy=BUSY, tries_max=TRIES_MAX, pause=wallets.pause)
