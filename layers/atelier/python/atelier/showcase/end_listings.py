"""Take the listings of a workspace that is being erased off the showcase; who has bought them keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from atelier.library.ports import StoredFiles
from atelier.retrying import retrying
from atelier.showcase.model import Listing, ListingChanged, ListingStatus
from atelier.showcase.ports import ListingStore

PAGE = 25
TRIES_MAX = 60
BUSY = "The listing is busy. Try again."


class CopyStore(ListingStore, Protocol):
    """Listings whose copies of works can be dropped."""

    def drop_snapshot(self, listing_id: str) -> None:
        """Delete the copy of a work. Safe to repeat."""
        ...

    def has_snapshot(self, listing_id: str) -> bool:
        """Whether there is a copy of the work."""
        ...


def end_listings(
    workspace_id: str,
    *,
    store: CopyStore,
    files: Callable[[], StoredFiles],
    pause: Callable[[int], None],
    now: datetime,
) -> None:
    """Remove all listings; of those that nobody has, the copy goes too. Safe to repeat."""
    after: str | None = None
    while True:
        page = store.page(workspace_id, after, PAGE)
        for listing in page.listings:
            _end(listing, store, files, pause, now)
        after = page.next_key
        if after is None:
            return


def _end(
    listing: Listing,
    store: CopyStore,
    files: Callable[[], StoredFiles],
    pause: Callable[[int], None],
    now: datetime,
) -> None:
    def remove() -> Listing:
        before = store.find(listing.id)
        after = replace(before, status=ListingStatus.REMOVED, updated_at=now, version=before.version + 1)
        if before.status is not ListingStatus.REMOVED:
            store.change(before, after, ())
        return after

    # From here on nobody buys it, so the number of sales is final.
    removed = retrying(remove, on=ListingChanged, busy=BUSY, tries_max=TRIES_MAX, pause=pause)
    if removed.sales == 0:
        for file in store.snapshot(listing.id).files if store.has_snapshot(listing.id) else ():
            files().remove(listing.id, file.sha256, file.format)
        store.drop_snapshot(listing.id)
