"""The ledger's types and rules: frozen values and pure functions. Credits are integers everywhere. Holds are planned in
plan_hold.py, refreshes in plan_refresh.py, other changes in operations.py.

A *movement* is one thing that happened to a wallet; its *entries* move credits between accounts and sum to zero. A
movement's key is its natural key, so writing it twice is impossible:

    hold#<generation>      available → held             one per generation
    settle#<generation>    held → revenue, available, expired, operator loss   the one end of that hold
    late#<generation>      issued → operator loss       a result that arrived after its hold was released
    daily#<date>           issued → available           one per UTC day
    expiry#<grant>#<n>     available → expired          one per grant and revision of the wallet
    cover#<n>              available → debt             one per revision of the wallet

    escrow#<payment>       available → held             one per payment that waits for what it pays
    escrow-end#<payment>   held → issued, revenue, available   the one end of that escrow; in each receiver's wallet
                           issued → available
    refund#<payment>       issued → available           what an escrow gives back of a grant that has expired
    refund#<payment>#again issued → available           what it gives back of a refund that has expired

Wallets of 2026 may have these, which nothing writes any more: a purchase that paid at once, and its refund:

    purchase#<purchase>    available → issued, revenue  in each receiver's wallet issued → available
    unpurchase#<purchase>  revenue → issued             in each receiver's wallet available, debt → issued
    refund#<purchase>#<n>  issued → available           what a refund gave back, by the expiry that it had

The place of these movements in the statement follows from their keys. The keys below are chosen by the caller (a
payment intent, a refund, a sale); a separate key item makes each of them unique for ever:

    grant#<reference>      issued → available           paid, promised or given
    revoke#<reference>     available, expired, debt → issued      a refund or a dispute: up to what
                           is left unrevoked of a grant
    grant#<reference>#returned   issued → available      gives back what revoke#<reference> took, once
    adjust#<reference>     issued ↔ available           an administrator's, with a reason
    transfer#<reference>   available → issued, revenue; in each receiver's wallet issued → available

A *change* lists the deltas of the wallet's counters; the store applies it in the transaction of its movement.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

from atelier.clock import next_midnight, rfc3339
from atelier.dataclass import dataclass
from atelier.errors import Conflict, Forbidden
from atelier.ids import floor_id


class Account(StrEnum):
    """The accounts of a wallet. `issued` is the source of all grants, so the sum over all accounts is always zero."""

    AVAILABLE = "available"
    HELD = "held"
    ISSUED = "issued"
    REVENUE = "revenue"
    EXPIRED = "expired"
    OPERATOR_LOSS = "operator_loss"
    DEBT = "debt"


class GrantSource(StrEnum):
    """Where a grant came from."""

    DAILY = "daily"
    MONTHLY = "monthly"
    PURCHASE = "purchase"
    PROMO = "promo"
    REFUND = "refund"
    ADMIN = "admin"
    TRANSFER = "transfer"


class EndState(StrEnum):
    """How a hold ended; each ends exactly once."""

    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"


class MailboxState(StrEnum):
    """State of the mailbox of the wallet's owner; daily credits depend on it."""

    # The mailbox is verified, or the wallet was created before this state was stored.
    ELIGIBLE = "counts"
    UNVERIFIED = "unverified"
    # Another account of the same mailbox receives its daily credits.
    SHARED = "shared"


# A smaller number is spent first among grants that expire together: free credits go before bought ones.
SPENDING_PRIORITY = {
    GrantSource.DAILY: 10,
    GrantSource.MONTHLY: 20,
    GrantSource.PROMO: 30,
    GrantSource.REFUND: 40,
    GrantSource.ADMIN: 50,
    GrantSource.TRANSFER: 55,
    GrantSource.PURCHASE: 60,
}
NO_EXPIRY_SORT_KEY = "9999"
# `Wallet.reset_at` of a wallet whose daily credits are withheld: the daily reset skips it.
NEVER_RESET = datetime(9999, 12, 31, tzinfo=UTC)
FREE_TIER = "free"
# A hold or a payment takes credits from at most this many grants. Each of them lengthens the expression of one update
# of the wallet, and DynamoDB refuses an expression of more than 4 KB, which 65 grants would take.
DRAWS_MAX = 50


class WalletFrozen(Forbidden):
    """An administrator of the platform has frozen the wallet: nothing new can be spent."""

    def __init__(self) -> None:
        super().__init__("The credits of this workspace are frozen. Ask those who run this service.", reason="frozen")


@dataclass(frozen=True, slots=True)
class Grant:
    """Credits given once. `remaining` can be spent; `held` is reserved by open holds."""

    id: str
    source: GrantSource
    amount: int
    remaining: int
    held: int
    priority: int
    granted_at: datetime
    expires_at: datetime | None

    def is_expired(self, now: datetime) -> bool:
        """Whether the remaining credits can no longer be spent."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Wallet:
    """A workspace's credit counters.

    `revision` counts changes to the *set* of grants, not to their amounts, so that parallel holds do not invalidate
    each other. `written` counts the movements. `debt` is the amount that a refund or chargeback took back after it was
    spent; while it is above zero, nothing can be spent. `budgeted`: the workspace has a budget, so each hold must
    reserve on it. `own_routes`: the workspace may have its own provider keys or preferences, which each submission must
    read. `mailbox`: state of the owner's mailbox; see `DailyCreditRule.withholding_reason`. `delivered_bytes`: the size
    of all files that generations have delivered, counted here because each delivery writes the wallet anyway; files
    that were deleted or moved since are included (see `stored_bytes`).

    `tier` is the id of a tier in the catalogue: "free", or a version such as "pro@2"; `tier_ends_at`: when it ends, as
    far as that is known. Rules are those of `tier_at`. `frozen_at`: since when nothing new can be spent, by the word of
    an administrator of the platform; open holds end as ever. `low_below`: with fewer credits than this the workspace is
    told that they are low; None = as its tier says."""

    workspace_id: str
    tier: str
    available: int
    held: int
    debt: int
    holds_open: int
    revision: int
    grants: tuple[Grant, ...]
    reset_at: datetime
    sweep_at: datetime | None
    written: int = 0
    budgeted: bool = False
    own_routes: bool = True
    mailbox: MailboxState = MailboxState.ELIGIBLE
    tier_ends_at: datetime | None = None
    delivered_bytes: int = 0
    frozen_at: datetime | None = None
    low_below: int | None = None

    def tier_at(self, now: datetime) -> str:
        """The id of the tier whose rules hold at `now`: free from `tier_ends_at` on, whether or not that was written
        already."""
        return FREE_TIER if self.tier_ends_at is not None and self.tier_ends_at <= now else self.tier

    def tier_name_at(self, now: datetime) -> str:
        """The tier at `now` by its name alone, without the version: "pro"."""
        return self.tier_at(now).partition("@")[0]

    def spendable(self, now: datetime) -> int:
        """Credits that a hold could take now. Can be less than `available`, which includes expired credits until their
        expiry is booked."""
        return sum(grant.remaining for grant in self.grants if not grant.is_expired(now))

    def stored_bytes(self, counted_in_library: int) -> int:
        """The bytes of the workspace's stored files. counted_in_library: what the library adds to those delivered:
        uploads, less what was deleted or moved away; may be below 0."""
        return max(self.delivered_bytes + counted_in_library, 0)

    def needs_refresh(self, now: datetime) -> bool:
        """Whether a daily grant is due, an expiry is not booked yet, or a debt can be paid."""
        return (
            self.reset_at <= now
            or any(grant.is_expired(now) and grant.remaining for grant in self.grants)
            or (self.debt > 0 and self.spendable(now) > 0)
        )

    @property
    def pays_nobody(self) -> bool:
        """Whether what it holds for somebody else goes back: a payment for its credits was taken back, or it is
        frozen."""
        return self.debt > 0 or self.frozen_at is not None

    def require_not_frozen(self) -> None:
        """Raises WalletFrozen."""
        if self.frozen_at is not None:
            raise WalletFrozen

    def grant(self, grant_id: str) -> Grant | None:
        """The live grant with this id."""
        return next((grant for grant in self.grants if grant.id == grant_id), None)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a movement: `amount` credits (± integer) on an account. Lines on `available` and `held` name their
    grant."""

    account: Account
    amount: int
    grant_id: str | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """One change of a wallet. `order` (26 ULID characters) and `key` give its place in the statement; `subject` is the
    id that it concerns: a generation, a grant, or an operation's key. Raises ValueError unless its entries sum to
    zero."""

    key: str
    order: str
    kind: str
    subject: str
    at: datetime
    entries: tuple[Entry, ...]
    facts: dict[str, int | str | None]

    def __post_init__(self) -> None:
        if sum(entry.amount for entry in self.entries) != 0:
            raise ValueError(f"the entries of {self.key} do not sum to zero")


@dataclass(frozen=True, slots=True)
class GrantChange:
    """What a movement does to one grant (deltas).

    `drains` marks a draw that took everything that remained. It is valid only while `remaining` is still exactly that:
    with more left, a later grant would be spent before an earlier one. `amount`: credits added to an existing grant."""

    grant_id: str
    remaining: int
    held: int
    takes_all: bool = False
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What a movement does to the wallet's counters (all deltas). `added`: new grants."""

    available: int
    held: int
    holds_open: int
    grants: tuple[GrantChange, ...]
    debt: int = 0
    added: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Draw:
    """Credits that a hold took from one grant. `expires_at` is the grant's."""

    grant_id: str
    amount: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Credits reserved for one generation until its deadline. `draws` are in the order in which they were taken."""

    reference: str
    amount: int
    deadline_at: datetime
    draws: tuple[Draw, ...]


@dataclass(frozen=True, slots=True)
class HoldPlan:
    """A hold to be written. `revision` is the wallet's revision at planning; a different one makes the plan stale.
    `sweep_at`: a new, earlier time at which the sweep visits the wallet; None keeps the present one."""

    hold: Hold
    movement: Movement
    change: Change
    revision: int
    sweep_at: datetime | None
    holds_open_max: int


@dataclass(frozen=True, slots=True)
class SettlementPlan:
    """The end of a hold, to be written: `charged` credits are paid, the rest goes back."""

    state: EndState
    charged: int
    movement: Movement
    change: Change


@dataclass(frozen=True, slots=True)
class DailyCreditRule:
    """The daily credits of a tier, and when they are given: at UTC midnight, or 24 hours after the last ones."""

    credits: int
    reset: Literal["midnight", "after_24h"] = "midnight"
    # Whether this deployment gives daily credits to verified mailboxes only.
    verified_only: bool = False

    def withholding_reason(self, wallet: Wallet) -> Literal["email_unverified", "mailbox_shared"] | None:
        """The reason why a wallet gets no daily credits; None when it gets them."""
        if wallet.mailbox is MailboxState.SHARED:
            return "mailbox_shared"
        return "email_unverified" if self.verified_only and wallet.mailbox is MailboxState.UNVERIFIED else None

    def is_due(self, wallet: Wallet, now: datetime) -> bool:
        """Whether the next daily credits are due, or the reason for withholding them no longer holds."""
        return wallet.reset_at <= now or (wallet.reset_at == NEVER_RESET and self.withholding_reason(wallet) is None)

    def next_reset_at(self, now: datetime) -> datetime:
        """When the credits that are given at `now` expire and the next ones are due. Always on a later date, because
        the date is the key of a daily grant."""
        return next_midnight(now) if self.reset == "midnight" else now + timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """A refresh to be written: the wallet afterwards, the wallet as it was read, and the movements between them."""

    wallet: Wallet
    before: Wallet
    movements: tuple[Movement, ...]


def new_wallet(workspace_id: str, tier: str, now: datetime, mailbox: MailboxState = MailboxState.ELIGIBLE) -> Wallet:
    """An empty wallet whose first daily grant is due at once."""
    return Wallet(workspace_id, tier, 0, 0, 0, 0, 0, (), now, None, own_routes=False, mailbox=mailbox)


def burn_down(grants: Iterable[Grant], now: datetime) -> list[Grant]:
    """Spendable grants in the order they are spent: earliest expiry, then lowest priority number, then oldest."""
    return sorted(
        (grant for grant in grants if grant.remaining > 0 and not grant.is_expired(now)),
        key=lambda grant: (
            grant.expires_at.isoformat() if grant.expires_at else NO_EXPIRY_SORT_KEY,
            grant.priority,
            grant.granted_at,
            grant.id,
        ),
    )


def grant_facts(grant: Grant) -> dict[str, int | str | None]:
    """The facts of the movement that creates a grant: source, priority, expiry."""
    return {
        "source": grant.source.value,
        "priority": grant.priority,
        "expires_at": rfc3339(grant.expires_at) if grant.expires_at else None,
    }


def draw_credits(grants: Iterable[Grant], amount: int, now: datetime) -> tuple[Draw, ...]:
    """Draws of `amount` credits from the grants in burn-down order; of fewer when the grants have fewer."""
    draws: list[Draw] = []
    for grant in burn_down(grants, now):
        credits = min(grant.remaining, amount)
        if credits == 0:
            break
        draws.append(Draw(grant.id, credits, grant.expires_at))
        amount -= credits
    return tuple(draws)


def require_few_draws(draws: tuple[Draw, ...]) -> None:
    """Check that one update of the wallet can take these draws; raises Conflict when there are more than DRAWS_MAX."""
    if len(draws) > DRAWS_MAX:
        raise Conflict(
            f"This would take credits from more than {DRAWS_MAX} grants at once. Order less at a time.", limit=DRAWS_MAX
        )


def draw_changes(draws: tuple[Draw, ...]) -> tuple[GrantChange, ...]:
    """The changes of the grants by these draws. Every draw but the last took all that its grant had."""
    return tuple(GrantChange(draw.grant_id, -draw.amount, 0, takes_all=draw is not draws[-1]) for draw in draws)


def order_at(at: datetime) -> str:
    """The `order` of a movement at this time: the lowest ULID (26 characters) of its millisecond."""
    return floor_id("grt", at)[4:]
