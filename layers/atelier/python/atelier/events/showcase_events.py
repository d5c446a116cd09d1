"""The events of the showcase, which are part of the catalogue."""

from __future__ import annotations

from typing import Annotated, ClassVar

from atelier.dataclass import dataclass
from atelier.events.event import Instant, Workspace


@dataclass(frozen=True, slots=True)
class ListingChange:
    """A listing was submitted to the moderators, approved, rejected, hidden after reports, or removed."""

    source: ClassVar[str] = "atelier.showcase"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = tuple(
        f"listing.{change}" for change in ("submitted", "approved", "rejected", "hidden", "removed")
    )

    workspace_id: Workspace
    listing_id: Annotated[str, "the listing"]
    user_id: Annotated[str, "who published it"]
    change: Annotated[str, "what happened, as in the type"]
    number: Annotated[int, "counts the changes of the listing, with gaps"]
    title: Annotated[str, "the listing's title"]
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"listing.{self.change}"

    @property
    def id(self) -> str:
        return f"{self.listing_id}#{self.number}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at


@dataclass(frozen=True, slots=True)
class ListingRoyalty:
    """Somebody has bought a listing that was made from one of the workspace's, which gets a royalty when
    the purchase is paid; or the purchase was refunded before it was paid, and there is no royalty."""

    source: ClassVar[str] = "atelier.showcase"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("listing.royalty_earned", "listing.royalty_taken_back")

    workspace_id: Workspace
    listing_id: Annotated[str, "the listing that was bought; another workspace's"]
    purchase_id: Annotated[str, "the purchase"]
    user_id: Annotated[str, "the person whose work the royalty is for"]
    change: Annotated[str, "what happened, as in the type"]
    title: Annotated[str, "the title of the listing that was bought"]
    credits: Annotated[int, "what the workspace gets when the purchase is paid; after a refund: does not get"]
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"listing.{self.change}"

    @property
    def id(self) -> str:
        return f"{self.purchase_id}#{self.change}#{self.workspace_id}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at


@dataclass(frozen=True, slots=True)
class ListingSale:
    """Somebody has bought a listing of the workspace, or had the purchase refunded."""

    source: ClassVar[str] = "atelier.showcase"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("listing.sold", "listing.refunded")

    workspace_id: Workspace
    listing_id: Annotated[str, "the listing"]
    purchase_id: Annotated[str, "the purchase"]
    user_id: Annotated[str, "who published it"]
    change: Annotated[str, "what happened, as in the type"]
    title: Annotated[str, "the listing's title"]
    credits: Annotated[int, "what the seller gets when the purchase is paid; after a refund: does not get"]
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"listing.{self.change}"

    @property
    def id(self) -> str:
        return f"{self.purchase_id}#{self.change}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at
