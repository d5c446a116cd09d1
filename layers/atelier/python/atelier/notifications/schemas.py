"""The requests and views of notifications."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from atelier.lazy_model import LazyModel
from atelier.notifications.kinds import OFFERED, is_on
from atelier.notifications.model import Channel, Digest, Notification, NotificationKind, Preferences
from atelier.notifications.ports import NotificationView

# A time of day to the minute.
MinuteOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class NotificationQuery(LazyModel):
    """Which notifications are listed."""

    model_config = ConfigDict(extra="ignore")

    unread: bool = Field(default=False, description="Only those that are unread.")
    archived: bool = Field(default=False, description="Those that were archived, instead of the others.")
    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None

    @property
    def view(self) -> NotificationView:
        """Which ones are wanted."""
        if self.archived:
            return NotificationView.ARCHIVED
        return NotificationView.UNREAD if self.unread else NotificationView.CURRENT


class UnsubscribeQuery(LazyModel):
    """The link of a mail."""

    model_config = ConfigDict(extra="ignore")

    token: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="From the link in the mail.")


class NotificationAction(LazyModel):
    """What a notification leads to."""

    label: str
    url: str = Field(description="A path of Studio, or an https address.", examples=["/plan"])


class NotificationEntry(LazyModel):
    """One notification."""

    id: str
    kind: NotificationKind
    title: str
    body: str
    action: NotificationAction | None
    workspace_id: str | None = Field(description="Null for an update of the platform.")
    is_action_item: bool = Field(description="It stays until it is acknowledged, and cannot be archived before.")
    created_at: datetime
    read_at: datetime | None
    acknowledged_at: datetime | None
    archived_at: datetime | None


class NotificationList(LazyModel):
    """A page of notifications, newest first."""

    items: list[NotificationEntry]
    next_cursor: str | None
    unread_count: int


class NotificationEnvelope(LazyModel):
    """One notification."""

    notification: NotificationEntry


class UnreadCountView(LazyModel):
    """How many notifications are unread."""

    unread_count: int


class QuietHoursView(LazyModel):
    """Hours in which no mail is sent, in the person's time zone; from 22:00 to 07:00 contains midnight."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    begin: MinuteOfDay = Field(alias="from", examples=["22:00"])
    end: MinuteOfDay = Field(alias="to", examples=["07:00"])


class ChannelChoices(LazyModel):
    """By which channels a kind comes. webhook: as an event `notification.created` in the workspace's feed."""

    model_config = ConfigDict(extra="forbid")

    in_app: bool
    email: bool
    webhook: bool


class NotificationPreferencesRequest(LazyModel):
    """All preferences; a kind that is left out is as the default."""

    model_config = ConfigDict(extra="forbid")

    kinds: dict[NotificationKind, ChannelChoices] = Field(default_factory=dict[NotificationKind, ChannelChoices])
    quiet_hours: QuietHoursView | None = None
    digest: Digest = Digest.AT_ONCE

    @property
    def channels(self) -> dict[NotificationKind, dict[Channel, bool]]:
        """The choices by kind and channel."""
        return {kind: {each: getattr(by, each.value) for each in Channel} for kind, by in self.kinds.items()}

    @property
    def quiet(self) -> tuple[time, time] | None:
        """The quiet hours."""
        hours = self.quiet_hours
        return (time.fromisoformat(hours.begin), time.fromisoformat(hours.end)) if hours else None


class NotificationPreferencesView(LazyModel):
    """A person's preferences, with what is on by default."""

    kinds: dict[NotificationKind, ChannelChoices]
    quiet_hours: QuietHoursView | None
    digest: Digest


def notification_view(each: Notification) -> NotificationEntry:
    """The view of a notification."""
    shown: dict[str, Any] = {name: getattr(each, name) for name in NotificationEntry.model_fields if name != "action"}
    action = {"label": each.action.label, "url": each.action.url} if each.action else None
    return NotificationEntry.model_validate({**shown, "action": action})


def notification_envelope(each: Notification) -> NotificationEnvelope:
    """The response with one notification."""
    return NotificationEnvelope(notification=notification_view(each))


def notification_list(notifications: Iterable[Notification], next_cursor: str | None, unread: int) -> NotificationList:
    """The response with a page."""
    items = list(map(notification_view, notifications))
    return NotificationList(items=items, next_cursor=next_cursor, unread_count=unread)


def preferences_view(preferences: Preferences) -> NotificationPreferencesView:
    """The view of preferences."""
    kinds = {
        kind: ChannelChoices(**{each.value: is_on(preferences, kind, each) for each in Channel}) for kind in OFFERED
    }
    quiet = preferences.quiet_hours
    shown = {"from": quiet.begin.isoformat("minutes"), "to": quiet.end.isoformat("minutes")} if quiet else None
    hours = QuietHoursView.model_validate(shown) if shown else None
    return NotificationPreferencesView(kinds=kinds, quiet_hours=hours, digest=preferences.digest)
