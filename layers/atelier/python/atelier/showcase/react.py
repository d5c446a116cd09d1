"""Likes, and follows of creators: each once for each person."""

from __future__ import annotations

from datetime import datetime

from atelier.errors import Conflict, NotFound
from atelier.showcase.deps import ShowcaseDeps
from atelier.showcase.model import Listing, ListingStatus
from atelier.showcase.rules import FOLLOWS_MAX


def like(listing_id: str, user_id: str, *, deps: ShowcaseDeps, now: datetime) -> Listing:
    """Like a listing; doing it again changes nothing. Raises NotFound for what not everybody sees."""
    listing = deps.listings.find(listing_id)
    if listing.status is not ListingStatus.VISIBLE:
        raise NotFound
    deps.reactions.like(listing_id, user_id, now)
    return listing


def unlike(listing_id: str, user_id: str, *, deps: ShowcaseDeps, now: datetime) -> Listing:
    """Take a like back; doing it again changes nothing. Raises NotFound."""
    listing = deps.listings.find(listing_id)
    deps.reactions.unlike(listing_id, user_id, now)
    return listing


def follow(creator_id: str, user_id: str, *, deps: ShowcaseDeps, now: datetime) -> None:
    """Follow a creator; doing it again changes nothing. Raises NotFound for who has no account, Conflict for oneself
    and beyond FOLLOWS_MAX."""
    if creator_id == user_id:
        raise Conflict("You cannot follow yourself.")
    if creator_id not in deps.people.names([creator_id]):
        raise NotFound
    followed = deps.reactions.followed(user_id)
    if creator_id not in followed and len(followed) >= FOLLOWS_MAX:
        raise Conflict(f"You can follow {FOLLOWS_MAX} creators at most.", limit=FOLLOWS_MAX)
    deps.reactions.follow(creator_id, user_id, now)


def unfollow(creator_id: str, user_id: str, *, deps: ShowcaseDeps) -> None:
    """Follow a creator no more; doing it again changes nothing."""
    deps.reactions.unfollow(creator_id, user_id)
