"""Proposals for the price list, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.billing.proposals import DynamoProposals
from atelier.adapters.aws.price_sync import LambdaPriceSync
from atelier.billing.price_proposals import ProposalDeps
from atelier.billing.price_schemas import AdminTierList, admin_tier_list
from atelier.catalogue.catalogue import document
from atelier.settings import BillingTable, PriceSyncFunction
from atelier.wiring.audit_log import bind_events
from atelier.wiring.prices import prices, published


@cache
def deps() -> ProposalDeps:
    """The dependencies of changing the price list."""
    DynamoProposals.bind(BillingTable.read().name)
    bind_events()
    return ProposalDeps(DynamoProposals(), published(), document(), LambdaPriceSync(PriceSyncFunction.read().name))


def list_tiers() -> AdminTierList:
    """The whole price list, as it is stored."""
    return admin_tier_list(prices().data.read_prices(), published().read(consistent=True))
