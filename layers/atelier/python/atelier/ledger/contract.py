"""The HTTP contract of credits: answer models (api.md, "Credits"). All amounts are integer credits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from atelier.ledger.model import Movement, Wallet, burn_down


class GrantView(BaseModel):
    id: str
    source: str
    amount: int
    remaining: int
    priority: int
    expires_at: datetime | None


class BalanceView(BaseModel):
    """What can be spent now, what open holds reserve, and the grants behind it in the order they are spent."""

    available: int
    held: int
    debt: int
    grants: list[GrantView]
    next_daily_reset_at: datetime


class EntryView(BaseModel):
    """One line of a movement: credits on an account, + in, − out."""

    account: str
    amount: int
    grant_id: str | None


class MovementView(BaseModel):
    """One happening; its entries sum to zero. `available` is its effect on what can be spent."""

    id: str
    kind: str
    subject: str
    at: datetime
    available: int
    held: int
    entries: list[EntryView]
    facts: dict[str, int | str | None]


class StatementView(BaseModel):
    items: list[MovementView]
    next_cursor: str | None


class ExplanationView(BaseModel):
    """Why a generation was charged: its hold, its end, what it came to."""

    generation_id: str
    credits_held: int
    credits_charged: int
    price_version: str | None
    movements: list[MovementView]


class StatementQuery(BaseModel):
    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=400)] | None = None


def balance_view(wallet: Wallet, now: datetime) -> BalanceView:
    """The contract's form of a wallet; its grants in the order they will be spent."""
    return BalanceView(
        available=wallet.spendable(now),
        held=wallet.held,
        debt=wallet.debt,
        grants=[
            GrantView(
                id=grant.id,
                source=grant.source.value,
                amount=grant.amount,
                remaining=grant.remaining,
                priority=grant.priority,
                expires_at=grant.expires_at,
            )
            for grant in burn_down(wallet.grants, now)
        ],
        next_daily_reset_at=wallet.reset_at,
    )


def movement_view(movement: Movement) -> MovementView:
    """The contract's form of a movement."""

    def on(account: str) -> int:
        return sum(entry.amount for entry in movement.entries if entry.account == account)

    return MovementView(
        id=movement.key,
        kind=movement.kind,
        subject=movement.subject,
        at=movement.at,
        available=on("available"),
        held=on("held"),
        entries=[
            EntryView(account=entry.account.value, amount=entry.amount, grant_id=entry.grant_id)
            for entry in movement.entries
        ],
        facts=movement.facts,
    )


def explanation_view(generation_id: str, movements: tuple[Movement, ...]) -> ExplanationView:
    """The contract's form of a generation's movements."""
    views = [movement_view(movement) for movement in movements]
    price_version = movements[0].facts.get("price_version")
    return ExplanationView(
        generation_id=generation_id,
        credits_held=views[0].held,
        credits_charged=sum(
            entry.amount for movement in movements for entry in movement.entries if entry.account == "revenue"
        ),
        price_version=str(price_version) if price_version else None,
        movements=views,
    )
