"""Seals, proofs and audits of wallets, composed. Apart from the rest of the ledger, because the functions that spend
credits do not need them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

from atelier.adapters.aws.dynamodb import pause_with_jitter, seals
from atelier.adapters.aws.dynamodb.seals import DynamoSeals
from atelier.ledger import audit as audits
from atelier.ledger import history, seal_movements
from atelier.ledger.audit import AuditReport
from atelier.ledger.hash_chain import PublicForm
from atelier.ledger.prove import build_proof_page
from atelier.ledger.seal_movements import SealDeps, SealReport
from atelier.settings import LedgerTable
from atelier.telemetry import logger, put_count
from atelier.wiring import ledger


@cache
def store() -> DynamoSeals:
    """The seals of this deployment, with the movements that they cover."""
    found = DynamoSeals()
    found.bind(LedgerTable.read().name)
    return found


def seal_deps() -> SealDeps:
    """The dependencies of sealing."""
    return SealDeps(ledger.wallets(), store(), pause_with_jitter)


def seal(workspace_id: str, images: Iterable[dict[str, dict[str, Any]]], now: datetime) -> SealReport:
    """Seal the movements in these stream images (DynamoDB JSON), and compare their sums with the wallet's counters."""
    deps = seal_deps()
    sealed = seal_movements.seal(
        workspace_id, [seals.movement_from_image(image) for image in images], deps=deps, now=now
    )
    if sealed.mismatch:
        raise_alarm(workspace_id, sealed.mismatch)
    return sealed


def audit(workspace_id: str, now: datetime) -> AuditReport:
    """Seal the movements that are not sealed yet, and compare the wallet's counters with its entries."""
    return audits.audit(workspace_id, deps=seal_deps(), now=now)


def raise_alarm(workspace_id: str, fault: str) -> None:
    """Raise the alarm that a wallet and its entries differ. There is no automatic repair: an operator has to look at
    it."""
    logger.error("ledger drift", workspace_id=workspace_id, fault=fault)
    put_count("LedgerDrift")


def proof(workspace_id: str, after: int, now: datetime) -> tuple[PublicForm, int | None]:
    """One page of a wallet's proof."""
    return build_proof_page(workspace_id, after, deps=seal_deps(), now=now)


def balance_at(workspace_id: str, at: datetime, now: datetime) -> history.Balance:
    """The balance of a wallet at a past instant."""
    return history.balance_at(workspace_id, at, wallets=ledger.wallets(), seals=store(), now=now)
