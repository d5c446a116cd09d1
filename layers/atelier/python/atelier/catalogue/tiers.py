"""The entries of the price list: versions of tiers, and packs of credits. `tiers.yaml` explains each field.

An id is `name@version`, for example `pro@2`. Amounts are integers in the currency's minor unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, final, get_args

from typing_extensions import TypedDict

from atelier.catalogue.costs import Count, Positive
from atelier.catalogue.model import KindName
from atelier.dataclass import dataclass

Interval = Literal["month", "year"]
INTERVALS: tuple[Interval, ...] = ("month", "year")
FREE = "free"
# The entry that stands for every model behind a workspace's custom endpoint, and the prefix of their ids.
CUSTOM, CUSTOM_PREFIX = "custom/endpoint", "custom/"
# What workspaces make; moderation is no such kind.
KINDS: tuple[KindName, ...] = tuple(kind for kind in get_args(KindName) if kind != "moderation")


@final
class TierPrice(TypedDict):
    """What a tier costs for one interval."""

    interval: Interval
    currency: str
    amount_minor: Positive


def name_of(entry_id: str) -> str:
    """The name in a tier's or pack's id: `pro` of `pro@2`."""
    return entry_id.partition("@")[0]


def version_of(entry_id: str) -> int:
    """The version in a tier's or pack's id: 2 of `pro@2`."""
    return int(entry_id.partition("@")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One version of a tier: what a workspace may do and receives, and what it pays."""

    id: str
    title: str
    currency: str
    price_month: Count
    price_year: Count
    daily_credits: Count
    daily_reset: Literal["midnight", "after_24h"]
    monthly_credits: Count
    rollover_months: Count
    trial_days: Count
    trial_credits: Count
    grace_days: Count
    watermark: bool
    kinds: tuple[KindName, ...] | Literal["all"]
    models: tuple[str, ...] | Literal["all"]
    generations_open_max: Positive
    projects_max: Positive
    storage_bytes_max: Positive
    members_max: Positive
    api_calls_max: Positive
    # Published versions from before these fields do not have them.
    archived_days: Count = 0
    sites_max: Positive = 3
    page_version_days: Positive = 30
    site_scripts: bool = False
    features: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name in the id: `pro` of `pro@2`."""
        return name_of(self.id)

    @property
    def version(self) -> int:
        """The version in the id: 2 of `pro@2`."""
        return version_of(self.id)

    @property
    def prices(self) -> tuple[TierPrice, ...]:
        """What can be bought, by interval; empty for the free tier and for one that is not sold any more."""
        amounts = {"month": self.price_month, "year": self.price_year}
        return tuple(
            TierPrice(interval=interval, currency=self.currency, amount_minor=amounts[interval])
            for interval in INTERVALS
            if amounts[interval]
        )

    def price(self, interval: Interval) -> int | None:
        """The price of a month or a year; None where it is not sold so."""
        return (self.price_month if interval == "month" else self.price_year) or None

    @property
    def allowed_kinds(self) -> tuple[KindName, ...]:
        """The kinds that may be made, each by its name."""
        return KINDS if self.kinds == "all" else self.kinds

    def includes(self, kind: str, model_id: str) -> bool:
        """Whether the tier includes making this kind with this model."""
        entry = CUSTOM if model_id.startswith(CUSTOM_PREFIX) else model_id
        return kind in self.allowed_kinds and (self.models == "all" or entry in self.models)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Tier:
        """Build a Tier from compiled data, which was checked when it was compiled."""
        lists: dict[str, Any] = {
            name: tuple(data[name]) for name in ("kinds", "models", "features") if isinstance(data[name], list)
        }
        return cls(**{**data, **lists})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One version of a pack of credits. `expires_after_days`: None = the credits never expire."""

    id: str
    title: str
    currency: str
    credits: Positive
    price: Positive
    expires_after_days: Positive | None
    quantity_max: Positive

    @property
    def name(self) -> str:
        """The name in the id: `small` of `small@1`."""
        return name_of(self.id)

    @property
    def version(self) -> int:
        """The version in the id: 1 of `small@1`."""
        return version_of(self.id)
