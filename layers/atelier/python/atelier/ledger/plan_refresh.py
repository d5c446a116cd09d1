"""Plan a refresh of a wallet. Pure: the wallet as it was read in, the wallet afterwards and the movements out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from atelier.clock import next_midnight
from atelier.ledger.agreement import assert_refresh
from atelier.ledger.model import (
    NEVER_RESET,
    SPENDING_PRIORITY,
    Account,
    DailyCreditRule,
    Entry,
    Grant,
    GrantSource,
    Movement,
    RefreshPlan,
    Wallet,
    draw_credits,
    grant_facts,
    order_at,
)

# A DynamoDB transaction has at most 100 parts: one for each movement, and the wallet.
EXPIRIES_MAX = 90


def plan_refresh(wallet: Wallet, daily: DailyCreditRule, now: datetime) -> RefreshPlan:
    """Plan a refresh: book expiries, drop grants that are spent and not held, add today's grant when it is due, and pay
    a debt from the remaining credits. Of more than EXPIRIES_MAX expiries, the rest is left for the next refresh."""
    movements: list[Movement] = []
    grants: list[Grant] = []
    available = wallet.available
    for grant in wallet.grants:
        kept_grant = grant
        if grant.is_expired(now) and grant.remaining and len(movements) < EXPIRIES_MAX:
            expired_credits = grant.remaining
            entries = (Entry(Account.AVAILABLE, -expired_credits, grant.id), Entry(Account.EXPIRED, expired_credits))
            at = grant.expires_at or now
            # The key has the revision, because one grant can expire twice: a hold's end that was decided just before
            # the expiry may give credits back after it was booked.
            key = f"expiry#{grant.id}#{wallet.revision}"
            movements.append(Movement(key, order_at(at), "expire", grant.id, now, entries, {}))
            kept_grant = replace(grant, remaining=0)
            available -= expired_credits
        if kept_grant.remaining or kept_grant.held:
            grants.append(kept_grant)

    reset_at = wallet.reset_at
    if daily.is_due(wallet, now):
        withholding_reason = daily.withholding_reason(wallet)
        reset_at = NEVER_RESET if withholding_reason else daily.next_reset_at(now)
        if daily.credits > 0 and not withholding_reason:
            day = now.date().isoformat()
            grant = Grant(
                f"daily#{day}",
                GrantSource.DAILY,
                daily.credits,
                daily.credits,
                0,
                SPENDING_PRIORITY[GrantSource.DAILY],
                now,
                reset_at,
            )
            entries = (Entry(Account.ISSUED, -daily.credits), Entry(Account.AVAILABLE, daily.credits, grant.id))
            # The order comes from the day, not from `now`, so that a day's grant has one sort key for ever.
            order = order_at(next_midnight(now) - timedelta(days=1))
            movements.append(Movement(f"daily#{day}", order, "grant", grant.id, now, entries, grant_facts(grant)))
            grants.append(grant)
            available += daily.credits

    debt_paid = min(wallet.debt, sum(grant.remaining for grant in grants if not grant.is_expired(now)))
    if debt_paid:
        payments = {draw.grant_id: draw.amount for draw in draw_credits(grants, debt_paid, now)}
        entries = (
            *(Entry(Account.AVAILABLE, -amount, grant_id) for grant_id, amount in payments.items()),
            Entry(Account.DEBT, debt_paid),
        )
        movements.append(Movement(f"cover#{wallet.revision}", order_at(now), "cover", "debt", now, entries, {}))
        grants = [replace(grant, remaining=grant.remaining - payments.get(grant.id, 0)) for grant in grants]
        available -= debt_paid

    after = replace(
        wallet,
        available=available,
        debt=wallet.debt - debt_paid,
        grants=tuple(grants),
        reset_at=reset_at,
        revision=wallet.revision + 1,
        written=wallet.written + len(movements),
    )
    assert_refresh(wallet, after, movements)
    return RefreshPlan(after, wallet, tuple(movements))
