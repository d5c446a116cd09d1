"""Seal a batch of new movements of several wallets, as the ledger table's stream delivers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from atelier.clock import parse_rfc3339
from atelier.ledger.hash_chain import PublicForm
from atelier.ledger.seal_movements import SealDeps, report_mismatch, seal
from atelier.telemetry import logger

# A movement that waits longer for its seal is late: the objective of docs/objectives.md.
SEAL_TIME = timedelta(minutes=5)


def seal_batch(movements: Mapping[str, Iterable[PublicForm]], *, deps: SealDeps, now: datetime) -> None:
    """Seal the movements of each workspace. A wallet that cannot be sealed does not delay the others, but the batch
    fails at the end (an ExceptionGroup) and is repeated; movements that are sealed already stay as they are."""
    failures: list[Exception] = []
    for workspace_id, lazy_forms in movements.items():
        try:
            # Read here: one that cannot be read is a failure of its own wallet.
            forms = list(lazy_forms)
            sealed = seal(workspace_id, forms, deps=deps, now=now)
        except Exception as error:
            logger.exception("not sealed", workspace_id=workspace_id)
            failures.append(error)
            continue
        if sealed.mismatch:
            report_mismatch(workspace_id, sealed.mismatch)
        # The head of the chain is logged as evidence outside the table: rewriting the table does not rewrite the log.
        head = f"{sealed.head.number}:{sealed.head.hash}" if sealed.head else None
        facts = {"workspace_id": workspace_id, "movements": sealed.movements, "head": head, **_lateness(forms, now)}
        logger.info("sealed", extra=facts)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(movements)} wallets could not be sealed", failures)


def _lateness(forms: Sequence[PublicForm], now: datetime) -> dict[str, int]:
    """How long the oldest movement waited, in milliseconds, and whether that was too long (0 or 1)."""
    waited = now - min(parse_rfc3339(form["at"]) for form in forms)
    return {"waited_ms": round(waited.total_seconds() * 1000), "late": int(waited > SEAL_TIME)}
