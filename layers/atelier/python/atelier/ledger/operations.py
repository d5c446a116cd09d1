"""Operations on wallets other than holds: credits are granted, revoked, adjusted, transferred. Pure plans.

Each operation has a key chosen by its caller (a payment intent, a refund, a sale), unique for ever, and a fingerprint
of its facts. The same key with the same facts is a repetition; the same key with other facts is a conflict."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from atelier.dataclass import dataclass
from atelier.errors import Conflict, InsufficientCredits
from atelier.ledger.agreement import assert_agreement
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
    draw_credits,
    grant_facts,
    require_few_draws,
)

GRANTS_MAX = 200
# Money has been taken for these grants already, so they are given even beyond GRANTS_MAX.
PAID_SOURCES = frozenset({GrantSource.MONTHLY, GrantSource.PURCHASE, GrantSource.REFUND})
# Credits that are given back can be spent for at least this long, even if those that were revoked expired sooner.
RETURNED_CREDITS_LIFETIME_MIN = timedelta(days=30)
EARNINGS_GRANT_ID = "earnings"
# A DynamoDB transaction has at most 100 parts: here two for each wallet, and one for the key.
RECEIVERS_MAX = 40
Facts = dict[str, int | str | None]


@dataclass(frozen=True, slots=True)
class Posting:
    """One wallet's part of an operation, with the conditions of its write.

    `revision`: the revision that the wallet must still have, where credits are drawn from its grants.
    `requires_no_debt`: the wallet must have no debt, because credits are spent or paid out of an escrow.
    `requires_not_frozen`: it must not be frozen, because credits are paid out of an escrow. `remaining`: (grant id,
    credits) that must be left exactly; None when there must be no such grant. `grant_movements`: other movements of the
    same change, which make new grants; the wallet can be written once in a transaction."""

    workspace_id: str
    movement: Movement
    change: Change
    revision: int | None = None
    requires_no_debt: bool = False
    requires_not_frozen: bool = False
    remaining: tuple[tuple[str, int | None], ...] = ()
    grant_movements: tuple[Movement, ...] = ()

    def __post_init__(self) -> None:
        assert_agreement(self.movement, self.change, *self.movements[1:])

    @property
    def movements(self) -> tuple[Movement, ...]:
        """The movement, and those that make new grants."""
        return (self.movement, *self.grant_movements)


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """A grant as its operation recorded it, and how many of its credits are revoked: in total, without those that were
    given back; and out of those that had expired, whether or not they were given back."""

    key: str
    grant_id: str
    amount: int
    expires_at: datetime | None
    revoked: int
    revoked_expired: int


@dataclass(frozen=True, slots=True)
class Operation:
    """Everything that one key does, in one transaction. The wallet of the first posting owns the key.

    `new_grant`: the grant that this operation makes, recorded for a later revocation. `changed_grant`: the record of an
    earlier grant, of which this operation revokes credits or gives revoked ones back, before and after."""

    key: str
    postings: tuple[Posting, ...]
    new_grant: GrantRecord | None = None
    changed_grant: tuple[GrantRecord, GrantRecord] | None = None


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """The record of an operation, kept for ever: enough to recognise a repetition and to find its movement."""

    key: str
    fingerprint: str
    order: str
    grant: GrantRecord | None


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
    """Plan a grant: issued → available. `order` (26 ULID characters) is its place in the statement and part of the
    grant's id. Raises ValueError for an amount below one, Conflict when the wallet has GRANTS_MAX grants and this one
    was not paid for."""
    if amount < 1:
        raise ValueError("a grant gives at least one credit")
    live_grants = sum(1 for each in wallet.grants if each.remaining or each.held)
    if source not in PAID_SOURCES and live_grants >= GRANTS_MAX:
        raise Conflict(f"A wallet has at most {GRANTS_MAX} grants at a time.", limit=GRANTS_MAX)

    spending_priority = SPENDING_PRIORITY[source] if priority is None else priority
    grant = Grant(f"grt_{order}", source, amount, amount, 0, spending_priority, now, expires_at)
    entries = (Entry(Account.ISSUED, -amount), Entry(Account.AVAILABLE, amount, grant.id))

    source_facts = grant_facts(grant)
    movement = Movement(key, order, "grant", grant.id, now, entries, {**facts, **source_facts})
    posting = Posting(wallet.workspace_id, movement, Change(amount, 0, 0, (), added=(grant,)))
    return Operation(key, (posting,), new_grant=GrantRecord(key, grant.id, amount, expires_at, 0, 0))


def plan_revocation(
    wallet: Wallet,
    key: str,
    grant_record: GrantRecord,
    amount: int,
    *,
    expired_credits: int,
    reason: str,
    order: str,
    now: datetime,
) -> Operation | None:
    """Plan a revocation of up to `amount` credits of a grant; None when all of it is revoked already. First the
    remaining credits are taken, then the expired ones; for credits that have been spent, the wallet gets a debt.
    `expired_credits`: credits of the grant booked as expired.

    The wallet must be refreshed. Raises ValueError for an amount below one."""
    if amount < 1:
        raise ValueError("a revocation takes back at least one credit")
    credits = min(amount, grant_record.amount - grant_record.revoked)
    if credits == 0:
        return None

    grant = wallet.grant(grant_record.grant_id)
    remaining = grant.remaining if grant else 0
    taken_remaining = min(remaining, credits)
    taken_expired = min(credits - taken_remaining, expired_credits - grant_record.revoked_expired)
    new_debt = credits - taken_remaining - taken_expired

    entries = (
        Entry(Account.AVAILABLE, -taken_remaining, grant_record.grant_id),
        Entry(Account.EXPIRED, -taken_expired),
        Entry(Account.DEBT, -new_debt),
        Entry(Account.ISSUED, credits),
    )
    facts: Facts = {"grant": grant_record.key, "reason": reason}
    movement = Movement(key, order, "revoke", grant_record.grant_id, now, tuple(e for e in entries if e.amount), facts)

    grants = (GrantChange(grant_record.grant_id, -taken_remaining, 0),) if taken_remaining else ()
    posting = Posting(
        wallet.workspace_id,
        movement,
        Change(-taken_remaining, 0, 0, grants, debt=new_debt),
        remaining=((grant_record.grant_id, grant.remaining if grant else None),),
    )
    after = replace(
        grant_record,
        revoked=grant_record.revoked + credits,
        revoked_expired=grant_record.revoked_expired + taken_expired,
    )
    return Operation(key, (posting,), changed_grant=(grant_record, after))


def returned_key(revocation_key: str) -> str:
    """The key of the grant that gives a revocation back: `revoke#stripe#dp_1` → `grant#stripe#dp_1#returned`."""
    return f"grant#{revocation_key.removeprefix('revoke#')}#returned"


def revoked_grant_key(movement: Movement) -> str:
    """The key of the grant that a revocation took credits of. Raises ValueError when the movement is no revocation."""
    if movement.kind != "revoke":
        raise ValueError(f"{movement.key} revoked nothing")
    return str(movement.facts["grant"])


def revoked_credits(revocation: Movement) -> int:
    """How many credits a revocation took."""
    return sum(entry.amount for entry in revocation.entries if entry.account is Account.ISSUED)


def plan_give_back(
    wallet: Wallet, revocation: Movement, grant_record: GrantRecord, *, reason: str, order: str, now: datetime
) -> Operation:
    """Plan the return of all that a revocation took of the recorded grant, as a grant of source REFUND. It expires with
    the revoked grant, but not within RETURNED_CREDITS_LIFETIME_MIN. The credits count as unrevoked again, so that a
    later refund of the same payment takes them back."""
    credits = revoked_credits(revocation)
    expires_at = grant_record.expires_at
    operation = plan_grant(
        wallet,
        returned_key(revocation.key),
        GrantSource.REFUND,
        credits,
        expires_at=max(expires_at, now + RETURNED_CREDITS_LIFETIME_MIN) if expires_at else None,
        priority=None,
        facts={"revocation": revocation.key, "reason": reason},
        order=order,
        now=now,
    )
    # Expired credits that were revoked have left the account *expired* for good, so `revoked_expired` stays.
    after = replace(grant_record, revoked=grant_record.revoked - credits)
    return replace(operation, changed_grant=(grant_record, after))


def plan_adjustment(wallet: Wallet, key: str, credits: int, facts: Facts, *, order: str, now: datetime) -> Operation:
    """Plan an administrator's correction: positive credits become a grant without expiry, negative ones are spent.
    Raises InsufficientCredits when fewer can be spent, Conflict like `plan_grant`, ValueError for zero credits."""
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
    posting = _plan_spending(wallet, key, "adjust", -credits, (Entry(Account.ISSUED, -credits),), facts, order, now)
    return Operation(key, (posting,))


@dataclass(frozen=True, slots=True)
class TransferShare:
    """The credits that one receiver of a transfer gets. `role`: seller or royalty."""

    wallet: Wallet
    credits: int
    role: str


def plan_transfer(
    payer: Wallet, key: str, shares: tuple[TransferShare, ...], fee: int, facts: Facts, *, order: str, now: datetime
) -> Operation:
    """Plan a payment from one wallet to at most RECEIVERS_MAX others. Received credits do not expire; the fee is
    revenue.

    Each wallet's movement sums to zero by itself: credits go from the payer's wallet to *issued*, and are issued again
    in the receiver's. Raises InsufficientCredits; ValueError when a receiver is the payer, is named twice, or gets less
    than one credit, or when the fee is negative; WalletFrozen for the payer's."""
    payer.require_not_frozen()
    receivers = [share.wallet.workspace_id for share in shares]
    if payer.workspace_id in receivers or len(set(receivers)) < len(receivers):
        raise ValueError("a transfer goes to other wallets, to each once")
    if not 0 < len(shares) <= RECEIVERS_MAX or fee < 0 or any(share.credits < 1 for share in shares):
        raise ValueError("every receiver gets at least one credit, and the fee is not negative")
    credits_given = sum(share.credits for share in shares)
    contra_entries = [Entry(Account.ISSUED, credits_given)] + ([Entry(Account.REVENUE, fee)] if fee else [])
    spending = _plan_spending(payer, key, "transfer", credits_given + fee, tuple(contra_entries), facts, order, now)
    return Operation(key, (spending, *(plan_receipt(share, key, facts, order, now) for share in shares)))


def plan_receipt(share: TransferShare, key: str, facts: Facts, order: str, now: datetime) -> Posting:
    """Plan what a receiver of a payment gets: issued → available, in the grant of all earnings."""
    # All earnings of a wallet are one grant, because a seller may sell every minute and the wallet item must stay
    # small.
    earnings = share.wallet.grant(EARNINGS_GRANT_ID)
    entries = (Entry(Account.ISSUED, -share.credits), Entry(Account.AVAILABLE, share.credits, EARNINGS_GRANT_ID))
    source = GrantSource.TRANSFER
    new_grant = Grant(EARNINGS_GRANT_ID, source, share.credits, share.credits, 0, SPENDING_PRIORITY[source], now, None)
    receipt_facts: Facts = {**facts, **grant_facts(new_grant), "role": share.role}
    movement = Movement(key, order, "transfer", EARNINGS_GRANT_ID, now, entries, receipt_facts)
    if earnings is None:
        return Posting(share.wallet.workspace_id, movement, Change(share.credits, 0, 0, (), added=(new_grant,)))
    change = Change(share.credits, 0, 0, (GrantChange(EARNINGS_GRANT_ID, share.credits, 0, amount=share.credits),))
    return Posting(share.wallet.workspace_id, movement, change)


def _plan_spending(
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
    draws = draw_credits(wallet.grants, amount, now)
    require_few_draws(draws)
    entries = (*(Entry(Account.AVAILABLE, -draw.amount, draw.grant_id) for draw in draws), *contra)
    movement = Movement(key, order, kind, key, now, entries, facts)
    change = Change(-amount, 0, 0, draw_changes(draws))
    return Posting(wallet.workspace_id, movement, change, revision=wallet.revision, requires_no_debt=True)
