"""The gateway's authorizer: tells the functions who calls. It lets every request through, for only they can refuse one
in the contract's envelope; without a user in the context they do."""

from __future__ import annotations

import time
from typing import Any

from atelier.clock import system_clock
from atelier.telemetry import logger
from atelier.wiring import identity


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Payload format 2.0, simple response. The identity source is the Authorization header, by which the
    gateway keeps the answer for 5 minutes."""
    started = time.perf_counter()
    context = identity.authorize(event["identitySource"][0], system_clock())
    logger.info(
        "authorize",
        request_id=event.get("requestContext", {}).get("requestId"),
        user_id=context.get("user_id"),
        token_id=context.get("token_id"),
        reason=context.get("reason"),
        duration_ms=round((time.perf_counter() - started) * 1000),
    )
    return {"isAuthorized": True, "context": context}
