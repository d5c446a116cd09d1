"""The dependencies of the showcase."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.idempotency import IdempotencyKeys
from atelier.ledger.post import PostDeps
from atelier.showcase.model import Listing
from atelier.showcase.ports import ListingStore, PurchaseStore, ReactionStore, ShowcasePeople, TextCheck, Works

# (owner of the file: a workspace or a listing; SHA-256; format; time) → signed URLs of the file and its thumbnail.
FileUrls = Callable[[str, str, str, datetime], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PaymentDeps:
    """What paying for works needs. find_listing: raises NotFound. wallets: of buyers and receivers."""

    find_listing: Callable[[str], Listing]
    purchases: PurchaseStore
    wallets: PostDeps


@dataclass(frozen=True, slots=True)
class ShowcaseDeps:
    """What requests about the showcase need. works, idempotency_keys, check: factories, because few requests need
    them. wallets: the wallets of buyers and receivers."""

    listings: ListingStore
    purchases: PurchaseStore
    reactions: ReactionStore
    people: ShowcasePeople
    wallets: PostDeps
    works: Callable[[], Works]
    idempotency_keys: Callable[[], IdempotencyKeys]
    check: Callable[[], TextCheck]
    urls: FileUrls

    @property
    def payments(self) -> PaymentDeps:
        """What paying for works needs."""
        return PaymentDeps(self.listings.find, self.purchases, self.wallets)
