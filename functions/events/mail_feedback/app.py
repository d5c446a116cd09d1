"""Bounces and complaints of mails, which SES reports on the default event bus."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.wiring import mail_feedback


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """event: EventBridge's envelope of an event of SES. A failure repeats it; repeating it is harmless."""
    mail_feedback.act_on(event["detail"], clock())
