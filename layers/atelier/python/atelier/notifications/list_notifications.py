"""List a person's notifications. An update whose time is over is archived when it is met here, and shown no more."""

from __future__ import annotations

from datetime import datetime

from atelier import cursors
from atelier.notifications.model import Notification, as_archived, is_over
from atelier.notifications.ports import NotificationChanged, NotificationStore, NotificationView
from atelier.notifications.schemas import NotificationList, NotificationQuery, notification_list


def list_notifications(
    user_id: str, query: NotificationQuery, *, store: NotificationStore, now: datetime
) -> NotificationList:
    """A page of a person's notifications. Raises ValidationFailed for a cursor of another list."""
    page = store.page(user_id, query.view, cursors.decode(query.cursor, "ntf_"), query.limit)
    shown = list(page.notifications)
    if query.view is not NotificationView.ARCHIVED:
        for each in [each for each in shown if is_over(each, now)]:
            _archive(each, store, now)
            shown.remove(each)
    return notification_list(shown, cursors.encode(page.next_id), store.unread(user_id))


def _archive(notification: Notification, store: NotificationStore, now: datetime) -> None:
    try:
        store.change(notification, as_archived(notification, now))
    except NotificationChanged:
        # Read just now. The next look at the list archives it.
        return
