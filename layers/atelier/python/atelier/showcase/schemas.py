"""HTTP schemas of the showcase: requests and responses. Prices and earnings are integer credits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from atelier.lazy_model import LazyModel
from atelier.showcase.model import WorkKind
from atelier.showcase.moderate import ListingDecision
from atelier.showcase.publish import ListingFields
from atelier.showcase.rules import LICENCES, PRICE_CREDITS_MAX, REPORT_REASONS, TAGS_MAX

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Description = Annotated[str, Field(max_length=5000)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40, to_lower=True)]
Price = Annotated[int, Field(ge=0, le=PRICE_CREDITS_MAX, description="Credits; 0 = free.")]
UserId = Annotated[str, Field(pattern=r"^usr_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Cursor = Annotated[str, Field(max_length=300)]
AssetId = Annotated[str, Field(pattern=r"^ast_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
CharacterId = Annotated[str, Field(pattern=r"^chr_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
TemplateId = Annotated[str, Field(pattern=r"^tpl_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]


def _known_licence(licence: str) -> str:
    if licence not in LICENCES:
        raise ValueError(f"must be one of {', '.join(LICENCES)}")
    return licence


def _known_reason(reason: str) -> str:
    if reason not in REPORT_REASONS:
        raise ValueError(f"must be one of {', '.join(REPORT_REASONS)}")
    return reason


def _once_each(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


LicenceId = Annotated[str, Field(max_length=40, examples=["standard"]), AfterValidator(_known_licence)]
Tags = Annotated[list[Tag], Field(max_length=TAGS_MAX), AfterValidator(_once_each)]


class PublishWorkRequest(LazyModel):
    """A work to publish: one of `asset_id`, `character_id` and `template_id`."""

    model_config = ConfigDict(extra="forbid")

    asset_id: AssetId | None = None
    character_id: CharacterId | None = None
    template_id: TemplateId | None = None
    title: Title
    description: Description = ""
    tags: Tags = Field(default_factory=list[str])
    licence: LicenceId = "standard"
    price_credits: Price = 0
    is_ai: bool = Field(default=False, description="Of an upload: you say that AI has made it.")

    @model_validator(mode="after")
    def _one_work(self) -> PublishWorkRequest:
        if sum(each is not None for each in (self.asset_id, self.character_id, self.template_id)) != 1:
            raise ValueError("say one of asset_id, character_id and template_id")
        return self

    @property
    def fields(self) -> ListingFields:
        """What the creator says."""
        named = zip(WorkKind, (self.asset_id, self.character_id, self.template_id), strict=True)
        kind, subject_id = next((kind, id) for kind, id in named if id is not None)
        said = self.title, self.description, tuple(self.tags), self.licence, self.price_credits, self.is_ai
        return ListingFields(kind, subject_id, *said)


class BuyRequest(LazyModel):
    """Buy, at the price that you have seen; when it is another one by now, the answer is a 409 that names it."""

    model_config = ConfigDict(extra="forbid")

    price_credits: Price | None = None


class ReportRequest(LazyModel):
    """Why the moderators should look at a listing."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=20, examples=["copyright"]), AfterValidator(_known_reason)]
    text: str = Field(default="", max_length=1000)


class DecideListingRequest(LazyModel):
    """A moderator's decision. reason: for the creator, when it is rejected."""

    model_config = ConfigDict(extra="forbid")

    decision: ListingDecision
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class ShowcaseQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    order: Literal["newest", "popular"] = "newest"
    q: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Whole words of title, tags or description, all of them; newest first."
    )
    tag: Annotated[str, StringConstraints(max_length=40, to_lower=True)] | None = None
    creator: UserId | None = Field(default=None, description="Only of this person; newest first.")
    limit: int = Field(default=24, ge=1, le=50)
    cursor: Cursor | None = None


class OwnWorksQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=50)
    cursor: Cursor | None = None


class LicenceView(LazyModel):
    """What whoever gets a work may do with it. url: empty = the whole text is in our documentation."""

    id: str
    name: str
    url: str
    allows_remix: bool
    allows_commercial_use: bool


class CreatorView(LazyModel):
    """Who published a listing. name: empty when the account is gone."""

    user_id: str
    name: str


class ListingView(LazyModel):
    """One published work, as everybody sees it."""

    id: str
    kind: Literal["asset", "character", "template"]
    media_type: str = Field(description="image, video, audio, text or page; of others the kind.")
    title: str
    description: str
    tags: list[str]
    licence: LicenceView
    price_credits: int
    disclosure: Literal["generated", "declared", "uploaded"] = Field(
        description="`generated`: AI has made it here; `declared`: its creator says that AI has made it; `uploaded`: "
        "its creator says nothing of the kind."
    )
    creator: CreatorView
    sales: int
    likes: int
    made_from: list[str] = Field(description="The listings that it was made from, the nearest first.")
    thumbnail_url: str | None
    published_at: datetime | None
    created_at: datetime


class ListingEnvelope(LazyModel):
    listing: ListingView


class ListingList(LazyModel):
    items: list[ListingView]
    next_cursor: str | None


class OwnListingView(ListingView):
    """A listing, for the workspace that published it."""

    status: Literal["pending", "visible", "hidden", "rejected", "removed"]
    subject_id: str
    reason: str | None = Field(description="Why a moderator rejected it.")


class OwnListingEnvelope(LazyModel):
    listing: OwnListingView


class OwnListingList(LazyModel):
    items: list[OwnListingView]
    next_cursor: str | None


class ShareView(LazyModel):
    """What one receiver got of a price."""

    role: Literal["seller", "royalty"]
    credits: int


class PurchaseView(LazyModel):
    """A receipt. `price_credits` is `fee_credits` and all shares together."""

    id: str
    listing_id: str
    title: str
    price_credits: int
    fee_credits: int
    shares: list[ShareView]
    state: Literal["bought", "collected", "refunded"]
    created_at: datetime
    collected_at: datetime | None
    refundable_until: datetime | None = Field(
        description="Until then, and until it is collected, the price is held and its creators are not paid. null = it "
        "cannot be refunded."
    )


class PurchaseEnvelope(LazyModel):
    purchase: PurchaseView


class PurchaseList(LazyModel):
    items: list[PurchaseView]
    next_cursor: str | None


class CollectedView(LazyModel):
    """What is in your library now. id: of the asset, the character or the template; asset_ids: of all its assets."""

    purchase: PurchaseView
    id: str
    asset_ids: list[str]


class MineView(LazyModel):
    """What a listing is to you."""

    listing: ListingView | OwnListingView
    is_yours: bool
    purchase: PurchaseView | None
    likes_it: bool = Field(description="Whether you like it.")
    follows_creator: bool = Field(description="Whether you follow its creator.")


class LikeView(LazyModel):
    """How many people like a listing, exactly."""

    likes: int
    likes_it: bool


class FollowView(LazyModel):
    user_id: str
    follows: bool


class ReportedView(LazyModel):
    """is_first: False = you had reported it before."""

    listing_id: str
    is_first: bool


class SplitRuleView(LazyModel):
    """How a price is split, in percent; the rest is the creator's."""

    fee_percent: int
    royalty_percent_by_generation: list[int]
    refund_hours: int


class ShowcaseRules(LazyModel):
    """What publishing and buying go by."""

    split: SplitRuleView
    licences: list[LicenceView]
    report_reasons: list[str]
    price_credits_max: int


class ReportView(LazyModel):
    user_id: str
    reason: str
    text: str
    at: datetime


class ReviewedListingView(OwnListingView):
    """A listing, for moderators. file_urls: of the work itself; document: the fields of a character or a template."""

    workspace_id: str
    appeals: int
    reports: list[ReportView]
    file_urls: list[str]
    document: dict[str, Any] | None


class ReviewedListingEnvelope(LazyModel):
    listing: ReviewedListingView


class ReviewQueue(LazyModel):
    """The listings that wait for a decision, the longest waiting first, without their files and reports."""

    items: list[OwnListingView]
    next_cursor: str | None


class EarningView(LazyModel):
    """What one purchase brings. paid_at: when the credits came; null while they wait, and after a refund. They wait
    until the buyer has collected the work or can no longer have the purchase refunded. taken_back_at: when it was
    refunded."""

    purchase_id: str
    listing_id: str
    title: str
    role: Literal["seller", "royalty"]
    credits: int
    price_credits: int
    at: datetime
    taken_back_at: datetime | None
    paid_at: datetime | None


class PayoutView(LazyModel):
    """Earnings are credits of the workspace, and are spent there. They cannot be paid out in money yet."""

    available: Literal[False] = False
    note: str = "Payouts in money are not available yet. Earnings are spent as credits."


class EarningsView(LazyModel):
    """A creator's earnings in this workspace. `earned_credits` − `taken_back_credits`, which were refunded, =
    `balance_credits`, which were paid, + `waiting_credits`, which are not paid yet."""

    user_id: str
    earned_credits: int
    taken_back_credits: int
    balance_credits: int
    waiting_credits: int
    sales: int
    payout: PayoutView
    items: list[EarningView]
    next_cursor: str | None
