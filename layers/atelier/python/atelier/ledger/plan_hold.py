"""Plan a hold and its end. Pure: a wallet or a hold in, a movement and the change of the counters out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from atelier.errors import InsufficientCredits, RateLimited
from atelier.ledger.agreement import assert_agreement
from atelier.ledger.model import (
    Account,
    Change,
    EndState,
    Entry,
    GrantChange,
    Hold,
    HoldPlan,
    Movement,
    SettlementPlan,
    Wallet,
    draw_changes,
    draw_credits,
    require_few_draws,
)

RETRY_AFTER_SECONDS = 5


def plan_hold(
    wallet: Wallet,
    reference: str,
    amount: int,
    deadline_at: datetime,
    facts: dict[str, int | str | None],
    now: datetime,
    *,
    holds_open_max: int,
    withholding_reason: str | None = None,
) -> HoldPlan:
    """Plan a hold of `amount` credits for a generation. `withheld`: the reason why the wallet gets no daily credits,
    for the error. Raises InsufficientCredits with the spendable amount, RateLimited when `holds_open_max` holds are
    open already, WalletFrozen, Conflict like `require_few_draws`, ValueError for a negative amount."""
    if amount < 0:
        raise ValueError("a hold cannot be negative")
    wallet.require_not_frozen()
    if wallet.holds_open >= holds_open_max:
        raise RateLimited(limit=holds_open_max, retry_after_seconds=RETRY_AFTER_SECONDS)
    spendable = wallet.spendable(now)
    if wallet.debt > 0 or spendable < amount:
        raise InsufficientCredits(needed=amount, available=0 if wallet.debt else spendable, reason=withholding_reason)

    draws = draw_credits(wallet.grants, amount, now)
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

    movement = Movement(f"hold#{reference}", reference[4:], "hold", reference, now, entries, facts)
    hold = Hold(reference, amount, deadline_at, draws)
    # The sweep must visit the wallet no later than its earliest open deadline.
    sweep_at = deadline_at if wallet.sweep_at is None or wallet.sweep_at > deadline_at else None
    change = Change(-amount, amount, 1, changes)
    assert sum(draw.amount for draw in draws) == amount, f"the draws of {reference} are not {amount} credits"
    assert_agreement(movement, change)
    return HoldPlan(hold, movement, change, wallet.revision, sweep_at, holds_open_max)


def plan_settlement(
    hold: Hold, state: EndState, charged: int, facts: dict[str, int | str | None], now: datetime
) -> SettlementPlan:
    """Plan the one end of a hold: `charged` credits go to revenue, the rest back to the grants that it came from.

    The charge is taken from the draws in their order, so the grants drawn last get credits back first. Credits of a
    grant that has expired meanwhile go to *expired*, never to another grant. Raises ValueError unless
    0 ≤ charged ≤ the hold's amount."""
    if not 0 <= charged <= hold.amount:
        raise ValueError(f"cannot charge {charged} on a hold of {hold.amount}")

    entries: list[Entry] = []
    changes: list[GrantChange] = []
    available = 0
    uncharged = charged
    for draw in hold.draws:
        charged_part = min(draw.amount, uncharged)
        uncharged -= charged_part
        returned = draw.amount - charged_part
        entries.append(Entry(Account.HELD, -draw.amount, draw.grant_id))
        if charged_part:
            entries.append(Entry(Account.REVENUE, charged_part))
        if returned and draw.expires_at is not None and draw.expires_at <= now:
            entries.append(Entry(Account.EXPIRED, returned))
            returned = 0
        elif returned:
            entries.append(Entry(Account.AVAILABLE, returned, draw.grant_id))
        changes.append(GrantChange(draw.grant_id, returned, -draw.amount))
        available += returned

    movement = Movement(
        f"settle#{hold.reference}", hold.reference[4:], state.value, hold.reference, now, tuple(entries), facts
    )
    change = Change(available, -hold.amount, -1, tuple(changes))
    assert uncharged == 0, f"{uncharged} credits of {hold.reference} are charged and were not drawn"
    assert_agreement(movement, change)
    return SettlementPlan(state, charged, movement, change)


def plan_late_result(reference: str, credits: int, facts: dict[str, int | str | None], now: datetime) -> Movement:
    """The movement for a result that arrived after its hold was released: the result is free, and its price is booked
    as the operator's loss. The wallet's counters do not change."""
    assert credits >= 0, f"the operator's loss on {reference} is {credits} credits"
    entries = (Entry(Account.ISSUED, -credits), Entry(Account.OPERATOR_LOSS, credits)) if credits else ()
    return Movement(f"late#{reference}", reference[4:], "late", reference, now, entries, facts)
