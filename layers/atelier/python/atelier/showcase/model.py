"""Values and rules of the showcase. Immutable, no side effects.

A *listing* is an asset, a character or a template that somebody has published: a copy of it as it was then, which
whoever buys it *collects* into the own workspace. Its *ancestors* are the listings that it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from atelier.dataclass import dataclass
from atelier.errors import Conflict
from atelier.showcase.rules import (
    ANCESTORS_MAX,
    FEE_PERCENT,
    REFUND_WITHIN,
    ROYALTY_PERCENT_BY_GENERATION,
)


class WorkKind(StrEnum):
    """What a listing is."""

    ASSET = "asset"
    CHARACTER = "character"
    TEMPLATE = "template"


class ListingStatus(StrEnum):
    # A moderator has to look at it first.
    PENDING = "pending"
    VISIBLE = "visible"
    # Reported by several people; a moderator has to look at it again.
    HIDDEN = "hidden"
    REJECTED = "rejected"
    # By whoever published it, or with the account. Its buyers keep what they bought.
    REMOVED = "removed"


class Disclosure(StrEnum):
    """Whether a work was made by AI, as far as its provenance says."""

    GENERATED = "generated"
    # Nothing here has made it; whoever uploaded it says that it was made by AI.
    DECLARED = "declared"
    UPLOADED = "uploaded"


class PurchaseState(StrEnum):
    BOUGHT = "bought"
    # The content is in the buyer's library; from then on there is no refund.
    COLLECTED = "collected"
    REFUNDED = "refunded"


class ListingChanged(Exception):
    """The listing, or the purchase, was changed since it was read."""


class ListingExists(Exception):
    """A listing with this id is stored already."""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A listing that another one was made from. generation: 1 = directly. workspace_id: who gets its royalty."""

    listing_id: str
    workspace_id: str
    user_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Listing:
    """One published work. subject_id: the asset, character or template that it is a copy of. price_credits: 0 = free.
    thumbnail: SHA-256 of the file whose thumbnail shows it. media_type: of the asset; of others their kind.

    sales: how many workspaces have it. likes: as the last visit of the schedule counted them. trend: its place among
    the popular ones. version: counts all writes."""

    id: str
    workspace_id: str
    user_id: str
    kind: WorkKind
    subject_id: str
    media_type: str
    title: str
    description: str
    tags: tuple[str, ...]
    licence: str
    price_credits: int
    disclosure: Disclosure
    status: ListingStatus
    created_at: datetime
    updated_at: datetime
    thumbnail: str | None = None
    ancestors: tuple[Ancestor, ...] = ()
    published_at: datetime | None = None
    sales: int = 0
    likes: int = 0
    trend: int | None = None
    ranked_sales: int = 0
    reports: int = 0
    appeals: int = 0
    reason: str | None = None
    version: int = 1

    def require_visible(self) -> None:
        """Raises Conflict."""
        if self.status is not ListingStatus.VISIBLE:
            raise Conflict("This is not on offer.", status=self.status.value)


@dataclass(frozen=True, slots=True)
class Report:
    """That somebody has reported a listing. reason: one of REPORT_REASONS; text: in their own words."""

    listing_id: str
    user_id: str
    reason: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """A file of a listing, under the listing's own key: what is known of the asset that it came from."""

    asset_id: str
    type: str
    name: str
    format: str
    sha256: str
    size_bytes: int
    width: int | None
    height: int | None
    duration_ms: int | None
    has_thumbnail: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a listing offers, as it was when it was published. document: the fields of a character or a template."""

    files: tuple[SnapshotFile, ...] = ()
    document: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What one workspace gets of a price. role: seller or royalty. user_id: the person whose work it is for."""

    workspace_id: str
    user_id: str
    credits: int
    role: str


@dataclass(frozen=True, slots=True)
class Split:
    """A price, split: fee and shares are the price, to the credit."""

    fee: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Purchase:
    """That a workspace has bought a listing. workspace_id: the buyer's. refunded_before: there was a refund of an
    earlier purchase of the listing. request_key: the Idempotency-Key of the request that made it. pays_at: until then
    the price is in escrow, unless it is collected or refunded before; None = nothing is in escrow: it is free, or has
    been paid or refunded."""

    id: str
    listing_id: str
    workspace_id: str
    user_id: str
    title: str
    price_credits: int
    split: Split
    state: PurchaseState
    created_at: datetime
    updated_at: datetime
    collected_at: datetime | None = None
    refunded_before: bool = False
    request_key: str | None = None
    pays_at: datetime | None = None

    def refundable_until(self, now: datetime) -> datetime | None:
        """Until when it can be refunded; None = it cannot."""
        return self.pays_at if self.pays_at is not None and now < self.pays_at and not self.refunded_before else None


@dataclass(frozen=True, slots=True)
class Earning:
    """What a workspace gets of one purchase for the work of one person. paid_at: when it got that; None = the price is
    still in escrow, or was refunded. taken_back_at: when it was refunded."""

    purchase_id: str
    listing_id: str
    title: str
    workspace_id: str
    user_id: str
    role: str
    credits: int
    price_credits: int
    at: datetime
    taken_back_at: datetime | None = None
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EarnedTotal:
    """What a workspace gets for the work of one person, in all, and what refunds took back of it. waiting: what of the
    difference is still in escrow."""

    earned: int = 0
    taken_back: int = 0
    sales: int = 0
    waiting: int = 0


def escrow_ends_at(bought_at: datetime, *, refunded_before: bool) -> datetime:
    """When a price is paid that nobody has asked back. What was refunded once is final at once."""
    return bought_at if refunded_before else bought_at + REFUND_WITHIN


def split_price(listing: Listing, buyer_id: str) -> Split:
    """How the price is split when a workspace buys the listing. A share of nothing is not there. What would go to the
    buyer's own workspace or to the seller's as a royalty is the seller's."""
    price = listing.price_credits
    fee = price * FEE_PERCENT // 100
    royalties: dict[str, tuple[str, int]] = {}
    for generation, percent in enumerate(ROYALTY_PERCENT_BY_GENERATION, 1):
        ancestors = [each for each in listing.ancestors if each.generation == generation]
        part = price * percent // 100 // len(ancestors) if ancestors else 0
        for each in ancestors:
            if part and each.workspace_id not in (listing.workspace_id, buyer_id):
                user_id, sum_before = royalties.get(each.workspace_id, (each.user_id, 0))
                royalties[each.workspace_id] = user_id, sum_before + part
    shares = [Share(workspace, user, credits, "royalty") for workspace, (user, credits) in royalties.items()]
    rest = price - fee - sum(share.credits for share in shares)
    seller = [Share(listing.workspace_id, listing.user_id, rest, "seller")] if rest else []
    return Split(fee, (*seller, *shares))


def ancestors_of(bought: Sequence[Listing]) -> tuple[Ancestor, ...]:
    """The ancestors of a listing that was made from these ones: they, and theirs, the nearest first. Each counts once,
    in its nearest generation."""
    found: dict[str, Ancestor] = {}
    for each in bought:
        found.setdefault(each.id, Ancestor(each.id, each.workspace_id, each.user_id, 1))
    further = [(ancestor.generation + 1, ancestor) for each in bought for ancestor in each.ancestors]
    for generation, each in sorted(further, key=lambda pair: pair[0]):
        if generation <= len(ROYALTY_PERCENT_BY_GENERATION):
            found.setdefault(each.listing_id, Ancestor(each.listing_id, each.workspace_id, each.user_id, generation))
    return tuple(found.values())[:ANCESTORS_MAX]
