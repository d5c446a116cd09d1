"""The fees of enrolments: into escrow with the place, and out of it with the end of the enrolment or the start."""

from __future__ import annotations

from datetime import datetime

from atelier.dataclass import dataclass
from atelier.ledger.escrow import escrow_key, plan_escrow, plan_escrow_end
from atelier.ledger.operations import Facts, Posting, TransferShare
from atelier.ledger.post import PostDeps
from atelier.workshops.model import Enrolment


def hold_fee(enrolment: Enrolment, *, wallets: PostDeps, now: datetime) -> tuple[Posting, ...]:
    """What the ledger books when a place is taken; nothing for a free one. Raises InsufficientCredits, WalletFrozen."""
    if enrolment.price_credits == 0:
        return ()
    payer = wallets.refreshed_wallet(enrolment.payer_id, now)
    return (plan_escrow(payer, enrolment.id, enrolment.price_credits, _facts(enrolment), now),)


@dataclass(frozen=True, slots=True)
class FeeEnd:
    """The end of a fee: how many credits of it go back, and what the ledger books."""

    refund: int
    postings: tuple[Posting, ...]


def end_fee(
    enrolment: Enrolment, refund: int, *, wallets: PostDeps, now: datetime, is_payers_choice: bool = False
) -> FeeEnd:
    """Let `refund` credits of a fee go back and pay the rest; nothing when no fee waits. All of it goes back when the
    payer's wallet is in debt or frozen: then the payment for these credits was taken back, or may be. is_payers_choice:
    the attendee has withdrawn."""
    if not enrolment.has_escrow:
        return FeeEnd(0, ())
    payer, receiver = wallets.wallets.wallet(enrolment.payer_id), wallets.wallets.wallet(enrolment.workspace_id)
    if payer.pays_nobody:
        refund, is_payers_choice = enrolment.price_credits, True
    escrow = wallets.wallets.movement(enrolment.payer_id, enrolment.id[4:], escrow_key(enrolment.id))
    paid = enrolment.price_credits - refund
    facts = _facts(enrolment) | {"paid": paid, "refunded": refund}
    shares = [TransferShare(receiver, paid, "seller")] if paid else []
    return FeeEnd(refund, plan_escrow_end(payer, escrow, shares, 0, facts, now, is_payers_choice=is_payers_choice))


def _facts(enrolment: Enrolment) -> Facts:
    """The facts by which statements name the workshop."""
    return {"workshop": enrolment.workshop_id, "enrolment": enrolment.id, "price": enrolment.price_credits}
