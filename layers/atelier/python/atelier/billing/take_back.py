"""Take back the credits of a payment whose money was taken back, and return them when the money returns.

Each refund and each dispute has its own keys in the ledger, one for each grant of the payment, so each takes once,
however often and in which order their events come. Together they never take more than a grant gave."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.sync_payment import PaidCredits, SyncedPayment
from atelier.ledger import post


def revocation_key(cause_id: str, paid: PaidCredits) -> str:
    """The ledger's key of what a refund or a dispute takes back of one grant."""
    return f"revoke#stripe#{cause_id}#{paid.part}"


def take_back(synced: SyncedPayment, cause_id: str, amount: int, reason: str, *, deps: BillingDeps) -> None:
    """Take back the part of a payment's credits that `amount` (in the currency's minor unit) is of its price, rounded
    down. Credits that were spent become a debt."""
    for paid in synced.credits:
        credits = paid.credits * amount // synced.price if synced.price else paid.credits
        if credits:
            post.revoke(
                synced.workspace_id,
                revocation_key(cause_id, paid),
                paid.grant_key,
                min(credits, paid.credits),
                reason,
                deps=deps.ledger,
                now=deps.clock(),
            )


def return_taken(synced: SyncedPayment, cause_id: str, reason: str, *, deps: BillingDeps) -> None:
    """Give back what a refund or a dispute has taken; nothing if it has taken nothing."""
    for paid in synced.credits:
        post.give_back(synced.workspace_id, revocation_key(cause_id, paid), reason, deps=deps.ledger, now=deps.clock())
