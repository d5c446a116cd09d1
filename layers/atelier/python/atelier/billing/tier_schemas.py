"""HTTP schemas of the price list. Amounts are integers in the currency's minor unit: cents, but whole yen."""

from __future__ import annotations

from pydantic import Field

from atelier.catalogue.model import KindName
from atelier.catalogue.tiers import Interval, Pack, Tier
from atelier.lazy_model import LazyModel


class TierPriceView(LazyModel):
    """What a tier costs for one interval."""

    interval: Interval
    currency: str = Field(examples=["usd"])
    amount_minor: int


class TierLimits(LazyModel):
    """What a workspace may have at most."""

    generations_open_max: int = Field(description="Generations under way at the same time.")
    projects_max: int
    storage_bytes_max: int = Field(description="Bytes of stored files.")
    members_max: int
    api_calls_max: int = Field(description="Calls with API tokens in a calendar month.")
    archived_days: int = Field(description="How many days archived assets are kept; 0 = for ever.")
    sites_max: int
    page_version_days: int = Field(description="How many days a page's version is kept after it was replaced.")
    site_scripts: bool = Field(description="Whether pages may have scripts of their own, and load from other hosts.")


class TierView(LazyModel):
    """What a tier gives, allows and costs."""

    id: str = Field(examples=["pro@1"])
    name: str = Field(examples=["pro"])
    version: int
    title: str
    prices: list[TierPriceView] = Field(description="Empty = free of charge.")
    daily_credits: int
    monthly_credits: int = Field(
        description="For each paid month; a year's payment gives twelve times as many at once."
    )
    rollover_months: int = Field(description="How long monthly credits may be spent after the end of their period.")
    trial_days: int
    trial_credits: int
    grace_days: int = Field(description="Days from a failed payment until the workspace falls to the free tier.")
    watermark: bool
    kinds: list[KindName]
    models: list[str] | None = Field(description="The models that may be used; null = all of them.")
    features: list[str]
    limits: TierLimits


class PackPriceView(LazyModel):
    """What one pack costs."""

    currency: str = Field(examples=["usd"])
    amount_minor: int


class PackView(LazyModel):
    """Credits that are bought once."""

    id: str = Field(examples=["small@1"])
    name: str = Field(examples=["small"])
    version: int
    title: str
    credits: int
    expires_after_days: int | None = Field(description="null = the credits never expire.")
    quantity_max: int = Field(description="How many of them one purchase may contain.")
    prices: list[PackPriceView]


class TierList(LazyModel):
    """The price list. The tiers are in the order of their rank, the free one first."""

    items: list[TierView]
    packs: list[PackView]
    next_cursor: None = None


def tier_view(tier: Tier) -> TierView:
    """The API's view of a tier."""
    return TierView(
        id=tier.id,
        name=tier.name,
        version=tier.version,
        title=tier.title,
        prices=[TierPriceView.model_validate(price) for price in tier.prices],
        daily_credits=tier.daily_credits,
        monthly_credits=tier.monthly_credits,
        rollover_months=tier.rollover_months,
        trial_days=tier.trial_days,
        trial_credits=tier.trial_credits,
        grace_days=tier.grace_days,
        watermark=tier.watermark,
        kinds=list(tier.allowed_kinds),
        models=None if tier.models == "all" else list(tier.models),
        features=list(tier.features),
        limits=TierLimits(
            generations_open_max=tier.generations_open_max,
            projects_max=tier.projects_max,
            storage_bytes_max=tier.storage_bytes_max,
            members_max=tier.members_max,
            api_calls_max=tier.api_calls_max,
            archived_days=tier.archived_days,
            sites_max=tier.sites_max,
            page_version_days=tier.page_version_days,
            site_scripts=tier.site_scripts,
        ),
    )


def pack_view(pack: Pack) -> PackView:
    """The API's view of a pack."""
    return PackView(
        id=pack.id,
        name=pack.name,
        version=pack.version,
        title=pack.title,
        credits=pack.credits,
        expires_after_days=pack.expires_after_days,
        quantity_max=pack.quantity_max,
        prices=[PackPriceView(currency=pack.currency, amount_minor=pack.price)],
    )
