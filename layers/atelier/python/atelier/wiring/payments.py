"""Stripe and the records of billing, composed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from atelier.adapters.aws.dynamodb import pause_with_jitter
from atelier.adapters.aws.dynamodb.billing.store import DynamoBilling
from atelier.adapters.aws.secrets import Secret
from atelier.billing.deps import BillingDeps
from atelier.clock import Clock
from atelier.ledger.post import PostDeps
from atelier.settings import BillingTable, Deployment, LedgerTable, Payments
from atelier.wiring.audit_log import bind_events
from atelier.wiring.ledger import daily_grant, wallets
from atelier.wiring.prices import prices

if TYPE_CHECKING:
    import stripe

    from atelier.adapters.payments.stripe_gateway import SdkStripe
    from atelier.billing.sync_prices import PriceSyncDeps
    from atelier.catalogue.price_list import PublishedVersion

# A request to Stripe is tried three times, and all of them must fit into the time of the function that waits.
REQUEST_SECONDS_MAX = 8.0


@cache
def store() -> DynamoBilling:
    """The records of billing."""
    kept = DynamoBilling()
    kept.bind(BillingTable.read().name, LedgerTable.read().name)
    bind_events()
    return kept


def billing_deps(clock: Clock) -> BillingDeps:
    """The dependencies of what acts on Stripe's word."""
    return BillingDeps(store(), gateway(), ledger(), prices().tier, clock)


def ledger() -> PostDeps:
    """The dependencies of posting to the ledger."""
    return PostDeps(wallets(), daily_grant, pause_with_jitter)


def services() -> tuple[str, ...]:
    """The service that takes payments, if there is one."""
    return Payments.read().services


@cache
def gateway() -> SdkStripe:
    """Stripe. Its SDK is imported here, because most requests need only our records."""
    from atelier.adapters.payments.stripe_gateway import SdkStripe

    return SdkStripe(_client, uses_test_clocks=bool(Payments.read().test_clocks))


def price_sync_deps(proposed: Sequence[PublishedVersion] = ()) -> PriceSyncDeps:
    """The dependencies of bringing our price list to Stripe. proposed: versions that are about to be published."""
    from atelier.adapters.payments.stripe_prices import SdkPriceCatalogue
    from atelier.billing.sync_prices import PriceSyncDeps

    stripe_catalogue = SdkPriceCatalogue(_client)
    price_list = prices().data.read_prices().with_versions(proposed)
    return PriceSyncDeps(price_list, Deployment.read().stage, stripe_catalogue, sells=bool(Payments.read().service))


@cache
def _client() -> stripe.StripeClient:
    from atelier.adapters.payments.stripe_client import new_client

    access = Payments.read()
    return new_client(
        Secret(access.secret).value().get("api_key", ""), access.stripe_url, seconds_max=REQUEST_SECONDS_MAX
    )
