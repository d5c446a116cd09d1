"""Reserve the bytes of a project at the target of its move, or take the move back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from atelier.audit_log.model import Origin
from atelier.catalogue.quotas import Quota, QuotaName
from atelier.dataclass import dataclass
from atelier.moves.model import Move, Step, move_events
from atelier.moves.ports import MoveStore, StaleMove, StorageFull


@dataclass(frozen=True, slots=True)
class ReserveDeps:
    """The dependencies of a reservation. quota_of(name, workspace_id, now): a quota of a workspace."""

    moves: MoveStore
    quota_of: Callable[[QuotaName, str, datetime], Quota]


def reserve(move: Move, origin: Origin, *, deps: ReserveDeps, now: datetime) -> Move:
    """Count the project's bytes at the target, before any of them is there; returns the move as it is then. Two
    processes may do this at once. Raises QuotaExceeded when the target has no room: then the project is back at the
    source, as it was."""
    quota = deps.quota_of("storage_bytes", move.target_id, now)
    try:
        deps.moves.reserve(move, deps.moves.count_bytes(move), quota.limit)
    except StorageFull as full:
        with suppress(StaleMove):
            deps.moves.undo(move, move_events(move, "project.move_refused", origin, now))
        raise quota.exceeded(full.used, added=full.added) from None
    except StaleMove:
        # The stream was faster with this step.
        after = deps.moves.get(move.source_id, move.project_id)
        if after is None or after.step is Step.RESERVING:
            raise
        return after
    return deps.moves.get(move.source_id, move.project_id) or move
