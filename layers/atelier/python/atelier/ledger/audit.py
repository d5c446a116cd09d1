"""The audit of one wallet: seals the unsealed movements, and compares the counters with the entries.

The audit only writes seals; it never changes a counter or an entry. It reports each mismatch, for a person to
investigate. A second run finds everything sealed and writes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.ledger.hash_chain import Seal, counters_mismatch, digest, is_intact, movement_id, sum_movements
from atelier.ledger.model import Wallet
from atelier.ledger.seal_movements import SealDeps, seal_unsealed, unsealed_movements

TRIES_MAX = 5
PAGES_MAX = 5000
"""A million movements: an audit looks through the whole statement before it says that an entry is not there."""
STREAM_LAG_MAX = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """How many movements an audit sealed, how many of these are older than STREAM_TAKES, so that the stream should have
    sealed them, and the mismatches."""

    sealed: int = 0
    overdue: int = 0
    mismatches: tuple[str, ...] = ()


def audit(workspace_id: str, *, deps: SealDeps, now: datetime) -> AuditReport:
    """Audit one wallet. A wallet that changes during every attempt gives an empty report and is left for the next
    run."""
    for _ in range(TRIES_MAX):
        head = deps.seals.newest(workspace_id, consistent=True)
        first_wallet = deps.wallets.wallet(workspace_id)
        missing = first_wallet.written - (head.count if head else 0)
        unsealed_forms = (
            unsealed_movements(workspace_id, head, missing, seals=deps.seals, pages_max=PAGES_MAX)
            if missing > 0
            else []
        )
        wallet = deps.wallets.wallet(workspace_id) if missing > 0 else first_wallet
        if wallet.written != first_wallet.written:
            continue  # The wallet changed during the search: the movements found may not be those that it counts.
        sealed = seal_unsealed(workspace_id, unsealed_forms, deps=deps, now=now).movements if unsealed_forms else 0
        late = sum(form["at"] < rfc3339(now - STREAM_LAG_MAX) for form in unsealed_forms)
        mismatches = (
            *_chain_mismatches(workspace_id, head, deps),
            *_counter_mismatches(wallet, head, unsealed_forms, missing),
        )
        return AuditReport(sealed, late if sealed else 0, mismatches)
    return AuditReport()


def _counter_mismatches(wallet: Wallet, head: Seal | None, found: list[dict[str, object]], missing: int) -> list[str]:
    if missing != len(found):
        return [f"{wallet.written} movements were written and {wallet.written - missing + len(found)} are there"]
    differing = counters_mismatch(wallet, *sum_movements(head, found))
    return [differing] if differing else []


def _chain_mismatches(workspace_id: str, head: Seal | None, deps: SealDeps) -> list[str]:
    """Mismatches in the newest seal and the movements that it covers: a sample of what a proof checks in full."""
    if head is None:
        return []
    if not is_intact(workspace_id, head):
        return [f"seal {head.number} was changed"]
    forms = {
        movement_id(form): form
        for form in deps.seals.public_movements_of(workspace_id, [(o, k) for o, k, _ in head.movements])
    }
    return [
        f"{key} is not as it was sealed"
        for order, key, sealed in head.movements
        if (order, key) not in forms or digest(forms[order, key]) != sealed
    ]
