"""Notify people of what happened in their workspace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from atelier.clock import next_midnight, parse_rfc3339, rfc3339
from atelier.dataclass import dataclass
from atelier.feeds.model import FeedEvent
from atelier.feeds.ports import FeedWriter
from atelier.identity.permissions import Role, at_least
from atelier.notifications.change import acknowledge
from atelier.notifications.kinds import KINDS, Audience, Draft, ItemDone, draft_of, is_on
from atelier.notifications.mail_time import mail_time
from atelier.notifications.model import (
    NO_PREFERENCES,
    Action,
    Channel,
    Notification,
    NotificationKind,
    Preferences,
    Recipient,
    as_archived,
    notification_id,
)
from atelier.notifications.ports import NotificationStore, People
from atelier.notifications.render import texts_of
from atelier.telemetry import logger

CREATED = "notification.created"
# A feed takes up to 90 events at once.
EVENTS_TOGETHER = 90


@dataclass(frozen=True, slots=True)
class NotifyDeps:
    """Dependencies."""

    store: NotificationStore
    people: People
    feeds: FeedWriter


def notify_of_events(workspace_id: str, events: Sequence[FeedEvent], deps: NotifyDeps, now: datetime) -> None:
    """Notify the people whom these events of a workspace concern, each of them once for each event, however often the
    events come."""
    for event in events:
        drafted = draft_of(event)
        if isinstance(drafted, ItemDone):
            _end(workspace_id, drafted, deps, now)
        elif drafted is not None:
            _notify(workspace_id, event, drafted, deps, now)


def _notify(workspace_id: str, event: FeedEvent, draft: Draft, deps: NotifyDeps, now: datetime) -> None:
    concerned = _concerned(workspace_id, draft.kind, draft.of, deps.people)
    recipients = [each for each in deps.people.recipients(concerned).values() if each.is_active]
    if not recipients:
        return
    preferences = deps.store.preferences([each.user_id for each in recipients])
    name = deps.people.workspace_name(workspace_id)
    made = list[Notification]()
    for recipient in recipients:
        chosen = preferences.get(recipient.user_id, NO_PREFERENCES)
        if any(is_on(chosen, draft.kind, channel) for channel in Channel):
            notification = _notification(workspace_id, event, draft, recipient, name)
            is_new = _add(notification, recipient, chosen, deps, now)
            logger.info("notified", notification_id=notification.id, kind=draft.kind, is_new=is_new)
            made += [notification] if is_on(chosen, draft.kind, Channel.WEBHOOK) else []
    for start in range(0, len(made), EVENTS_TOGETHER):
        events = [_workspace_event(each) for each in made[start : start + EVENTS_TOGETHER]]
        deps.feeds.append(workspace_id, events, now)


def _concerned(workspace_id: str, kind: NotificationKind, of: str | None, people: People) -> Iterable[str]:
    audience = KINDS[kind].audience
    if isinstance(audience, Role):
        return [user for user, role in people.members(workspace_id).items() if at_least(role, audience)]
    if audience is Audience.MEMBER:
        return [user for user in people.members(workspace_id) if user == of]
    found = people.invited(workspace_id, str(of)) if audience is Audience.INVITED else of
    return [found] if found else []


def _notification(
    workspace_id: str, event: FeedEvent, draft: Draft, recipient: Recipient, workspace_name: str
) -> Notification:
    at = parse_rfc3339(event.occurred_at)
    name, named_at = (draft.once, next_midnight(at) - timedelta(days=1)) if draft.once else (event.id, at)
    texts = texts_of(draft.kind, recipient.locale, {**draft.facts, "workspace": workspace_name}, recipient.time_zone)
    return Notification(
        notification_id(recipient.user_id, name, draft.kind, named_at),
        recipient.user_id,
        draft.kind,
        texts.title,
        texts.body,
        at,
        action=Action(texts.action, draft.path) if draft.path else None,
        workspace_id=workspace_id,
        is_action_item=KINDS[draft.kind].is_action_item,
    )


def _add(
    notification: Notification, recipient: Recipient, chosen: Preferences, deps: NotifyDeps, now: datetime
) -> bool:
    """Store a notification and put it into its reader's feed; whether it is new."""
    by_mail = recipient.email is not None and is_on(chosen, notification.kind, Channel.EMAIL)
    mail_at = mail_time(chosen, recipient.time_zone, now) if by_mail else None
    is_shown = is_on(chosen, notification.kind, Channel.IN_APP)
    is_new = deps.store.add(notification if is_shown else as_archived(notification, now), mail_at)
    if is_shown:
        # Also when it is not new: the process may have died between the two.
        deps.feeds.append(recipient.user_id, [created_event(notification, deps.store)], now)
    return is_new


def created_event(notification: Notification, store: NotificationStore) -> FeedEvent:
    """The event of a new notification for its reader's own feed."""
    data = {
        "notification_id": notification.id,
        "kind": notification.kind.value,
        "unread": store.unread(notification.user_id),
    }
    return FeedEvent(notification.id, CREATED, rfc3339(notification.created_at), data)


def _workspace_event(notification: Notification) -> FeedEvent:
    data: Mapping[str, str] = {
        "notification_id": notification.id,
        "kind": notification.kind.value,
        "user_id": notification.user_id,
    }
    return FeedEvent(notification.id, CREATED, rfc3339(notification.created_at), data)


def _end(workspace_id: str, done: ItemDone, deps: NotifyDeps, now: datetime) -> None:
    people = [done.user_id] if done.user_id else _concerned(workspace_id, done.kind, None, deps.people)
    for user_id in people:
        for item in deps.store.open_items(user_id, done.kind, workspace_id):
            acknowledge(user_id, item.id, store=deps.store, feeds=deps.feeds, now=now)
