"""The dependencies of what acts on Stripe's word."""

from __future__ import annotations

from collections.abc import Callable

from atelier.billing.ports import BillingStore, Stripe
from atelier.catalogue.tiers import Tier
from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.ledger.post import PostDeps, ignore


@dataclass(frozen=True, slots=True)
class BillingDeps:
    """`ledger`: for posting operations. `tier_of`: the tier with an id such as `pro@1`; raises KeyError. `on_change`:
    called after each record that was written because Stripe said something new."""

    store: BillingStore
    stripe: Stripe
    ledger: PostDeps
    tier_of: Callable[[str], Tier]
    clock: Clock
    on_change: Callable[[], None] = ignore
