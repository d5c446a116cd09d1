"""The move of a project as a value, and its rules. Immutable, no side effects.

The record of a move stays in the source workspace for ever: it says where the project is. While the move lasts, it has
the project and its budget, which are at neither side then.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin, audit_events
from atelier.dataclass import dataclass
from atelier.generations.model import Generation, Status

# For how long an expired generation is still awaited: its provider may deliver late.
LATE_RESULTS = timedelta(hours=1)


class Step(StrEnum):
    """What a move does next, in this order. RESERVING: count the project's bytes at the target."""

    RESERVING = "reserving"
    ASSETS = "assets"
    GENERATIONS = "generations"
    ALERTS = "alerts"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Move:
    """One project's move from a personal workspace (`source_id`) to an organisation (`target_id`).

    user_id: who requested it. cursor: the id from which the present step goes on. reserved_bytes: how many bytes were
    counted at the target before any file was moved; moved_bytes, assets, generations: what was moved so far.
    unsettled: ids of assets that were moved, and whose files may still be at the source. revision: of the record; every
    write requires the one that it has read."""

    project_id: str
    source_id: str
    target_id: str
    user_id: str
    started_at: datetime
    step: Step = Step.RESERVING
    cursor: str | None = None
    reserved_bytes: int = 0
    moved_bytes: int = 0
    assets: int = 0
    generations: int = 0
    unsettled: tuple[str, ...] = ()
    revision: int = 0
    completed_at: datetime | None = None

    @property
    def is_done(self) -> bool:
        """Whether everything is at the target."""
        return self.step is Step.DONE

    def at_step(self, step: Step) -> Move:
        """The move at the beginning of a step."""
        return replace(self, step=step, cursor=None)


def is_under_way(generation: Generation, now: datetime) -> bool:
    """Whether a generation may still change: it is open, or it has expired and its provider may deliver late."""
    if generation.is_open:
        return True
    is_awaited = generation.status is Status.EXPIRED and generation.awaited_attempt is not None
    return is_awaited and generation.deadline_at > now - LATE_RESULTS


def move_events(move: Move, action: str, origin: Origin, now: datetime) -> tuple[AuditEvent, ...]:
    """The audit events of a move, one in the log of each side. action: such as `project.moved`."""
    facts: dict[str, Any] = {"before": {"workspace_id": move.source_id}, "after": {"workspace_id": move.target_id}}
    if move.is_done:
        facts |= {"assets": move.assets, "generations": move.generations, "bytes": move.moved_bytes}
    return audit_events((move.source_id, move.target_id), action, origin, now, target=move.project_id, **facts)
