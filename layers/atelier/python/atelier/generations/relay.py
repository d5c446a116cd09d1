"""The outbox: act on what was committed to the generations table. Starts executions, queues messages, publishes events.

A change is delivered at least once, so every effect is safe to repeat: an execution is named after its generation, an
event has one id for each fact, and a reader of the queue drops a message that is out of date.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.events.catalogue import GenerationEnded, StageEnded
from atelier.events.ports import EventPublisher
from atelier.generations.attempt_messages import FINISH_SECONDS, Poll
from atelier.generations.model import OPEN_STATUSES, Status
from atelier.generations.ports import AttemptQueue, Workflow
from atelier.projects.alert import publish_due_alerts
from atelier.projects.ports import AlertStore
from atelier.telemetry import logger


@dataclass(frozen=True, slots=True)
class GenerationState:
    """A generation as it is stored at one time, as far as its changes have effects. `run_id`: the run of a stage;
    `model`: of the last attempt; `completed_at`: RFC 3339, the time of creation until there is a final status;
    `open_attempt_id`: the last attempt, if it has not ended."""

    status: Status
    is_run: bool
    run_id: str | None
    is_cancel_requested: bool
    budgets: tuple[str, ...]
    model: str | None
    credits_charged: int
    cost_microusd: int
    completed_at: str
    open_attempt_id: str | None

    @property
    def is_open(self) -> bool:
        """Whether the status is not final."""
        return self.status in OPEN_STATUSES


@dataclass(frozen=True, slots=True)
class GenerationChange:
    """One committed change. `before`: None when the generation is new."""

    workspace_id: str
    generation_id: str
    before: GenerationState | None
    after: GenerationState

    @property
    def has_ended(self) -> bool:
        """Whether the status has become final, or another final one (a late result of an expired generation)."""
        return not self.after.is_open and (self.before is None or self.before.status != self.after.status)


@dataclass(frozen=True, slots=True)
class RelayDeps:
    """The dependencies of the outbox."""

    workflow: Workflow
    queue: AttemptQueue
    events: EventPublisher
    projects: AlertStore


def relay_all(changes: Iterable[GenerationChange], *, deps: RelayDeps, now: datetime) -> None:
    """Act on a batch of changes in their order. The first failure ends the batch, which is then delivered again."""
    for change in changes:
        relay(change, deps=deps, now=now)
        facts = {"workspace_id": change.workspace_id, "generation_id": change.generation_id}
        logger.info("relayed", extra={**facts, "status": change.after.status.value})


def relay(change: GenerationChange, *, deps: RelayDeps, now: datetime) -> None:
    """Act on one change, in this order:

    | change | effect |
    |---|---|
    | a new open generation or run | its execution starts; a stage's does not, because its run attempts it |
    | a cancellation is requested | a message for the provider |
    | a final status | its event; the alerts of the budgets that its cost has reached |
    | expired, with an attempt that has not ended | one more poll |
    | a stage succeeded after it had expired | its run starts again, because no execution may be left to finish it |
    """
    before, after = change.before, change.after
    if before is None:
        _relay_new(change, deps)
        return
    if after.is_cancel_requested and not before.is_cancel_requested:
        deps.queue.cancel(change.workspace_id, change.generation_id)
    if not change.has_ended:
        return
    _publish_end(change, deps)
    if after.run_id is None:
        for name in after.budgets:
            publish_due_alerts(change.workspace_id, name, projects=deps.projects, events=deps.events, now=now)
    if after.status is Status.EXPIRED:
        _poll_once_more(change, deps)
    elif before.status is Status.EXPIRED and after.run_id is not None:
        deps.workflow.start_run(change.workspace_id, after.run_id, again=change.generation_id)


def _relay_new(change: GenerationChange, deps: RelayDeps) -> None:
    if change.after.run_id is not None:
        return
    if change.has_ended:
        # The generation reuses an earlier result and is final already.
        _publish_end(change, deps)
    elif change.after.is_run:
        deps.workflow.start_run(change.workspace_id, change.generation_id)
    else:
        deps.workflow.start(change.workspace_id, change.generation_id)


def _publish_end(change: GenerationChange, deps: RelayDeps) -> None:
    after = change.after
    facts = (
        change.workspace_id,
        change.generation_id,
        after.status.value,
        after.model,
        after.credits_charged,
        after.cost_microusd,
        after.completed_at,
    )
    deps.events.publish(GenerationEnded(*facts) if after.run_id is None else StageEnded(*facts, after.run_id))


def _poll_once_more(change: GenerationChange, deps: RelayDeps) -> None:
    """Poll an expired generation once more. The result may have been ready before, with only its delivery failed: then
    no other poll is queued. A run has no attempts of its own."""
    attempt_id = change.after.open_attempt_id
    if attempt_id is not None and not change.after.is_run:
        deps.queue.poll_later(
            change.workspace_id, change.generation_id, attempt_id, Poll(no_waiter=True), FINISH_SECONDS
        )
