"""Seal a batch of new movements of several wallets, as the ledger table's stream delivers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from atelier.ledger.hash_chain import PublicForm
from atelier.ledger.seal_movements import SealDeps, report_mismatch, seal
from atelier.telemetry import logger


def seal_batch(movements: Mapping[str, Iterable[PublicForm]], *, deps: SealDeps, now: datetime) -> None:
    """Seal the movements of each workspace. A wallet that cannot be sealed does not delay the others, but the batch
    fails at the end (an ExceptionGroup) and is repeated; movements that are sealed already stay as they are."""
    failures: list[Exception] = []
    for workspace_id, forms in movements.items():
        try:
            sealed = seal(workspace_id, forms, deps=deps, now=now)
        except Exception as error:
            logger.exception("not sealed", workspace_id=workspace_id)
            failures.append(error)
            continue
        if sealed.mismatch:
            report_mismatch(workspace_id, sealed.mismatch)
        # The head of the chain is logged as evidence outside the table: rewriting the table does not rewrite the log.
        head = f"{sealed.head.number}:{sealed.head.hash}" if sealed.head else None
        logger.info("sealed", workspace_id=workspace_id, movements=sealed.movements, head=head)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(movements)} wallets could not be sealed", failures)
