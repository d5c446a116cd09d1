"""Plan a purchase: one wallet pays others and the platform's fee at once, and the refund of it. Pure.

The shares and the fee are the price, to the credit. Which credits can pay: see `payable.py`. The key of both movements
follows from the purchase's id, so there is one payment and one refund of it.

A refund takes back the same shares. What a receiver has spent meanwhile becomes a debt of the receiver's wallet, as
after a chargeback: nothing can be spent from it until new credits have covered it. The payer gets new grants that
expire when those that paid would have; in place of expired ones, after REFUND_LIFETIME."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import Conflict
from atelier.ledger.escrow import REFUND_LIFETIME
from atelier.ledger.model import (
    SPENDING_PRIORITY,
    Account,
    Change,
    Draw,
    Entry,
    Grant,
    GrantChange,
    GrantSource,
    Movement,
    Wallet,
    draw_changes,
    grant_facts,
)
from atelier.ledger.operations import (
    EARNINGS_GRANT_ID,
    RECEIVERS_MAX,
    Facts,
    Posting,
    TransferShare,
    plan_receipt,
)
from atelier.ledger.payable import draw_payment

# A refund makes up to as many grants, each of which lengthens the expression of the wallet's update.
DRAWS_MAX = 20


def purchase_key(purchase_id: str) -> str:
    """The key of the movements of a purchase, in every wallet."""
    return f"purchase#{purchase_id}"


def plan_purchase(
    payer: Wallet, purchase_id: str, shares: Sequence[TransferShare], fee: int, facts: Facts, now: datetime
) -> tuple[Posting, ...]:
    """Plan the payment. The payer's wallet must be refreshed. Raises InsufficientCredits; WalletFrozen for the payer's;
    Conflict when it would take credits from more than DRAWS_MAX grants; ValueError when a receiver is the payer, is
    named twice or gets less than one credit, when the fee is negative, or when nothing is paid."""
    payer.require_not_frozen()
    receivers = {payer.workspace_id, *(share.wallet.workspace_id for share in shares)}
    if len(receivers) != len(shares) + 1 or len(shares) > RECEIVERS_MAX:
        raise ValueError("a purchase pays other wallets, each once")
    given = sum(share.credits for share in shares)
    if fee < 0 or any(share.credits < 1 for share in shares) or given + fee < 1:
        raise ValueError("every receiver gets at least one credit, and the fee is not negative")
    draws = _draw(payer, given + fee, now)

    entries = [Entry(Account.AVAILABLE, -draw.amount, draw.grant_id) for draw in draws]
    entries += [
        Entry(account, amount) for account, amount in ((Account.ISSUED, given), (Account.REVENUE, fee)) if amount
    ]
    key, order = purchase_key(purchase_id), purchase_id[4:]
    paid_facts: Facts = {**facts, "drawn": _drawn_text(draws)}
    movement = Movement(key, order, "purchase", purchase_id, now, tuple(entries), paid_facts)
    change = Change(-given - fee, 0, 0, draw_changes(draws))
    paid = Posting(payer.workspace_id, movement, change, revision=payer.revision, requires_no_debt=True)
    return paid, *(plan_receipt(share, key, facts, order, now) for share in shares)


def plan_purchase_refund(
    payer: Wallet, purchase: Movement, shares: Sequence[TransferShare], facts: Facts, now: datetime
) -> tuple[Posting, ...]:
    """Plan the refund of a whole purchase. purchase: its movement in the payer's wallet; shares: what its receivers
    got, with their wallets as they are now. Raises ValueError unless these are the shares of the purchase."""
    amounts = {account: sum(e.amount for e in purchase.entries if e.account is account) for account in Account}
    if sum(share.credits for share in shares) != amounts[Account.ISSUED]:
        raise ValueError(f"these are not the shares of {purchase.key}")
    key, order, subject = f"un{purchase.key}", purchase.order, purchase.subject
    grants = _refund_grants(purchase, now)
    movements = tuple(
        Movement(
            f"refund#{subject}#{number}",
            order,
            "grant",
            grant.id,
            now,
            (Entry(Account.ISSUED, -grant.amount), Entry(Account.AVAILABLE, grant.amount, grant.id)),
            {**facts, **grant_facts(grant)},
        )
        for number, grant in enumerate(grants)
    )
    fee = amounts[Account.REVENUE]
    entries = (Entry(Account.REVENUE, -fee), Entry(Account.ISSUED, fee)) if fee else ()
    movement = Movement(key, order, "unpurchase", subject, now, entries, facts)
    change = Change(-amounts[Account.AVAILABLE], 0, 0, (), added=grants)
    returned = Posting(payer.workspace_id, movement, change, grant_movements=movements)
    return returned, *(_take_back(share, key, order, facts, now) for share in shares)


def _draw(payer: Wallet, price: int, now: datetime) -> tuple[Draw, ...]:
    draws = draw_payment(payer, price, now)
    if len(draws) > DRAWS_MAX:
        raise Conflict(f"This would take credits from more than {DRAWS_MAX} grants at once.", limit=DRAWS_MAX)
    return draws


def _drawn_text(draws: Sequence[Draw]) -> str:
    """What was drawn, by expiry: `30@2026-12-31T00:00:00.000Z,10@`; nothing behind the @ = it does not expire."""
    by_expiry: dict[str, int] = {}
    for draw in draws:
        expiry = rfc3339(draw.expires_at) if draw.expires_at else ""
        by_expiry[expiry] = by_expiry.get(expiry, 0) + draw.amount
    return ",".join(f"{amount}@{expiry}" for expiry, amount in by_expiry.items())


def _refund_grants(purchase: Movement, now: datetime) -> tuple[Grant, ...]:
    source, grants = GrantSource.REFUND, list[Grant]()
    for number, part in enumerate(str(purchase.facts["drawn"]).split(",")):
        amount, _, expiry = part.partition("@")
        expires_at = parse_rfc3339(expiry) if expiry else None
        if expires_at is not None and expires_at <= now:
            expires_at = now + REFUND_LIFETIME
        credits, id = int(amount), f"grt_{purchase.order}#{number}"
        grants.append(Grant(id, source, credits, credits, 0, SPENDING_PRIORITY[source], now, expires_at))
    return tuple(grants)


def _take_back(share: TransferShare, key: str, order: str, facts: Facts, now: datetime) -> Posting:
    earnings = share.wallet.grant(EARNINGS_GRANT_ID)
    remaining = earnings.remaining if earnings else 0
    taken = min(remaining, share.credits)
    new_debt = share.credits - taken
    entries = (
        Entry(Account.AVAILABLE, -taken, EARNINGS_GRANT_ID),
        Entry(Account.DEBT, -new_debt),
        Entry(Account.ISSUED, share.credits),
    )
    entries = tuple(entry for entry in entries if entry.amount)
    movement = Movement(key, order, "revoke", EARNINGS_GRANT_ID, now, entries, {**facts, "role": share.role})
    grants = (GrantChange(EARNINGS_GRANT_ID, -taken, 0),) if taken else ()
    return Posting(
        share.wallet.workspace_id,
        movement,
        Change(-taken, 0, 0, grants, debt=new_debt),
        remaining=((EARNINGS_GRANT_ID, earnings.remaining if earnings else None),),
    )
