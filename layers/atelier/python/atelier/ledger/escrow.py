"""Plan an escrow: credits that a wallet holds for a payment, until what is paid for takes place, or cannot be given
back any more. Pure.

Its credits stay in the grants that they came from, as *held*, but an escrow is no hold of a generation: it may last for
months, so it neither counts in `holds_open` nor is visited by the sweep. Its key follows from the payment's id, so
there is one escrow of a payment, and one end of it. What is paid leaves the payer's wallet to *issued*, and is issued
again as earnings of the receivers; the platform's fee is revenue. What is given back goes to the grants that it came
from. What came from a grant that has expired meanwhile is a new grant: for REFUND_LIFETIME, because it is not its
owner's fault that the credits could not be spent; for what was left of its time when they were held, if the owner has
chosen to have them back, or if that grant was a refund itself: otherwise two who act together could keep credits alive
for ever.

A wallet in debt pays nobody: its owner's payment was taken back after the credits had been held. They go back then, and
cover the debt. Nor does a frozen one, whose credits go back and stay frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.ids import derived_id
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

# Credits that are given back in place of expired ones can be spent for this long, or shorter.
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
    payer: Wallet,
    escrow: Movement,
    shares: Sequence[TransferShare],
    fee: int,
    facts: Facts,
    now: datetime,
    *,
    is_payers_choice: bool = False,
) -> tuple[Posting, ...]:
    """Plan the end of an escrow: the receivers get their shares and the platform its fee; the rest goes back. escrow:
    its movement. The credits that were drawn first are paid. is_payers_choice: the payer has chosen to have the rest
    back. Raises ValueError when more is paid than the escrow holds, the payer pays nobody, the fee is negative, a
    receiver gets less than one credit, is named twice or is the payer."""
    held = [entry for entry in escrow.entries if entry.account is Account.HELD]
    given = sum(share.credits for share in shares)
    paid = given + fee
    if fee < 0 or any(share.credits < 1 for share in shares) or paid > sum(entry.amount for entry in held):
        raise ValueError(f"cannot pay {given} and a fee of {fee} out of {escrow.key}")
    wallets = {payer.workspace_id, *(share.wallet.workspace_id for share in shares)}
    if len(wallets) != len(shares) + 1 or len(shares) > RECEIVERS_MAX:
        raise ValueError("an escrow pays other wallets, each once")
    if paid and payer.pays_nobody:
        raise ValueError("a wallet in debt, or a frozen one, pays nobody, out of an escrow neither")

    entries, changes, unpaid = list[Entry](), list[GrantChange](), paid
    # What has expired of refunds, and of all other grants; and how long each could still be spent when it was held.
    expired, time_left = {True: 0, False: 0}, {True: timedelta(0), False: timedelta(0)}
    for entry in held:
        grant = payer.grant(entry.grant_id or "")
        assert grant is not None, f"{entry.grant_id} is held by {escrow.key}, and is no grant of the wallet"
        returned = max(entry.amount - unpaid, 0)
        unpaid -= entry.amount - returned
        kept = 0 if grant.is_expired(now) else returned
        if returned > kept and grant.expires_at is not None:
            was_refund = grant.source is GrantSource.REFUND
            expired[was_refund] += returned - kept
            time_left[was_refund] = max(time_left[was_refund], grant.expires_at - escrow.at)
        entries.append(Entry(Account.HELD, -entry.amount, grant.id))
        entries += [Entry(Account.AVAILABLE, kept, grant.id)] if kept else []
        changes.append(GrantChange(grant.id, kept, -entry.amount))
    held_amount = sum(entry.amount for entry in held)
    available = sum(change.remaining for change in changes)
    all_expired = sum(expired.values())
    ends = (Account.ISSUED, given + all_expired), (Account.REVENUE, fee)
    entries += [Entry(account, amount) for account, amount in ends if amount]

    key, order, payment_id = f"escrow-end#{escrow.subject}", escrow.order, escrow.subject
    movement = Movement(key, order, "escrow_end", payment_id, now, tuple(entries), facts)
    refunds: list[tuple[Grant, Movement]] = []
    for was_refund, credits in expired.items():
        keeps_time = is_payers_choice or was_refund
        lifetime = min(time_left[was_refund], REFUND_LIFETIME) if keeps_time else REFUND_LIFETIME
        movement_key = f"refund#{payment_id}" + ("#again" if was_refund else "")
        grant_id = derived_id("grt", now, movement_key) if was_refund else f"grt_{order}"
        if credits:
            refunds.append(_plan_refund(movement_key, grant_id, order, credits, facts, now, now + lifetime))
    change = Change(
        available + all_expired, -held_amount, 0, tuple(changes), added=tuple(grant for grant, _ in refunds)
    )
    posting = Posting(
        payer.workspace_id,
        movement,
        change,
        requires_no_debt=paid > 0,
        requires_not_frozen=paid > 0,
        grant_movements=tuple(each for _, each in refunds),
    )
    return posting, *(plan_receipt(share, key, facts, order, now) for share in shares)


def _plan_refund(
    key: str, grant_id: str, order: str, credits: int, facts: Facts, now: datetime, expires_at: datetime
) -> tuple[Grant, Movement]:
    source = GrantSource.REFUND
    grant = Grant(grant_id, source, credits, credits, 0, SPENDING_PRIORITY[source], now, expires_at)
    entries = (Entry(Account.ISSUED, -credits), Entry(Account.AVAILABLE, credits, grant.id))
    movement = Movement(key, order, "grant", grant.id, now, entries, {**facts, **grant_facts(grant)})
    return grant, movement
