"""Quotas: how much of something a workspace may have by its tier."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from atelier.dataclass import dataclass
from atelier.errors import QuotaExceeded

if TYPE_CHECKING:
    from atelier.catalogue.catalogue import Catalogue
    from atelier.catalogue.tiers import Tier

QuotaName = Literal["projects", "storage_bytes", "members", "api_calls", "sites"]
LIMITS: dict[QuotaName, Callable[[Tier], int]] = {
    "projects": lambda tier: tier.projects_max,
    "storage_bytes": lambda tier: tier.storage_bytes_max,
    "members": lambda tier: tier.members_max,
    "api_calls": lambda tier: tier.api_calls_max,
    "sites": lambda tier: tier.sites_max,
}
EXPLANATIONS: dict[QuotaName, str] = {
    "projects": "The limit of projects on the tier {tier} is {limit}. Archive one, or change to a larger tier.",
    "storage_bytes": "The tier {tier} stores {limit} bytes of files, of which {used} are used. Delete some, or change "
    "to a larger tier.",
    "members": "The limit of members on the tier {tier} is {limit}. Remove one, or change to a larger tier.",
    "api_calls": "The limit of API calls in a month on the tier {tier} is {limit}. Change to a larger tier, "
    "or wait for the next month.",
    "sites": "The limit of sites on the tier {tier} is {limit}. Remove one, or change to a larger tier.",
}


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit of a workspace's tier."""

    name: QuotaName
    tier: Tier
    catalogue: Catalogue

    @property
    def limit(self) -> int:
        """The most that the tier allows."""
        return LIMITS[self.name](self.tier)

    def exceeded(self, used: int, *, added: int = 1) -> QuotaExceeded:
        """The refusal of `added` more when `used` is there."""
        limit_of, needed = LIMITS[self.name], used + added
        return QuotaExceeded(
            EXPLANATIONS[self.name].format(tier=self.tier.title, limit=self.limit, used=used),
            quota=self.name,
            limit=self.limit,
            used=used,
            tiers=self.catalogue.tiers_with(lambda tier: limit_of(tier) >= needed),
        )
