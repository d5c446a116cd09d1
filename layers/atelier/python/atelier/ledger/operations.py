"""What happens to wallets beside holds: credits granted, taken back, adjusted, transferred. Pure plans.

Each operation has a key of its caller's (a payment intent, a refund, a sale) that is unique for ever, and a fingerprint
of what was asked: the same key with the same facts has happened already, with other facts it is a conflict.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime

from atelier.errors import Conflict, InsufficientCredits
from atelier.frozen import dataclass
from atelier.ledger.model import (
    PRIORITY,
    Account,
    Change,
    Entry,
    Grant,
    GrantChange,
    GrantSource,
    Movement,
    Wallet,
    drawn,
    grant_facts,
    taken_from,
)

GRANTS_MAX = 200
# Money has been taken for these already: they are given however many grants there are.
PAID = frozenset({GrantSource.PURCHASE, GrantSource.REFUND})
EARNINGS = "earnings"
# A transaction has at most 100 parts: two for each wallet, and the key.
RECEIVERS_MAX = 40
Facts = dict[str, int | str | None]


@dataclass(frozen=True, slots=True)
class Posting:
    """One wallet's part of an operation. `revision`: the set of grants it was planned on, where it takes from them;
    `unindebted`: it spends, which a debt forbids; `remaining` are grants that must have exactly so much left."""

    workspace_id: str
    movement: Movement
    change: Change
    revision: int | None = None
    unindebted: bool = False
    remaining: tuple[tuple[str, int | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """A grant as its operation recorded it, and how much of it has been taken back since: in all, and of what had
    expired."""

    key: str
    grant_id: str
    amount: int
    expires_at: datetime | None
    revoked: int
    revoked_expired: int


@dataclass(frozen=True, slots=True)
class Operation:
    """Everything that one key does, in one transaction. The first posting's wallet owns the key. `given`: how much was
    granted, for a later revocation; `revokes`: the grant taken back and how it stands afterwards."""

    key: str
    postings: tuple[Posting, ...]
    given: Given | None = None
    revokes: tuple[Given, Given] | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is kept of an operation for ever: enough to recognise it, and to find its movement."""

    key: str
    fingerprint: str
    order: str
    given: Given | None


def fingerprint(kind: str, facts: Facts) -> str:
    """The same for the same facts; the time of the operation is none of them."""
    return hashlib.sha256(json.dumps([kind, facts], sort_keys=True).encode()).hexdigest()[:32]


def plan_grant(
    wallet: Wallet,
    key: str,
    source: GrantSource,
    amount: int,
    *,
    expires_at: datetime | None,
    priority: int | None,
    facts: Facts,
    order: str,
    now: datetime,
) -> Operation:
    """Give credits: issued → available. `order` (26 ULID characters) places it in the statement and names the grant.
    Raises ValueError for an amount below one, Conflict when the wallet holds too many grants to take
    another that was not paid for."""
    if amount < 1:
        raise ValueError("a grant gives at least one credit")
    live = sum(1 for each in wallet.grants if each.remaining or each.held)
    if source not in PAID and live >= GRANTS_MAX:
        raise Conflict(f"A wallet has at most {GRANTS_MAX} grants at a time.", limit=GRANTS_MAX)
    rank = PRIORITY[source] if priority is None else priority
    grant = Grant(f"grt_{order}", source, amount, amount, 0, rank, now, expires_at)
    entries = (Entry(Account.ISSUED, -amount), Entry(Account.AVAILABLE, amount, grant.id))
    told = grant_facts(grant)
    movement = Movement(key, order, "grant", grant.id, now, entries, {**facts, **told})
    posting = Posting(wallet.workspace_id, movement, Change(amount, 0, 0, (), added=grant))
    return Operation(key, (posting,), given=Given(key, grant.id, amount, expires_at, 0, 0))


def plan_revocation(
    wallet: Wallet, key: str, given: Given, amount: int, *, expired: int, reason: str, order: str, now: datetime
) -> Operation:
    """Take a grant back, wholly or in part: from what remains of it, then from what of it had expired; what has been
    spent becomes a debt. `expired`: credits of the grant that the ledger has booked as expired.

    The wallet must be refreshed. Raises Conflict when more would be taken back than was given."""
    if amount < 1:
        raise ValueError("a revocation takes back at least one credit")
    if given.revoked + amount > given.amount:
        raise Conflict(
            "More would be taken back than was given.", given=given.amount, revoked=given.revoked, asked=amount
        )
    grant = wallet.grant(given.grant_id)
    remaining = grant.remaining if grant else 0
    taken = min(remaining, amount)
    lapsed = min(amount - taken, expired - given.revoked_expired)
    owed = amount - taken - lapsed
    entries = (
        Entry(Account.AVAILABLE, -taken, given.grant_id),
        Entry(Account.EXPIRED, -lapsed),
        Entry(Account.DEBT, -owed),
        Entry(Account.ISSUED, amount),
    )
    facts: Facts = {"grant": given.key, "reason": reason}
    movement = Movement(key, order, "revoke", given.grant_id, now, tuple(e for e in entries if e.amount), facts)
    grants = (GrantChange(given.grant_id, -taken, 0),) if taken else ()
    posting = Posting(
        wallet.workspace_id,
        movement,
        Change(-taken, 0, 0, grants, debt=owed),
        remaining=((given.grant_id, grant.remaining if grant else None),),
    )
    after = replace(given, revoked=given.revoked + amount, revoked_expired=given.revoked_expired + lapsed)
    return Operation(key, (posting,), revokes=(given, after))


def plan_adjustment(wallet: Wallet, key: str, credits: int, facts: Facts, *, order: str, now: datetime) -> Operation:
    """An administrator's correction: credits given (a grant without expiry), or taken where they are there to take.
    Raises InsufficientCredits, ValueError for nothing."""
    if credits == 0:
        raise ValueError("an adjustment changes something")
    if credits > 0:
        return plan_grant(
            wallet,
            key,
            GrantSource.ADMIN,
            credits,
            expires_at=None,
            priority=None,
            facts=facts,
            order=order,
            now=now,
        )
    posting = _spend(wallet, key, "adjust", -credits, (Entry(Account.ISSUED, -credits),), facts, order, now)
    return Operation(key, (posting,))


@dataclass(frozen=True, slots=True)
class Share:
    """What one receiver of a transfer gets; `role`: seller, or royalty."""

    wallet: Wallet
    credits: int
    role: str


def plan_transfer(
    payer: Wallet, key: str, shares: tuple[Share, ...], fee: int, facts: Facts, *, order: str, now: datetime
) -> Operation:
    """Pay from one wallet to others, at most RECEIVERS_MAX: what they get is theirs without expiry, the fee is revenue.

    Each wallet's movement sums to zero by itself: credits leave one wallet to *issued* and are issued again in another.
    Raises InsufficientCredits; ValueError when a receiver is the payer, comes twice, or gets nothing."""
    receivers = [share.wallet.workspace_id for share in shares]
    if payer.workspace_id in receivers or len(set(receivers)) < len(receivers):
        raise ValueError("a transfer goes to other wallets, to each once")
    if not 0 < len(shares) <= RECEIVERS_MAX or fee < 0 or any(share.credits < 1 for share in shares):
        raise ValueError("every receiver gets at least one credit, and the fee is not negative")
    given = sum(share.credits for share in shares)
    out = [Entry(Account.ISSUED, given)] + ([Entry(Account.REVENUE, fee)] if fee else [])
    spending = _spend(payer, key, "transfer", given + fee, tuple(out), facts, order, now)
    return Operation(key, (spending, *(_receive(share, key, facts, order, now) for share in shares)))


def _receive(share: Share, key: str, facts: Facts, order: str, now: datetime) -> Posting:
    # A seller may sell every minute: all earnings are one grant.
    earned = share.wallet.grant(EARNINGS)
    entries = (Entry(Account.ISSUED, -share.credits), Entry(Account.AVAILABLE, share.credits, EARNINGS))
    source = GrantSource.TRANSFER
    new = Grant(EARNINGS, source, share.credits, share.credits, 0, PRIORITY[source], now, None)
    told: Facts = {**facts, **grant_facts(new), "role": share.role}
    movement = Movement(key, order, "transfer", EARNINGS, now, entries, told)
    if earned is None:
        return Posting(share.wallet.workspace_id, movement, Change(share.credits, 0, 0, (), added=new))
    change = Change(share.credits, 0, 0, (GrantChange(EARNINGS, share.credits, 0, amount=share.credits),))
    return Posting(share.wallet.workspace_id, movement, change)


def _spend(
    wallet: Wallet,
    key: str,
    kind: str,
    amount: int,
    contra: tuple[Entry, ...],
    facts: Facts,
    order: str,
    now: datetime,
) -> Posting:
    spendable = wallet.spendable(now)
    if wallet.debt > 0 or spendable < amount:
        raise InsufficientCredits(needed=amount, available=0 if wallet.debt else spendable)
    draws = drawn(wallet.grants, amount, now)
    entries = (*(Entry(Account.AVAILABLE, -draw.amount, draw.grant_id) for draw in draws), *contra)
    movement = Movement(key, order, kind, key, now, entries, facts)
    change = Change(-amount, 0, 0, taken_from(draws))
    return Posting(wallet.workspace_id, movement, change, revision=wallet.revision, unindebted=True)
