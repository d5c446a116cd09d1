"""Task: an operator confirms that an account owns its mailbox, which releases the daily credits."""

from __future__ import annotations

from typing import Any

from atelier.clock import system_clock
from atelier.identity.verify_email import verification_report
from atelier.telemetry import logger
from atelier.wiring import identity


def handler(event: dict[str, Any], _context: object) -> dict[str, str | None]:
    """event: {"email"}. Safe to repeat; an address without an account is an error."""
    user = identity.verify_email(str(event["email"]), system_clock())
    logger.info("e-mail verified", user_id=user.id, workspace_id=user.workspace_id)
    return verification_report(user)
