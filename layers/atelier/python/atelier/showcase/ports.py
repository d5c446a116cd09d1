"""Ports of the showcase."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.events.event import Event
from atelier.ledger.operations import Posting
from atelier.library.model import Asset
from atelier.showcase.model import EarnedTotal, Earning, Listing, Purchase, Report, Snapshot


@dataclass(frozen=True, slots=True)
class ListingPage:
    """Listings in the list's order. `next_key` is where the next page begins; None on the last page."""

    listings: tuple[Listing, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class PurchasePage:
    """Purchases, the newest listing first. `next_key` is where the next page begins; None on the last page."""

    purchases: tuple[Purchase, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class EarningPage:
    """Earnings, newest first. `next_key` is where the next page begins; None on the last page."""

    earnings: tuple[Earning, ...]
    next_key: str | None


class ListingStore(Protocol):
    """Listings. Conditions are part of the write."""

    def create(self, listing: Listing, snapshot: Snapshot, events: Sequence[AuditEvent]) -> None:
        """Store a new listing with its copy of the work. Raises ListingExists."""
        ...

    def find(self, listing_id: str) -> Listing:
        """The listing, of whichever workspace (consistent read). Raises NotFound."""
        ...

    def find_all(self, listing_ids: Collection[str]) -> Sequence[Listing]:
        """Those of up to 50 listings that exist, in this order."""
        ...

    def snapshot(self, listing_id: str) -> Snapshot:
        """The copy of the work. Raises NotFound."""
        ...

    def change(
        self, before: Listing, after: Listing, events: Sequence[AuditEvent], *, report: Report | None = None
    ) -> None:
        """Store a change of the status, with all that follows from it: how the listing is found, and the event. Raises
        ListingChanged unless nothing was written to the listing since `before` was read, and the report is new."""
        ...

    def has_reported(self, listing_id: str, user_id: str) -> bool:
        """Whether a person has reported the listing (consistent read)."""
        ...

    def reports(self, listing_id: str, limit: int) -> Sequence[Report]: ...

    def in_review(self, after_key: str | None, limit: int) -> ListingPage:
        """What moderators have to look at, the longest waiting first."""
        ...

    def page(self, workspace_id: str, after_key: str | None, limit: int) -> ListingPage:
        """The listings of a workspace, newest first."""
        ...

    def newest(self, after_key: str | None, limit: int) -> ListingPage:
        """What everybody sees, the newest first."""
        ...

    def popular(self, after_key: str | None, limit: int) -> ListingPage:
        """What everybody sees, the most popular first."""
        ...

    def found(self, by: str, before_id: str | None, limit: int) -> ListingPage:
        """What everybody sees and is found by `word#…`, `tag#…` or a person's id, newest first. before_id: only older
        ones than this listing, as is `next_key` of the page."""
        ...


@dataclass(frozen=True, slots=True)
class DueListing:
    """A listing that is due: the items that say so, each with the version that was read."""

    listing_id: str
    marks: tuple[tuple[str, int], ...]


class RankStore(Protocol):
    """Listings, as the schedule sees them."""

    def due(self, now: datetime, limit: int) -> Sequence[DueListing]:
        """The listings that are due, the longest overdue first."""
        ...

    def settle(self, due: DueListing) -> None:
        """Note that it is not due any more, except by what was written since it was read."""
        ...

    def find(self, listing_id: str) -> Listing:
        """Raises NotFound."""
        ...

    def likes(self, listing_id: str) -> int:
        """How many people like a listing (consistent read)."""
        ...

    def save_rank(self, before: Listing, after: Listing) -> bool:
        """Store likes and trend; False, and no change, when anything was written to the listing since it was read."""
        ...

    def outbox(self, listing_id: str) -> Sequence[tuple[str, Event]]:
        """The events that were not published yet, the oldest first, each with its key."""
        ...

    def published(self, listing_id: str, key: str) -> None:
        """Take an event out of the outbox."""
        ...


class ReactionStore(Protocol):
    """Likes and follows, each once for each person. Counters change in the transaction of what they count."""

    def like(self, listing_id: str, user_id: str, now: datetime) -> None: ...

    def unlike(self, listing_id: str, user_id: str, now: datetime) -> None: ...

    def likes_it(self, listing_id: str, user_id: str) -> bool: ...

    def likes(self, listing_id: str) -> int:
        """How many people like a listing (consistent read)."""
        ...

    def followed(self, user_id: str) -> Sequence[str]:
        """The ids of those whom a person follows."""
        ...

    def follow(self, creator_id: str, user_id: str, now: datetime) -> None: ...

    def unfollow(self, creator_id: str, user_id: str) -> None: ...


class PurchaseStore(Protocol):
    """Purchases, and what they bring. A purchase, its postings in the ledger and its earnings are one transaction. The
    earnings of an account that was erased are gone, and are not written again."""

    def purchase(self, workspace_id: str, listing_id: str) -> Purchase | None:
        """That the workspace has bought the listing (consistent read)."""
        ...

    def purchases(self, workspace_id: str, after_key: str | None, limit: int) -> PurchasePage: ...

    def buy(self, listing: Listing, before: Purchase | None, new: Purchase, postings: Sequence[Posting]) -> None:
        """Store a purchase. before: the refunded one that it replaces. Raises ListingChanged unless the listing is
        visible at the same price and the purchase is as `before`; StaleWallet."""
        ...

    def refund(self, listing: Listing | None, before: Purchase, after: Purchase, postings: Sequence[Posting]) -> None:
        """Store a refund. listing: None when it is gone. Raises ListingChanged unless the purchase is as `before`;
        StaleWallet."""
        ...

    def change(self, before: Purchase, after: Purchase, postings: Sequence[Posting]) -> None:
        """Store that the content was collected, or its price paid. Raises ListingChanged unless the purchase is as
        `before`; StaleWallet."""
        ...

    def due(self, now: datetime, limit: int) -> Sequence[Purchase]:
        """The purchases whose price can be paid, the longest overdue first."""
        ...

    def put_off(self, purchase: Purchase, until: datetime) -> None:
        """Let a purchase be due later; nothing when it was changed meanwhile."""
        ...

    def earned(self, workspace_id: str, user_id: str) -> EarnedTotal: ...

    def earnings(self, workspace_id: str, user_id: str, after_key: str | None, limit: int) -> EarningPage: ...


class Works(Protocol):
    """The library, as the showcase copies from it and into it."""

    def assets(self, workspace_id: str, asset_ids: Collection[str]) -> Sequence[Asset]:
        """Those of these assets that the workspace has, in this order."""
        ...

    def bought_origins(self, asset: Asset) -> Sequence[str]:
        """The listings that an asset was bought as, or that are in what it was made of, also through others, deleted or
        moved; the nearest first, each once, within bounds."""
        ...

    def document(self, workspace_id: str, subject_id: str) -> tuple[dict[str, Any], str | None]:
        """The fields of a character or a template, and the listing that it was bought as. Raises NotFound."""
        ...

    def copy_file(self, source_id: str, target_id: str, sha256: str, format: str) -> None:
        """Copy a file with its thumbnail between two workspaces or listings. Safe to repeat."""
        ...

    def record_asset(self, asset: Asset) -> None:
        """Store an asset, unless its id is taken already."""
        ...

    def record_document(
        self, id: str, workspace_id: str, user_id: str, fields: dict[str, Any], listing_id: str
    ) -> None:
        """Store a character or a template that was bought, unless its id is taken already."""
        ...

    def require_room(self, workspace_id: str, size_bytes: int) -> None:
        """Raises QuotaExceeded when the workspace may not store so much more."""
        ...


class ShowcasePeople(Protocol):
    """Who people are."""

    def names(self, user_ids: Sequence[str]) -> Mapping[str, str]:
        """The names of those who have an account."""
        ...


Checked = Sequence[tuple[str, str]]


class TextCheck(Protocol):
    """Moderation of texts."""

    def __call__(self, texts: Checked, now: datetime) -> None:
        """Check (path, text) pairs. Raises PromptRefused."""
        ...
