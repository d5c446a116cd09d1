"""Credits, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from atelier.aws.dynamodb.ledger import DynamoWallets
from atelier.ledger import refresh
from atelier.ledger.model import Daily, Wallet
from atelier.settings import DailyCredits, LedgerTable
from atelier.wiring.prices import prices


@cache
def wallets() -> DynamoWallets:
    """The wallets of this deployment."""
    store = DynamoWallets()
    store.bind(LedgerTable.read().name)
    return store


def daily(tier: str) -> Daily:
    """The daily grant of a tier."""
    tier_terms = prices().tier(tier)
    return Daily(tier_terms.daily_credits, tier_terms.daily_reset, DailyCredits.read().verified_only)


def refreshed(workspace_id: str, now: datetime) -> Wallet:
    """The wallet after expired credits and today's grant have been booked."""
    return refresh.refreshed(workspace_id, wallets=wallets(), daily=daily, now=now)
