"""The gateway's authorizer: it authenticates the caller and passes the user to the functions. It lets every request
through, because only a function can refuse one with an error in the API's format; a function does so when the context
holds no user."""

from __future__ import annotations

import time
from typing import Any

from atelier.clock import system_clock
from atelier.telemetry import logger
from atelier.wiring import identity


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """event: payload format 2.0; returns a simple response. The identity source is the Authorization header; the
    gateway caches the response for each header value for 5 minutes."""
    started = time.perf_counter()
    context = identity.authenticate(event["identitySource"][0], system_clock())
    _log(event, context, started)
    return {"isAuthorized": True, "context": context}


def _log(event: dict[str, Any], context: dict[str, Any], started: float) -> None:
    logger.info(
        "authorize",
        request_id=event.get("requestContext", {}).get("requestId"),
        user_id=context.get("user_id"),
        token_id=context.get("token_id"),
        reason=context.get("reason"),
        duration_ms=round((time.perf_counter() - started) * 1000),
    )
