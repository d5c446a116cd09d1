"""A person's preferences: which kinds by which channels, quiet hours, and digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import time

from atelier.notifications.kinds import KINDS, OFFERED
from atelier.notifications.model import (
    NO_PREFERENCES,
    Channel,
    Digest,
    NotificationKind,
    Preferences,
    QuietHours,
)
from atelier.notifications.ports import NotificationStore


def preferences_of(user_id: str, *, store: NotificationStore) -> Preferences:
    """The preferences of a person."""
    return store.preferences([user_id]).get(user_id, NO_PREFERENCES)


def save_preferences(
    user_id: str,
    channels: Mapping[NotificationKind, Mapping[Channel, bool]],
    quiet: tuple[time, time] | None,
    digest: Digest,
    *,
    store: NotificationStore,
) -> Preferences:
    """Store all preferences. What is as the default is not stored, so that a later default reaches those who have
    chosen nothing. Quiet hours from a time until the same time are none."""
    chosen = {
        (kind.value, channel.value): is_on
        for kind, by_channel in channels.items()
        for channel, is_on in by_channel.items()
        if kind in OFFERED and is_on != (channel in KINDS[kind].channels)
    }
    hours = QuietHours(*quiet) if quiet and quiet[0] != quiet[1] else None
    preferences = Preferences(chosen, hours, digest)
    store.save_preferences(user_id, preferences)
    return preferences


def switched_off(preferences: Preferences, kind: NotificationKind, channel: Channel) -> Preferences:
    """The preferences without a kind on a channel."""
    return replace(preferences, chosen={**preferences.chosen, (kind.value, channel.value): False})
