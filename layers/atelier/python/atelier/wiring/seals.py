"""Seals and proofs of wallets, composed. Apart from the rest of the ledger, because the functions that spend
credits do not need them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from atelier.adapters.aws.dynamodb import pause_with_jitter, seals
from atelier.adapters.aws.dynamodb.seals import DynamoSeals
from atelier.ledger import history
from atelier.ledger.hash_chain import PublicForm
from atelier.ledger.prove import build_proof_page
from atelier.ledger.seal_movements import SealDeps
from atelier.settings import LedgerTable
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


def new_movements(records: Iterable[dict[str, Any]]) -> Mapping[str, Iterator[PublicForm]]:
    """The new movements in a batch of the ledger table's stream, by workspace."""
    return seals.new_movements(records)


def proof(workspace_id: str, after: int, now: datetime) -> tuple[PublicForm, int | None]:
    """One page of a wallet's proof."""
    return build_proof_page(workspace_id, after, deps=seal_deps(), now=now)


def balance_at(workspace_id: str, at: datetime, now: datetime) -> history.Balance:
    """The balance of a wallet at a past instant."""
    return history.balance_at(workspace_id, at, wallets=ledger.wallets(), seals=store(), now=now)
