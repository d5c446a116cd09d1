"""An escrow that is in the ledger alone, as after a restore of tables that were not read at the same time."""

from __future__ import annotations

from datetime import datetime, timedelta

from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.ledger.transactions import put_posting
from atelier.ids import new_id
from atelier.ledger.escrow import plan_escrow
from atelier.ledger.model import GrantSource
from atelier.ledger.operations import Facts
from atelier.ledger.post import PostDeps, grant


def write_orphaned_escrow(workspace_id: str, amount: int, *, deps: PostDeps, now: datetime) -> str:
    """Gives a workspace credits and holds them for a purchase that is nowhere, an hour ago; returns the purchase's id.
    The items of wallets must be bound to their table."""
    at = now - timedelta(hours=1)
    purchase_id = new_id("pur", at)
    grant(workspace_id, f"grant#{purchase_id}", GrantSource.PURCHASE, amount, deps=deps, now=at)
    facts: Facts = {"listing": new_id("lst", at), "purchase": purchase_id, "price": amount}
    with transaction() as write:
        put_posting(write, plan_escrow(DynamoWallets().wallet(workspace_id), purchase_id, amount, facts, at))
    return purchase_id
