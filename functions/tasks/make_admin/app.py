"""Task: an operator makes an account an administrator of the platform."""

from __future__ import annotations

from typing import Any

from atelier.clock import system_clock
from atelier.telemetry import logger
from atelier.wiring import identity


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """event: {"email"}. Safe to repeat; an address without an account, or one that is not verified, is an error."""
    user = identity.make_administrator(str(event["email"]), system_clock())
    logger.info("administrator made", user_id=user.id)
    return {"user_id": user.id, "second_factors": list(user.second_factors)}
