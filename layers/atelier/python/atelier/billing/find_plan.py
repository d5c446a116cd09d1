"""Find what an owner names: a tier or a pack on sale, and the workspace's subscription as of now."""

from __future__ import annotations

from atelier.billing.model import Subscription
from atelier.billing.plan_deps import PlanDeps
from atelier.billing.sync_subscription import sync_subscription
from atelier.catalogue.tiers import Interval, Pack, Tier
from atelier.errors import ValidationFailed


def price_of_tier(name: str, interval: Interval, deps: PlanDeps) -> tuple[Tier, int]:
    """The version of a tier that is on sale, and its price. Raises ValidationFailed for what is not sold."""
    on_sale = {tier.name: tier for tier in map(deps.catalogue.tier, deps.catalogue.tiers_on_sale())}
    tier = on_sale.get(name)
    amount = tier.price(interval) if tier else None
    if tier is None or amount is None:
        sold = [each.name for each in on_sale.values() if each.price(interval)]
        raise ValidationFailed([{"path": "tier", "message": f"is none of {', '.join(sold)}"}])
    return tier, amount


def price_of_pack(name: str, quantity: int, deps: PlanDeps) -> Pack:
    """The version of a pack that is on sale. Raises ValidationFailed for what is not sold, or not so often."""
    on_sale = {pack.name: pack for pack in map(deps.catalogue.pack, deps.catalogue.packs_on_sale())}
    if name not in on_sale:
        raise ValidationFailed([{"path": "pack", "message": f"is none of {', '.join(on_sale)}"}])
    pack = on_sale[name]
    if quantity > pack.quantity_max:
        raise ValidationFailed([{"path": "quantity", "message": f"is at most {pack.quantity_max}"}])
    return pack


def current_subscription(workspace_id: str, deps: PlanDeps) -> Subscription | None:
    """The record of the workspace's subscription. One that runs is compared with Stripe first, because an event may be
    under way."""
    record = deps.billing.store.subscription(workspace_id)
    if record is None or record.is_over:
        return record
    return sync_subscription(record.stripe_id, deps=deps.billing)
