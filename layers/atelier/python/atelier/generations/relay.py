"""The outbox: act on what was committed to the generations table. Starts executions, queues messages, publishes events.

A change is delivered at least once, so every effect is safe to repeat: an execution is named after its generation, an
event has one id for each fact, and a reader of the queue drops a message that is out of date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from atelier.dataclass import dataclass
from atelier.events.catalogue import GenerationEnded, StageEnded
from atelier.events.ports import EventPublisher
from atelier.feeds.model import FeedEvent, StreamPosition
from atelier.feeds.ports import FeedWriter
from atelier.generations.attempt_messages import FINISH_SECONDS, Poll
from atelier.generations.change import GenerationChange
from atelier.generations.feed_events import feed_events
from atelier.generations.model import Status
from atelier.generations.ports import AttemptQueue, Workflow
from atelier.projects.alert import publish_due_alerts
from atelier.projects.ports import AlertStore
from atelier.telemetry import logger


@dataclass(frozen=True, slots=True)
class RelayDeps:
    """The dependencies of the outbox. place_in_line: of a generation that waits for a slot; None = unknown."""

    workflow: Workflow
    queue: AttemptQueue
    events: EventPublisher
    projects: AlertStore
    feeds: FeedWriter
    place_in_line: Callable[[GenerationChange, datetime], int | None]


# A page of a feed takes 90 events. A change has a dozen at most: the end of a generation with ten files.
EVENTS_OF_A_PAGE = 60


def relay_all(batch: Iterable[GenerationChange], *, deps: RelayDeps, now: datetime) -> None:
    """Act on a batch of changes in their order, then add them to the feeds of their workspaces. The first failure ends
    the batch, which is then delivered again."""
    changes = list(batch)
    for change in changes:
        relay(change, deps=deps, now=now)
        facts = {"workspace_id": change.workspace_id, "generation_id": change.generation_id}
        logger.info("relayed", extra={**facts, "status": change.after.status.value})

    for workspace_id, events, position in _pages(changes, deps, now):
        deps.feeds.append(workspace_id, events, now, StreamPosition("generations", position))


def _pages(
    changes: Sequence[GenerationChange], deps: RelayDeps, now: datetime
) -> Iterator[tuple[str, list[FeedEvent], int]]:
    """The events of each workspace, in order, with the position of the last change that they belong to."""
    by_workspace = sorted(changes, key=lambda change: change.workspace_id)
    for workspace_id, group in groupby(by_workspace, key=lambda change: change.workspace_id):
        page: list[FeedEvent] = []
        position = 0
        for change in group:
            place = deps.place_in_line(change, now) if change.is_delayed_anew else None
            events = feed_events(change, place, now)
            if page and len(page) + len(events) > EVENTS_OF_A_PAGE:
                yield workspace_id, page, position
                page = []
            page += events
            position = change.position
        yield workspace_id, page, position


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
    elif change.after.starts_express:
        deps.workflow.start_express(change.workspace_id, change.generation_id)
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
    event = GenerationEnded(*facts, after.kind) if after.run_id is None else StageEnded(*facts, after.run_id)
    deps.events.publish(event)


def _poll_once_more(change: GenerationChange, deps: RelayDeps) -> None:
    """Poll an expired generation once more. The result may have been ready before, with only its delivery failed: then
    no other poll is queued. A run has no attempts of its own."""
    attempt_id = change.after.open_attempt_id
    if attempt_id is not None and not change.after.is_run:
        deps.queue.poll_later(
            change.workspace_id, change.generation_id, attempt_id, Poll(no_waiter=True), FINISH_SECONDS
        )
