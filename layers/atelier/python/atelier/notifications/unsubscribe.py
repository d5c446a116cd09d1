"""End the mails about notifications by the link in one of them, without a session (RFC 8058)."""

from __future__ import annotations

from atelier.errors import ValidationFailed
from atelier.mails.links import LinkKey, LinkToken
from atelier.notifications.kinds import OFFERED
from atelier.notifications.model import Channel, Preferences
from atelier.notifications.ports import NotificationStore
from atelier.notifications.preferences import preferences_of, switched_off
from atelier.notifications.send_mails import unsubscribe_link


def unsubscribe(token: str, *, key: LinkKey, store: NotificationStore) -> Preferences:
    """Switch the mails of all kinds off for whom the token is; the other channels stay as they are. Repeating it
    changes nothing. Raises ValidationFailed for a token that this deployment has not made."""
    parsed = LinkToken.parse(token)
    if parsed is None or not key.made(parsed, unsubscribe_link(parsed.owner_id)):
        raise ValidationFailed([{"path": "query.token", "message": "is not valid"}])
    before = preferences_of(parsed.owner_id, store=store)
    after = before
    for kind in OFFERED:
        after = switched_off(after, kind, Channel.EMAIL)
    if after != before:
        store.save_preferences(parsed.owner_id, after)
    return after
