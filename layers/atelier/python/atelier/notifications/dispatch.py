"""Send updates: the people are looked at shard by shard, page by page, and each page is one transaction that also moves
the shard on. So a process that dies is continued where it stopped, two processes of one shard send to nobody twice, and
a cancelled shard sends no further page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.clock import Clock, TimeLeft, rfc3339
from atelier.dataclass import dataclass
from atelier.events.catalogue import UpdatePublished
from atelier.events.ports import EventPublisher
from atelier.notifications.kinds import is_on
from atelier.notifications.mail_time import mail_time
from atelier.notifications.model import NO_PREFERENCES, Channel, NotificationKind, as_archived
from atelier.notifications.ports import NotificationStore
from atelier.notifications.send_mails import SendMailsDeps, send_due_mails
from atelier.notifications.update_ports import PeopleDirectory, UpdateChanged, UpdateDelivery, UpdateQueue, UpdateStore
from atelier.notifications.updates import (
    Candidate,
    ShardProgress,
    ShardState,
    Update,
    UpdateState,
    is_in,
    notification_of,
)
from atelier.telemetry import logger

# For each person a notification, a counter and a mail; with the shard's own item at most 100 items of a transaction.
PAGE_SIZE = 30
TIME_MARGIN_MILLISECONDS = 10_000
# After this pause a worker that met another one looks whether that one is still there.
RETRY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class DispatchDeps:
    """Dependencies. mails: of sending what is due."""

    updates: UpdateStore
    notifications: NotificationStore
    directory: PeopleDirectory
    queue: UpdateQueue
    mails: SendMailsDeps
    events: EventPublisher
    clock: Clock


def is_due_event(event: Mapping[str, Any]) -> bool:
    """Whether an event is the schedule's, or that of somebody who does by hand what is due."""
    return "Records" not in event


def messages_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """A queue's batch as it is; anything else, such as a schedule's event, as the message to do what is due."""
    return event if not is_due_event(event) else {"Records": [{"messageId": "due", "body": '{"do": "due"}'}]}


def process(message: Mapping[str, Any], deps: DispatchDeps, context: TimeLeft | None) -> None:
    """Act on one message: do what is due, or send a shard of an update."""
    if message["do"] == "due":
        start_due_updates(deps)
        logger.info("mails of notifications", requested=send_due_mails(deps.mails, deps.clock(), context))
    else:
        dispatch_shard(message["update_id"], int(message["shard"]), deps, context)


def start_due_updates(deps: DispatchDeps) -> None:
    """Queue the shards of each update whose time has come. An interrupted run is made good by the next one: a shard
    that is queued twice is sent once, and one update that fails keeps no other one."""
    for update_id in deps.updates.due(deps.clock()):
        try:
            _start(update_id, deps)
        except Exception:
            logger.exception("update failed", update_id=update_id)


def _start(update_id: str, deps: DispatchDeps) -> None:
    update = deps.updates.get(update_id)
    if update.state is UpdateState.SCHEDULED:
        shards = 1 if update.content.segment.user_id else deps.directory.shards
        after = replace(update, state=UpdateState.SENDING, version=update.version + 1)
        try:
            deps.updates.begin(update, after, shards)
        except UpdateChanged:
            # Cancelled or moved just now. The next run looks again.
            return
        update = after
    for progress in deps.updates.shards(update_id):
        if progress.state is ShardState.RUNNING:
            deps.queue.send_shard(update_id, progress.shard)
    # Before the update leaves the list of what is due, so that a run that dies is made good; with the same id.
    segment, begun = update.content.segment, rfc3339(update.send_at or deps.clock())
    deps.events.publish(UpdatePublished(update_id, update.content.topic.value, segment.audience, begun))
    deps.updates.set_queued(update)
    logger.info("update queued", update_id=update_id, state=update.state)


def dispatch_shard(update_id: str, shard: int, deps: DispatchDeps, context: TimeLeft | None) -> None:
    """Send an update to a shard of the people. When the time runs low, a message is queued for the rest."""
    update = deps.updates.get(update_id)
    progress = next((each for each in deps.updates.shards(update_id) if each.shard == shard), None)
    while progress is not None and progress.state is ShardState.RUNNING:
        if context and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            deps.queue.send_shard(update_id, shard)
            return
        try:
            progress = _send_page(update, progress, deps)
        except UpdateChanged:
            # Another worker sends this shard, or has just died after a page; or it was cancelled.
            deps.queue.send_shard(update_id, shard, RETRY_SECONDS)
            return
    _end(update_id, deps)


def _send_page(update: Update, progress: ShardProgress, deps: DispatchDeps) -> ShardProgress:
    now, segment = deps.clock(), update.content.segment
    is_over = update.content.shown_until is not None and now >= update.content.shown_until
    if is_over:
        people, place = list[Candidate](), None
    else:
        people, place = deps.directory.page(progress.shard, progress.after, PAGE_SIZE, segment)
    chosen = [each for each in people if is_in(segment, each)]
    state = ShardState.RUNNING if place else ShardState.DONE
    after = replace(progress, state=state, after=place)
    count = deps.updates.deliver(progress, _deliveries(update, chosen, deps, now), after)
    logger.info("update sent", update_id=update.id, shard=progress.shard, people=len(people), sent=count, state=state)
    return replace(after, sent=progress.sent + count)


def _deliveries(update: Update, people: Sequence[Candidate], deps: DispatchDeps, now: datetime) -> list[UpdateDelivery]:
    preferences = deps.notifications.preferences([each.recipient.user_id for each in people])
    found = list[UpdateDelivery]()
    for recipient in (each.recipient for each in people):
        chosen = preferences.get(recipient.user_id, NO_PREFERENCES)
        is_shown = is_on(chosen, NotificationKind.UPDATE, Channel.IN_APP)
        by_mail = recipient.email is not None and is_on(chosen, NotificationKind.UPDATE, Channel.EMAIL)
        if is_shown or by_mail:
            made = notification_of(update, recipient.user_id)
            mail_at = mail_time(chosen, recipient.time_zone, now) if by_mail else None
            found.append(UpdateDelivery(made if is_shown else as_archived(made, now), mail_at))
    return found


def _end(update_id: str, deps: DispatchDeps) -> None:
    """The worker that sees all shards done says that the update is sent."""
    update = deps.updates.get(update_id)
    if update.state is not UpdateState.SENDING:
        return
    if all(each.state is ShardState.DONE for each in deps.updates.shards(update_id)):
        try:
            deps.updates.set_sent(update, replace(update, state=UpdateState.SENT, version=update.version + 1))
        except UpdateChanged:
            logger.info("update ended meanwhile", update_id=update_id)
