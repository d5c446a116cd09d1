"""Repair the holds and generations of one wallet that disagree.

A generation and its hold begin in one transaction and end in one, so a crash cannot make them disagree; a table that
was restored to another instant can, and so can a manual change. The ledger is the authority on credits, the generation
on its outcome: when only one of the two has ended, the other is ended in the same way, by ordinary entries. A second
run writes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.generations.finish import CloseDeps, expire_generation
from atelier.generations.model import Failure, Generation, Status
from atelier.generations.pipeline_run import read_stages
from atelier.generations.ports import GenerationChanged
from atelier.ledger.model import EndState, Hold, Movement, SettlementPlan
from atelier.ledger.plan_hold import plan_settlement
from atelier.ledger.ports import StaleWallet

GENERATION_PREFIX = "gen_"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATUS_BY_END_STATE = {
    EndState.SETTLED: Status.FAILED,
    EndState.RELEASED: Status.FAILED,
    EndState.EXPIRED: Status.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Repairs:
    """Counts of repairs. `released`: holds released because their generation does not exist; `ended`: holds ended to
    match their generation; `closed`: generations ended to match the ledger."""

    released: int = 0
    ended: int = 0
    closed: int = 0

    def __bool__(self) -> bool:
        return any((self.released, self.ended, self.closed))


def reconcile(workspace_id: str, *, created_after: datetime, thorough: bool, deps: CloseDeps, now: datetime) -> Repairs:
    """Compare the open holds and generations of one workspace that were created after an instant, and end those that
    disagree. `thorough` also reads older holds when the wallet counts more open holds than were found."""
    released = ended = closed = 0
    count = deps.wallets.wallet(workspace_id).holds_open
    holds = deps.wallets.open_holds(workspace_id, created_after, count) if count else []
    if thorough and len(holds) < count:
        holds = deps.wallets.open_holds(workspace_id, EPOCH, count)
    for hold in holds:
        if not hold.reference.startswith(GENERATION_PREFIX):
            continue
        settlement = _plan_settlement(hold, _find_generation(workspace_id, hold.reference, deps), now)
        if settlement is None:
            continue
        try:
            deps.wallets.end_hold(workspace_id, settlement)
        except StaleWallet:
            continue  # The hold has just ended in the ordinary way; the next run sees any other change.
        released += settlement.movement.facts["reason"] == "missing"
        ended += settlement.movement.facts["reason"] != "missing"
    held = {hold.reference for hold in holds}
    for generation in deps.generations.open_since(workspace_id, created_after):
        if generation.id not in held:
            closed += _close_as_ledger(generation, deps, now)
    return Repairs(released, ended, closed)


def _find_generation(workspace_id: str, generation_id: str, deps: CloseDeps) -> Generation | None:
    try:
        return deps.generations.get(workspace_id, generation_id)
    except NotFound:
        return None


def _plan_settlement(hold: Hold, generation: Generation | None, now: datetime) -> SettlementPlan | None:
    if generation is None:
        return plan_settlement(hold, EndState.RELEASED, 0, {"reason": "missing"}, now)
    if generation.is_open:
        return None
    charged = min(generation.credits_charged, hold.amount)
    state = EndState.EXPIRED if generation.status is Status.EXPIRED else EndState.RELEASED
    return plan_settlement(
        hold, EndState.SETTLED if charged else state, charged, {"reason": generation.status.value}, now
    )


def _close_as_ledger(generation: Generation, deps: CloseDeps, now: datetime) -> bool:
    movements = deps.wallets.movements_of(generation.workspace_id, generation.id)
    end = next((movement for movement in movements if movement.kind in STATUS_BY_END_STATE), None)
    if end is None:
        return False
    for stage in read_stages(generation, deps.generations) if generation.pipeline else ():
        if stage.is_open:
            # After its run has ended no sweep finds this stage, so it expires here. Its result may still come.
            expire_generation(stage, deps=deps, now=now)
    status = STATUS_BY_END_STATE[EndState(end.kind)]
    if status is Status.FAILED and generation.cancel_requested_at is not None:
        status = Status.CANCELLED
    failure = Failure("INTERNAL", "inconsistent", "This was interrupted; the credits are as the statement says.")
    closed = generation.as_ended(
        status, _charged_credits(end), failure if status is not Status.CANCELLED else None, now
    )
    try:
        deps.generations.close_as_ended(closed)
    except GenerationChanged:
        return False
    return True


def _charged_credits(end: Movement) -> int:
    return sum(entry.amount for entry in end.entries if entry.account == "revenue")
