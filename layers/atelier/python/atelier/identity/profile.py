"""Change what a person says about themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Protocol

from atelier.audit_log.model import Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.identity.model import User
from atelier.identity.ports import Profiles


class AvatarImages(Protocol):
    """The images among which an avatar is chosen."""

    def is_image(self, workspace_id: str, asset_id: str) -> bool:
        """Whether the workspace has this asset, and it is an image that is not deleted or archived."""
        ...


@dataclass(frozen=True, slots=True)
class ProfileChanges:
    """What a request sets, None = as it is. Empty text removes the avatar, the language or the time zone."""

    name: str | None = None
    avatar_asset_id: str | None = None
    persona: str | None = None
    locale: str | None = None
    time_zone: str | None = None


def change_profile(
    user_id: str,
    workspace_id: str,
    changes: ProfileChanges,
    origin: Origin,
    *,
    profiles: Profiles,
    images: AvatarImages,
    now: datetime,
) -> User:
    """The user with these changes, which are stored. workspace_id: the personal one. Raises ValidationFailed for an
    avatar that is no image there, NotFound."""
    if changes.avatar_asset_id and not images.is_image(workspace_id, changes.avatar_asset_id):
        message = "is no image of your personal workspace"
        raise ValidationFailed([{"path": "avatar_asset_id", "message": message}])
    before = profiles.user(user_id)
    after = replace(
        before,
        name=before.name if changes.name is None else changes.name,
        persona=before.persona if changes.persona is None else changes.persona,
        avatar_asset_id=_chosen(changes.avatar_asset_id, before.avatar_asset_id),
        locale=_chosen(changes.locale, before.locale),
        time_zone=_chosen(changes.time_zone, before.time_zone),
    )
    if after != before:
        changed = [
            name for name in ProfileChanges.__dataclass_fields__ if getattr(after, name) != getattr(before, name)
        ]
        event = audit_event(user_id, "profile.changed", origin, now, fields=changed)
        profiles.save_profile(after, events=(event,))
    return after


def _chosen(new: str | None, before: str | None) -> str | None:
    return before if new is None else new or None
