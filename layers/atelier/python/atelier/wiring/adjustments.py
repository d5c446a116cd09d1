"""What administrators of the platform do about wallets, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb import pause_with_jitter
from atelier.adapters.aws.dynamodb.billing.adjustments import DynamoAdjustments, DynamoWalletFreezer
from atelier.adapters.aws.dynamodb.billing.orphaned_escrows import DynamoOrphanedEscrows
from atelier.billing.adjustments import AdjustmentDeps
from atelier.billing.end_orphaned_escrow import OrphanedEscrowDeps
from atelier.ledger.post import PostDeps
from atelier.settings import AdjustmentLimits, BillingTable
from atelier.wiring.audit_log import bind_events
from atelier.wiring.escrow_records import escrow_records
from atelier.wiring.idempotency import idempotency_keys
from atelier.wiring.ledger import daily_grant, wallets


@cache
def deps() -> AdjustmentDeps:
    """The dependencies of adjusting wallets."""
    DynamoAdjustments.bind(BillingTable.read().name)
    bind_events()
    ledger = PostDeps(wallets(), daily_grant, pause_with_jitter)
    limit = AdjustmentLimits.read().alone_credits_max
    return AdjustmentDeps(DynamoAdjustments(), idempotency_keys(), ledger, limit)


@cache
def orphaned_escrows() -> OrphanedEscrowDeps:
    """The dependencies of ending orphaned escrows."""
    bind_events()
    ledger = PostDeps(wallets(), daily_grant, pause_with_jitter)
    return OrphanedEscrowDeps(DynamoOrphanedEscrows(), escrow_records(), ledger)


@cache
def freezer() -> DynamoWalletFreezer:
    """What freezes the wallets of this deployment."""
    wallets()  # Binds the wallet's items to their table.
    bind_events()
    return DynamoWalletFreezer()
