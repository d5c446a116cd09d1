"""Bring the showcase to where it should be: pay for what can no longer be refunded; publish the events of listings,
count their likes, and rank them.

Whatever changes a listing makes it due, in the same write; so what a dead process left is done within a minute, and
what did not change costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from atelier.clock import TimeLeft
from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.events.ports import EventPublisher
from atelier.showcase.deps import PaymentDeps
from atelier.showcase.model import Listing, ListingStatus
from atelier.showcase.pay import pay_due
from atelier.showcase.ports import DueListing, RankStore
from atelier.showcase.rank import count_of, first_trend, next_trend
from atelier.telemetry import logger

DUE_TOGETHER = 50
ROUNDS_MAX = 100
TIME_MARGIN_MILLISECONDS = 10_000


@dataclass(frozen=True, slots=True)
class ShowcaseAdvanceDeps:
    """What advancing the showcase needs. publisher: makes what publishes events; not every run has any."""

    store: RankStore
    publisher: Callable[[], EventPublisher]
    payments: PaymentDeps


def advance_showcase(context: TimeLeft | None, *, deps: ShowcaseAdvanceDeps, clock: Callable[[], datetime]) -> int:
    """Do all that is due, as long as the time suffices: some listings and some purchases by turns, so that neither
    waits for all of the others. Returns how many."""
    advanced = paid = 0
    for _ in range(ROUNDS_MAX):
        listings = _advance_some(context, deps, clock)
        purchases = pay_due(context, deps=deps.payments, clock=clock)
        advanced, paid = advanced + listings, paid + purchases
        if listings + purchases == 0:
            break
    logger.info("showcase advanced", listings=advanced, purchases=paid)
    return advanced + paid


def _advance_some(context: TimeLeft | None, deps: ShowcaseAdvanceDeps, clock: Callable[[], datetime]) -> int:
    """Advance some of the listings that are due, the longest overdue first; returns how many. One that fails stays due,
    and stops no other."""
    done = 0
    for each in deps.store.due(clock(), DUE_TOGETHER):
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            logger.warning("listings are left for the next run", advanced=done)
            break
        try:
            _advance(each, deps, clock())
            done += 1
        except Exception as error:
            logger.exception("a listing could not be advanced", listing_id=each.listing_id, error=type(error).__name__)
    return done


def _advance(due: DueListing, deps: ShowcaseAdvanceDeps, now: datetime) -> None:
    # A busy listing has more events than one reading gives, and nothing makes it due again for the rest.
    while waiting := deps.store.outbox(due.listing_id):
        for key, event in waiting:
            deps.publisher().publish(event)
            deps.store.published(due.listing_id, key)
    try:
        before = deps.store.find(due.listing_id)
    except NotFound:
        # Its account was erased; there is nothing to rank.
        deps.store.settle(due)
        return
    after = ranked(before, deps.store.likes(due.listing_id), now)
    # When somebody was faster, it stays due, and the next run looks again.
    if after == before or deps.store.save_rank(before, after):
        deps.store.settle(due)


def ranked(before: Listing, likes: int, now: datetime) -> Listing:
    """The listing with its likes, and with its trend if everybody sees it."""
    trend = before.trend
    if before.status is ListingStatus.VISIBLE and trend is not None:
        change = count_of(likes, before.sales) - count_of(before.likes, before.ranked_sales)
        trend = next_trend(trend, change, now, least=first_trend(before.published_at or before.created_at))
    return replace(before, likes=likes, ranked_sales=before.sales, trend=trend)
