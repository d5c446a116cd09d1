"""Who sees a listing: moderators decide, reports hide, and a creator may ask for another decision once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from atelier.audit_log.model import Origin, platform_events
from atelier.errors import Conflict, NotFound
from atelier.retrying import retrying
from atelier.showcase.deps import ShowcaseDeps
from atelier.showcase.model import Listing, ListingChanged, ListingStatus, Report
from atelier.showcase.publish import Creator, listing_event, own_listing
from atelier.showcase.rank import first_trend
from atelier.showcase.rules import APPEALS_MAX, REPORTS_THAT_HIDE

TRIES_MAX = 60
BUSY = "The listing is busy. Try again."


class ListingDecision(StrEnum):
    """`approve`: everybody sees it, from now on or again. `reject`: nobody does."""

    APPROVE = "approve"
    REJECT = "reject"


DECIDED = {ListingDecision.APPROVE: ListingStatus.VISIBLE, ListingDecision.REJECT: ListingStatus.REJECTED}


def decide(
    listing_id: str, decision: ListingDecision, reason: str, origin: Origin, *, deps: ShowcaseDeps, now: datetime
) -> Listing:
    """A moderator's decision; the reports so far are dealt with by it. Repeating the same changes nothing. Raises
    NotFound, Conflict for what its creator has removed."""

    def change(before: Listing) -> Listing:
        status = DECIDED[decision]
        if before.status is status:
            return before
        if before.status is ListingStatus.REMOVED:
            raise Conflict("Its creator has removed it.", status=before.status.value)
        is_approved = status is ListingStatus.VISIBLE
        published_at = before.published_at or (now if is_approved else None)
        after = _next(
            before,
            status,
            now,
            published_at=published_at,
            reason=None if is_approved else reason,
            reports=0,
            trend=before.trend if before.trend is not None else (first_trend(now) if is_approved else None),
        )
        facts = {"decision": decision.value, "title": before.title, "reason": reason}
        events = platform_events(before.workspace_id, "listing.decided", origin, now, target=before.id, **facts)
        deps.listings.change(before, after, events)
        return after

    return _changing(listing_id, change, deps)


def report(new: Report, workspace_id: str, *, deps: ShowcaseDeps, now: datetime) -> bool:
    """Report a listing, once for each person; returns whether this was the first time. REPORTS_THAT_HIDE people hide it
    until a moderator decides. workspace_id: the reporter's. Raises NotFound for what they do not see, Conflict for
    their own."""
    is_first = False

    def change(before: Listing) -> Listing:
        nonlocal is_first
        if before.workspace_id == workspace_id:
            raise Conflict("This is your own.", reason="own_listing")
        if deps.listings.has_reported(new.listing_id, new.user_id):
            return before
        if before.status is not ListingStatus.VISIBLE:
            raise NotFound
        reports = before.reports + 1
        status = ListingStatus.HIDDEN if reports >= REPORTS_THAT_HIDE else before.status
        after = _next(before, status, now, reports=reports)
        deps.listings.change(before, after, (), report=new)
        is_first = True
        return after

    _changing(new.listing_id, change, deps)
    return is_first


def appeal(creator: Creator, listing_id: str, *, deps: ShowcaseDeps, now: datetime) -> Listing:
    """Ask for another decision about a listing that was rejected. Raises NotFound, Conflict."""

    def change(before: Listing) -> Listing:
        own_listing(creator.workspace_id, listing_id, deps)
        if before.status is ListingStatus.PENDING and before.appeals:
            return before
        if before.status is not ListingStatus.REJECTED:
            raise Conflict("Nobody has rejected it.", status=before.status.value)
        if before.appeals >= APPEALS_MAX:
            raise Conflict("You have asked for another decision before.", status=before.status.value)
        after = _next(before, ListingStatus.PENDING, now, appeals=before.appeals + 1)
        deps.listings.change(before, after, [listing_event(after, "appealed", creator.origin, now)])
        return after

    return _changing(listing_id, change, deps)


def _next(before: Listing, status: ListingStatus, now: datetime, **changes: object) -> Listing:
    version = before.version + 1
    return replace(before, status=status, updated_at=now, version=version, **changes)  # pyright: ignore[reportArgumentType]


def _changing(listing_id: str, change: Callable[[Listing], Listing], deps: ShowcaseDeps) -> Listing:
    pause = deps.wallets.pause
    return retrying(
        lambda: change(deps.listings.find(listing_id)), on=ListingChanged, busy=BUSY, tries_max=TRIES_MAX, pause=pause
    )
