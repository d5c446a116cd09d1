"""Notifications, composed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from atelier.adapters.aws.dynamodb.notifications.store import DynamoNotifications
from atelier.settings import IdentityTable, NotificationsTable
from atelier.wiring import feeds

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.notifications.updates import DynamoUpdates
    from atelier.clock import Clock
    from atelier.feeds.dispatch import FeedHandler
    from atelier.feeds.model import FeedEntry
    from atelier.notifications.dispatch import DispatchDeps
    from atelier.notifications.manage_updates import ManageUpdatesDeps
    from atelier.notifications.notify import NotifyDeps


@cache
def store() -> DynamoNotifications:
    """The notifications of all people."""
    return DynamoNotifications(NotificationsTable.read().name)


@cache
def notify_deps() -> NotifyDeps:
    """The dependencies of notifying people."""
    from atelier.adapters.aws.dynamodb.notifications.people import DynamoPeople
    from atelier.notifications.notify import NotifyDeps

    people = DynamoPeople(IdentityTable.read().name)
    return NotifyDeps(store(), people, feeds.feeds())


@cache
def updates() -> DynamoUpdates:
    """The updates of the platform's administrators."""
    from atelier.adapters.aws.dynamodb.notifications.updates import DynamoUpdates
    from atelier.wiring.audit_log import bind_events

    bind_events()
    return DynamoUpdates(NotificationsTable.read().name)


def manage_deps() -> ManageUpdatesDeps:
    """The dependencies of what administrators do with updates."""
    from atelier.notifications.manage_updates import ManageUpdatesDeps
    from atelier.wiring.idempotency import idempotency_keys

    return ManageUpdatesDeps(updates(), idempotency_keys())


def dispatch_deps(clock: Clock) -> DispatchDeps:
    """The dependencies of sending updates and mails that are due."""
    from atelier.adapters.aws.dynamodb.notifications.directory import DynamoPeopleDirectory
    from atelier.adapters.aws.dynamodb.notifications.due_mails import DynamoDueMails
    from atelier.adapters.aws.dynamodb.notifications.people import DynamoPeople
    from atelier.adapters.aws.events import EventBridgeBus
    from atelier.adapters.aws.sqs import SqsUpdateQueue
    from atelier.notifications.dispatch import DispatchDeps
    from atelier.notifications.send_mails import SendMailsDeps
    from atelier.settings import Deployment, EventBus, LedgerTable, UpdatesQueue

    table, identity = NotificationsTable.read().name, IdentityTable.read().name
    return DispatchDeps(
        updates(),
        store(),
        DynamoPeopleDirectory(identity, LedgerTable.read().name, clock),
        SqsUpdateQueue(UpdatesQueue.read().url),
        SendMailsDeps(DynamoDueMails(table, identity), store(), DynamoPeople(identity), Deployment.read().public_url),
        EventBridgeBus(EventBus.read().name),
        clock,
    )


def feed_handler(clock: Clock) -> FeedHandler:
    """Notifies people of the events of a feed."""
    from atelier.notifications.notify import notify_of_events

    def handle(feed_id: str, entries: Sequence[FeedEntry]) -> None:
        notify_of_events(feed_id, [entry.event for entry in entries], notify_deps(), clock())

    return handle
