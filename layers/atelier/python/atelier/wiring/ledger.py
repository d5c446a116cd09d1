"""Credits, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from atelier.aws.dynamodb.ledger import DynamoWallets
from atelier.ledger import refresh
from atelier.ledger.model import Wallet
from atelier.settings import LedgerTable
from atelier.wiring.prices import prices


@cache
def wallets() -> DynamoWallets:
    """The wallets of this deployment."""
    store = DynamoWallets()
    store.bind(LedgerTable.read().name)
    return store


def daily_credits(tier: str) -> int:
    """Credits that a tier is given each day."""
    return prices().tier(tier).daily_credits


def refreshed(workspace_id: str, now: datetime) -> Wallet:
    """The wallet with expiries and today's grant booked."""
    return refresh.refreshed(workspace_id, wallets=wallets(), daily_credits=daily_credits, now=now)
