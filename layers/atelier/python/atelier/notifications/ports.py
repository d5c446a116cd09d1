"""The ports of notifications: where they are stored, and who the people are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from atelier.dataclass import dataclass
from atelier.identity.permissions import Role
from atelier.notifications.model import Notification, NotificationKind, Preferences, Recipient


class NotificationChanged(Exception):
    """The notification has been changed since it was read."""


class NotificationView(StrEnum):
    """Which of a person's notifications are listed."""

    CURRENT = "current"
    UNREAD = "unread"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class NotificationPage:
    """Notifications, newest first, and the id after which the next page begins; None on the last page."""

    notifications: tuple[Notification, ...]
    next_id: str | None


class NotificationStore(Protocol):
    """The notifications and preferences of all people. The number of unread ones changes in the transaction of what it
    counts, and so do the numbers of those who have read or acknowledged an update."""

    def add(self, notification: Notification, mail_at: datetime | None = None) -> bool:
        """Store a new one; False, and no change, when there is one with its id. mail_at: when its mail is due."""
        ...

    def find(self, user_id: str, notification_id: str) -> Notification:
        """One, by a consistent read. Raises NotFound."""
        ...

    def page(self, user_id: str, view: NotificationView, after_id: str | None, limit: int) -> NotificationPage:
        """A page of a person's notifications."""
        ...

    def open_items(self, user_id: str, kind: NotificationKind, workspace_id: str) -> Sequence[Notification]:
        """The action items of a kind in a workspace that the person has not acknowledged."""
        ...

    def unread(self, user_id: str) -> int:
        """How many are unread."""
        ...

    def change(self, before: Notification, after: Notification) -> None:
        """Store times of reading, acknowledging and archiving. Raises NotificationChanged unless it is as `before`."""
        ...

    def read_all(self, user_id: str, now: datetime) -> int:
        """Read each that is unread now; returns how many became read. One that comes meanwhile may stay unread."""
        ...

    def preferences(self, user_ids: Iterable[str]) -> Mapping[str, Preferences]:
        """The preferences of those people who have some."""
        ...

    def save_preferences(self, user_id: str, preferences: Preferences) -> None:
        """Store a person's preferences."""
        ...


class People(Protocol):
    """The people whom an event may concern."""

    def recipients(self, user_ids: Iterable[str]) -> Mapping[str, Recipient]:
        """Those of these people who have an account."""
        ...

    def members(self, workspace_id: str) -> Mapping[str, Role]:
        """The members of a workspace with their roles; of a personal one its owner."""
        ...

    def workspace_name(self, workspace_id: str) -> str:
        """The name of a workspace; empty when there is none."""
        ...

    def invited(self, workspace_id: str, invitation_id: str) -> str | None:
        """The user with the address of an invitation that is open, if that person has verified it."""
        ...
