"""Billing, composed."""

from __future__ import annotations

from atelier.billing import list_tiers as listing
from atelier.billing.tier_schemas import TierList
from atelier.wiring.prices import prices


def list_tiers() -> TierList:
    """The price list of this deployment."""
    return listing.list_tiers(prices())
