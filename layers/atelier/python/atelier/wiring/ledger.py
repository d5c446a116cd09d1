"""Credits, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.catalogue.quotas import Quota, QuotaName
from atelier.ledger import refresh
from atelier.ledger.model import DailyCreditRule, Wallet
from atelier.settings import DailyCredits, LedgerTable
from atelier.wiring.prices import prices


@cache
def wallets() -> DynamoWallets:
    """The wallets of this deployment."""
    store = DynamoWallets()
    store.bind(LedgerTable.read().name)
    return store


def daily_grant(tier: str) -> DailyCreditRule:
    """The daily grant of a tier."""
    tier_terms = prices().tier(tier)
    return DailyCreditRule(tier_terms.daily_credits, tier_terms.daily_reset, DailyCredits.read().verified_only)


def monthly_credits(tier: str) -> int:
    """The monthly grant of a tier."""
    return prices().tier(tier).monthly_credits


def quota_of(name: QuotaName, workspace_id: str, now: datetime) -> Quota:
    """A quota of a workspace, by the tier that its wallet has now."""
    return Quota(name, prices().tier(wallets().wallet(workspace_id).tier_at(now)), prices())


def refresh_wallet(workspace_id: str, now: datetime) -> Wallet:
    """The wallet after expired credits and today's grant have been booked."""
    return refresh.refresh_wallet(workspace_id, wallets=wallets(), daily_credits_of=daily_grant, now=now)
