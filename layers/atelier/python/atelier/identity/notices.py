"""Mails that tell a person what happened to the access to their account."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin
from atelier.identity.device import device_words, network_of
from atelier.identity.model import User
from atelier.mails.mail import MailKind, MailRequest, mail_request


def notice(kind: MailKind, user: User, origin: Origin, now: datetime, **facts: str) -> MailRequest:
    """A mail to the person, with when it happened and with which device, in words."""
    return mail_request(
        kind,
        user.id,
        user.email,
        user.locale,
        now,
        link=None,
        id=None,
        at=time_words(now),
        device=device_words(origin.user_agent),
        network=network_of(origin.address),
        **facts,
    )


def time_words(at: datetime) -> str:
    """Such as `2026-11-20 21:10 UTC`."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
