"""The credits that an invoice gives: they follow its lines. Pure.

A line for a period gives the tier's monthly credits, twelve times as many for a year. The line of a trial gives the
tier's credits for it. The lines of a change in the middle of a period are in proportion to the time that they are for:
the new plan's line gives, the old plan's line takes away, so the workspace gets the difference for the rest of the
period, as it pays the difference."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from atelier.billing.model import LineCredits
from atelier.billing.stripe_facts import InvoiceFacts, LineFacts
from atelier.catalogue.tiers import Interval, Tier

MONTHS: dict[Interval, int] = {"month": 1, "year": 12}


def invoice_credits(
    invoice: InvoiceFacts, *, anchor: datetime, tier_of: Callable[[str], Tier]
) -> tuple[LineCredits, ...]:
    """The credits of each line that gives some. anchor: from which the subscription's periods are counted; tier_of: the
    tier with an id such as `pro@1`."""
    left = {line.id for line in invoice.lines if _is_of_plan_left(line, invoice.lines)}
    found = (_line_credits(line, anchor, tier_of, takes=line.id in left) for line in invoice.lines)
    given = [credits for credits in found if credits is not None]
    taken = -sum(line.credits for line in given if line.credits < 0)
    kept = list[LineCredits]()
    # What the old plan's rest gives back reduces the lines of this invoice, the prorated ones first, as they come.
    for line in (line for line in given if line.credits > 0):
        reduction = min(taken, line.credits)
        taken -= reduction
        if line.credits > reduction:
            kept.append(replace(line, credits=line.credits - reduction))
    return tuple(kept)


def _is_of_plan_left(line: LineFacts, lines: tuple[LineFacts, ...]) -> bool:
    """Whether a line is for the unused time of the plan that was left. It gives its money back; where that is nothing,
    as after a period that a coupon made free, Stripe names what it credits, or another plan's line costs something."""
    if line.amount or not line.is_proration:
        return line.amount < 0
    return line.is_credit or any(other.amount > 0 and other.price != line.price for other in lines)


def _line_credits(
    line: LineFacts, anchor: datetime, tier_of: Callable[[str], Tier], *, takes: bool
) -> LineCredits | None:
    if line.price is None or line.price.tier is None or line.price.interval is None:
        return None
    tier, months = tier_of(line.price.tier), MONTHS[line.price.interval]
    credits = tier.monthly_credits * months
    if line.is_trial:
        credits = tier.trial_credits
    elif line.is_proration:
        whole = line.period_end - _months_before(line.period_end, months, anchor)
        share = credits * (line.period_end - line.period_start) // whole
        credits = -share if takes else share
    expires_at = _months_after(line.period_end, tier.rollover_months, anchor)
    return LineCredits(line.id, line.price.tier, credits, line.period_start, expires_at, line.is_trial)


def _months_before(end: datetime, months: int, anchor: datetime) -> datetime:
    return _months_after(end, -months, anchor)


def _months_after(at: datetime, months: int, anchor: datetime) -> datetime:
    """The time so many months later, on the anchor's day of the month, or the last day of a shorter month."""
    if months == 0:
        return at
    count = at.year * 12 + at.month - 1 + months
    year, month = count // 12, count % 12 + 1
    follows_anchor = at.day == min(anchor.day, calendar.monthrange(at.year, at.month)[1])
    day = anchor.day if follows_anchor else at.day
    return at.replace(year=year, month=month, day=min(day, calendar.monthrange(year, month)[1]))
