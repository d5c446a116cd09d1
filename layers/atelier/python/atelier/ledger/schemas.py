"""HTTP schemas of credits: queries and responses. All amounts are integer credits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from atelier import cursors
from atelier.lazy_model import LazyModel
from atelier.ledger.credit_events import low_threshold
from atelier.ledger.model import Account, DailyCreditRule, Grant, Movement, Wallet, burn_down
from atelier.ledger.ports import MovementPage

# It reads seals, which few requests show.
if TYPE_CHECKING:
    from atelier.ledger.history import Balance


class GrantView(LazyModel):
    id: str
    source: str
    amount: int
    remaining: int
    priority: int
    expires_at: datetime | None


class BalanceView(LazyModel):
    """Spendable credits, credits reserved by open holds, and the grants in the order in which they are spent; now, or
    at the requested instant. `tier` and `next_daily_reset_at` are only set for the present balance."""

    tier: str | None = Field(description="The name of the tier whose rules hold now.", examples=["free"])
    available: int
    held: int
    debt: int
    grants: list[GrantView]
    next_daily_reset_at: datetime | None
    daily_credits_withheld: Literal["email_unverified", "mailbox_shared"] | None = Field(
        description="Why no daily credits come: the e-mail address is not verified, or another account of the same "
        "mailbox has them."
    )


class ThresholdRequest(LazyModel):
    """With fewer credits than these the workspace is told that few are left; null = as its tier says, 0 = never."""

    model_config = ConfigDict(extra="forbid")

    credits: int | None = Field(ge=0, le=1_000_000_000)


class ThresholdView(LazyModel):
    """The workspace is told once when it has fewer credits than `credits`. `is_chosen`: the workspace chose it."""

    credits: int
    is_chosen: bool


class EntryView(LazyModel):
    """One line of a movement: credits on an account, + in, − out."""

    account: str
    amount: int
    grant_id: str | None


class MovementView(LazyModel):
    """One change of the wallet; its entries sum to zero. `available` is its effect on the spendable credits."""

    id: str
    kind: str
    subject: str
    at: datetime
    available: int
    held: int
    entries: list[EntryView]
    facts: dict[str, int | str | None]


class StatementView(LazyModel):
    items: list[MovementView]
    next_cursor: str | None


class GrantUseView(LazyModel):
    """The credits charged to one grant."""

    grant_id: str
    credits: int


class ExplanationView(LazyModel):
    """How a generation was charged: its price version or quote, hold, end, charge, and the grants that paid it."""

    generation_id: str
    credits_held: int
    credits_charged: int
    price_version: str | None
    quote: str | None
    attempts: int | None
    grants_used: list[GrantUseView]
    movements: list[MovementView]


class ProvenWalletView(LazyModel):
    """The wallet's counters, which must equal the sums of its entries. Grants: id → [remaining, held]."""

    available: int
    held: int
    debt: int
    holds_open: int
    written: int
    grants: dict[str, list[int]]


class ProvenEntryView(LazyModel):
    """One movement in the form of its digest, which is the SHA-256 of its JSON with sorted keys and no spaces."""

    key: str
    order: str
    kind: str
    subject: str
    at: str
    entries: list[dict[str, int | str | None]]
    facts: dict[str, int | str | None]
    hold: dict[str, Any] | None = None


class SealView(LazyModel):
    """One link of the chain. Movements: [order, key, digest]. `hash` covers all other fields and the workspace's id.
    Grants: id → [remaining, held, amount, source, priority, granted_at, expires_at]."""

    number: int
    previous: str | None
    at: str
    lag_milliseconds: int
    count: int
    movements: list[tuple[str, str, str]]
    balance: dict[str, int]
    grants: dict[str, list[Any]]
    hash: str


class HeadView(LazyModel):
    """The newest seal. Note it down: a later proof can be checked to contain it, so that changes before it show."""

    number: int
    hash: str
    count: int


class ProofView(LazyModel):
    """One page of a proof, which `python -m atelier.ledger.verify` checks offline. The wallet is on the last page; the
    head is the newest seal up to the end of this page."""

    workspace_id: str
    wallet: ProvenWalletView | None
    seals: list[SealView]
    entries: list[ProvenEntryView]
    head: HeadView | None
    next_cursor: str | None


class BalanceQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    at: AwareDatetime | None = Field(default=None, description="A past instant; now when it is left out.")


class ProofQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    cursor: Annotated[str, Field(max_length=400)] | None = None


class StatementQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=400)] | None = None


def threshold_view(wallet: Wallet, monthly_credits_of: Callable[[str], int]) -> ThresholdView:
    """The response with the threshold of a wallet."""
    return ThresholdView(credits=low_threshold(wallet, monthly_credits_of), is_chosen=wallet.low_below is not None)


def balance_view(wallet: Wallet, daily: DailyCreditRule, now: datetime) -> BalanceView:
    """The response for a wallet, with its grants in the order in which they will be spent. `daily`: the daily credits
    of the wallet's tier."""
    withheld = daily.withholding_reason(wallet)
    return BalanceView(
        tier=wallet.tier_name_at(now),
        available=wallet.spendable(now),
        held=wallet.held,
        debt=wallet.debt,
        grants=grant_views(wallet.grants, now),
        next_daily_reset_at=None if withheld else wallet.reset_at,
        daily_credits_withheld=withheld,
    )


def past_balance_view(balance: Balance, at: datetime) -> BalanceView:
    """The response for a past balance, with the grants in the order in which they would have been spent."""
    grants = grant_views(balance.grants, at)
    return BalanceView(
        tier=None,
        available=sum(grant.remaining for grant in grants),
        held=balance.held,
        debt=balance.debt,
        grants=grants,
        next_daily_reset_at=None,
        daily_credits_withheld=None,
    )


def grant_views(grants: Sequence[Grant], at: datetime) -> list[GrantView]:
    """The grants that can be spent at an instant, in the order in which they are."""
    return [
        GrantView(
            id=grant.id,
            source=grant.source.value,
            amount=grant.amount,
            remaining=grant.remaining,
            priority=grant.priority,
            expires_at=grant.expires_at,
        )
        for grant in burn_down(grants, at)
    ]


def movement_view(movement: Movement) -> MovementView:
    """The response for a movement."""

    def amount_on(account: str) -> int:
        return sum(entry.amount for entry in movement.entries if entry.account == account)

    return MovementView(
        id=movement.key,
        kind=movement.kind,
        subject=movement.subject,
        at=movement.at,
        available=amount_on("available"),
        held=amount_on("held"),
        entries=[
            EntryView(account=entry.account.value, amount=entry.amount, grant_id=entry.grant_id)
            for entry in movement.entries
        ],
        facts=movement.facts,
    )


def statement_view(page: MovementPage) -> StatementView:
    """The response with a page of movements."""
    return StatementView(items=list(map(movement_view, page.movements)), next_cursor=cursors.encode(page.next_key))


def explanation_view(generation_id: str, movements: tuple[Movement, ...]) -> ExplanationView:
    """The response for the movements of a generation. `movements` is not empty and begins with the hold."""
    views = [movement_view(movement) for movement in movements]
    facts = {name: value for movement in movements for name, value in movement.facts.items()}
    price_version, quote, attempts = facts.get("price_version"), facts.get("quote"), facts.get("attempts")
    return ExplanationView(
        generation_id=generation_id,
        credits_held=views[0].held,
        credits_charged=sum(
            entry.amount for movement in movements for entry in movement.entries if entry.account == "revenue"
        ),
        price_version=str(price_version) if price_version else None,
        quote=str(quote) if quote else None,
        attempts=int(attempts) if attempts is not None else None,
        grants_used=[use for movement in movements for use in _grants_used(movement)],
        movements=views,
    )


def _grants_used(movement: Movement) -> list[GrantUseView]:
    # In the end of a hold, the line on `held` of each grant comes before the line with the credits charged to it.
    grants_used: list[GrantUseView] = []
    grant_id = None
    for entry in movement.entries:
        if entry.account is Account.HELD:
            grant_id = entry.grant_id
        elif entry.account is Account.REVENUE and grant_id:
            grants_used.append(GrantUseView(grant_id=grant_id, credits=entry.amount))
    return grants_used
