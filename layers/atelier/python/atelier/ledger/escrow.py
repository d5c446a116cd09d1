"""Plan an escrow: credits that a wallet holds for a payment, until what is paid for takes place, or cannot be given
back any more. Pure.

Its credits stay in the grants that they came from, as *held*, but an escrow is no hold of a generation: it may last for
months, so it neither counts in `holds_open` nor is visited by the sweep. Its key follows from the payment's id, so
there is one escrow of a payment, and one end of it. What is paid leaves the payer's wallet to *issued*, and is issued
again as earnings of the receivers; the platform's fee is revenue. What is given back goes to the grants that it came
from; what came from a grant that has expired meanwhile is a new grant, because it is not its owner's fault that the
credits could not be spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.ledger.model import (
    SPENDING_PRIORITY,
    Account,
    Change,
    Entry,
    Grant,
    GrantChange,
    GrantSource,
    Movement,
    Wallet,
    draw_changes,
    grant_facts,
    require_few_draws,
)
from atelier.ledger.operations import RECEIVERS_MAX, Facts, Posting, TransferShare, plan_receipt
from atelier.ledger.payable import draw_payment

# Credits that are given back in place of expired ones can be spent for this long.
REFUND_LIFETIME = timedelta(days=30)


def escrow_key(payment_id: str) -> str:
    """The key of the movement that begins an escrow."""
    return f"escrow#{payment_id}"


def plan_escrow(wallet: Wallet, payment_id: str, amount: int, facts: Facts, now: datetime) -> Posting:
    """Plan the escrow of a payment: available → held. The wallet must be refreshed. Raises InsufficientCredits,
    WalletFrozen, Conflict like `require_few_draws`, ValueError for less than one credit."""
    if amount < 1:
        raise ValueError("an escrow holds at least one credit")
    wallet.require_not_frozen()
    draws = draw_payment(wallet, amount, now)
    require_few_draws(draws)
    changes = tuple(replace(taken, held=-taken.remaining) for taken in draw_changes(draws))
    entries = tuple(
        entry
        for draw in draws
        for entry in (
            Entry(Account.AVAILABLE, -draw.amount, draw.grant_id),
            Entry(Account.HELD, draw.amount, draw.grant_id),
        )
    )
    movement = Movement(escrow_key(payment_id), payment_id[4:], "escrow", payment_id, now, entries, facts)
    change = Change(-amount, amount, 0, changes)
    return Posting(wallet.workspace_id, movement, change, revision=wallet.revision, requires_no_debt=True)


def plan_escrow_end(
    payer: Wallet, escrow: Movement, shares: Sequence[TransferShare], fee: int, facts: Facts, now: datetime
) -> tuple[Posting, ...]:
    """Plan the end of an escrow: the receivers get their shares and the platform its fee; the rest goes back. escrow:
    its movement. The credits that were drawn first are paid. Raises ValueError when more is paid than the escrow holds,
    the fee is negative, a receiver gets less than one credit, is named twice or is the payer."""
    held = [entry for entry in escrow.entries if entry.account is Account.HELD]
    given = sum(share.credits for share in shares)
    paid = given + fee
    if fee < 0 or any(share.credits < 1 for share in shares) or paid > sum(entry.amount for entry in held):
        raise ValueError(f"cannot pay {given} and a fee of {fee} out of {escrow.key}")
    wallets = {payer.workspace_id, *(share.wallet.workspace_id for share in shares)}
    if len(wallets) != len(shares) + 1 or len(shares) > RECEIVERS_MAX:
        raise ValueError("an escrow pays other wallets, each once")

    entries, changes, unpaid, expired = list[Entry](), list[GrantChange](), paid, 0
    for entry in held:
        grant = payer.grant(entry.grant_id or "")
        assert grant is not None, f"{entry.grant_id} is held by {escrow.key}, and is no grant of the wallet"
        returned = max(entry.amount - unpaid, 0)
        unpaid -= entry.amount - returned
        kept = 0 if grant.is_expired(now) else returned
        expired += returned - kept
        entries.append(Entry(Account.HELD, -entry.amount, grant.id))
        entries += [Entry(Account.AVAILABLE, kept, grant.id)] if kept else []
        changes.append(GrantChange(grant.id, kept, -entry.amount))
    held_amount = sum(entry.amount for entry in held)
    available = sum(change.remaining for change in changes)
    ends = (Account.ISSUED, given + expired), (Account.REVENUE, fee)
    entries += [Entry(account, amount) for account, amount in ends if amount]

    key, order, payment_id = f"escrow-end#{escrow.subject}", escrow.order, escrow.subject
    movement = Movement(key, order, "escrow_end", payment_id, now, tuple(entries), facts)
    refunds = [_plan_refund(payment_id, order, expired, facts, now)] if expired else []
    change = Change(available + expired, -held_amount, 0, tuple(changes), added=tuple(grant for grant, _ in refunds))
    grant_movements = tuple(each for _, each in refunds)
    posting = Posting(payer.workspace_id, movement, change, grant_movements=grant_movements)
    return posting, *(plan_receipt(share, key, facts, order, now) for share in shares)


def _plan_refund(payment_id: str, order: str, credits: int, facts: Facts, now: datetime) -> tuple[Grant, Movement]:
    source = GrantSource.REFUND
    expires_at = now + REFUND_LIFETIME
    grant = Grant(f"grt_{order}", source, credits, credits, 0, SPENDING_PRIORITY[source], now, expires_at)
    entries = (Entry(Account.ISSUED, -credits), Entry(Account.AVAILABLE, credits, grant.id))
    movement = Movement(f"refund#{payment_id}", order, "grant", grant.id, now, entries, {**facts, **grant_facts(grant)})
    return grant, movement
