"""Bring what the refunds and disputes of a payment have taken back to what Stripe says now.

All of them together, whichever has changed: when one gives credits back (a dispute is won, a refund fails), another may
have been waiting to take them. So the order in which their events come makes no difference."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.sync_payment import SyncedPayment, sync_payment
from atelier.billing.take_back import return_taken, take_back
from atelier.dataclass import dataclass


def sync_money_back(payment_id: str, *, deps: BillingDeps) -> SyncedPayment | None:
    """The payment; None for one of others. Safe to repeat, and in parallel."""
    # The payment first: its credits may not be granted yet, and must be, so that they can be taken back.
    synced = sync_payment(payment_id, deps=deps)
    if synced is None or not synced.credits:
        return synced
    claims = _read_claims(payment_id, deps)
    while True:
        _apply(claims, synced, deps)
        # Another handler may have read a dispute as won, and found nothing to give back yet, while this one was about
        # to take. What was taken on an older reading is seen by reading once more after it.
        later = _read_claims(payment_id, deps) if claims.take else claims
        if later == claims:
            return synced
        claims = later


@dataclass(frozen=True, slots=True)
class _Claims:
    """The refunds and disputes of a payment: those that take money, (id, amount, reason), and the ids of those that
    give it back, with the reason."""

    take: tuple[tuple[str, int, str], ...]
    give_back: tuple[tuple[str, str], ...]


def _read_claims(payment_id: str, deps: BillingDeps) -> _Claims:
    refunds = sorted(deps.stripe.refunds_of(payment_id), key=lambda refund: (refund.created_at, refund.id))
    disputes = sorted(deps.stripe.disputes_of(payment_id), key=lambda dispute: (dispute.created_at, dispute.id))
    return _Claims(
        take=(
            *((each.id, each.amount, "refund") for each in refunds if each.returns_money),
            *((each.id, each.amount, "dispute") for each in disputes if each.takes_money),
        ),
        give_back=(
            *((each.id, "refund failed") for each in refunds if not each.returns_money),
            *((each.id, "dispute won") for each in disputes if each.is_won),
        ),
    )


def _apply(claims: _Claims, synced: SyncedPayment, deps: BillingDeps) -> None:
    for cause_id, reason in claims.give_back:
        return_taken(synced, cause_id, reason, deps=deps)
    for cause_id, amount, reason in claims.take:
        take_back(synced, cause_id, amount, reason, deps=deps)
