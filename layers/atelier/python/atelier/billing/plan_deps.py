"""The dependencies of what an owner does with the plan."""

from __future__ import annotations

from atelier.audit_log.record import Record, record_nothing
from atelier.billing.deps import BillingDeps
from atelier.catalogue.catalogue import Catalogue
from atelier.catalogue.tiers import Interval
from atelier.dataclass import dataclass
from atelier.errors import Unavailable
from atelier.telemetry import put_count


@dataclass(frozen=True, slots=True)
class PlanDeps:
    """`catalogue`: with the price list. `record`: writes to the audit log what the owner asks of Stripe, before Stripe
    is asked; what becomes of it is an event of its own (`sync_subscription.py`)."""

    billing: BillingDeps
    catalogue: Catalogue
    record: Record = record_nothing

    def price_id(self, item: str, interval: Interval | None, currency: str) -> str:
        """The id at Stripe of the price of a tier or a pack. Raises Unavailable while Stripe has not got it."""
        price = self.billing.stripe.price(lookup_key(item, interval, currency))
        if price is None:
            put_count("PricesNotSynced")
            raise Unavailable("This is not for sale yet. Try again later.")
        return price.id


def lookup_key(item: str, interval: Interval | None, currency: str) -> str:
    """The key by which Stripe finds a price of ours: `atelier:pro:2:month:usd`, `atelier:pack:small:1:usd`."""
    name, _, version = item.partition("@")
    return (
        f"atelier:pack:{name}:{version}:{currency}"
        if interval is None
        else (f"atelier:{name}:{version}:{interval}:{currency}")
    )
