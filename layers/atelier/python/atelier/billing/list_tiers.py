"""List the tiers and packs that are on sale."""

from __future__ import annotations

from atelier.billing.tier_schemas import TierList, pack_view, tier_view
from atelier.catalogue.catalogue import Catalogue


def list_tiers(catalogue: Catalogue) -> TierList:
    """The price list: the newest version of each tier and pack that is on sale."""
    return TierList(
        items=[tier_view(catalogue.tier(tier_id)) for tier_id in catalogue.tiers_on_sale()],
        packs=[pack_view(catalogue.pack(pack_id)) for pack_id in catalogue.packs_on_sale()],
    )
