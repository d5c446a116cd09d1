"""Errors as responses: the status, the headers that HTTP asks for, and a body in the API's envelope."""

from __future__ import annotations

import json
from collections.abc import Callable

from atelier.errors import AtelierError, ErrorResponse, Internal, MethodNotAllowed, RateLimited, UnsupportedEncoding
from atelier.http.response import GatewayResponse, gateway_response
from atelier.telemetry import logger


def respond_to_error(
    error: Exception, request_id: str, error_response: Callable[[AtelierError, str], ErrorResponse]
) -> GatewayResponse:
    if not isinstance(error, AtelierError):
        # The details go to the log only, so that the caller learns nothing about our internals.
        logger.error("unhandled", exc_info=error, request_id=request_id)
        error = Internal("Something went wrong on our side.")
    headers: dict[str, str] = {}
    if "retry_after_seconds" in error.facts:
        headers["Retry-After"] = str(error.facts["retry_after_seconds"])
    if isinstance(error, RateLimited):
        headers["RateLimit"] = f'"default";r=0;t={error.retry_after_seconds}'
        headers["RateLimit-Policy"] = f'"default";q={error.limit}'
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.facts["allowed"])
    if isinstance(error, UnsupportedEncoding):
        headers["Accept-Encoding"] = "gzip"
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    built = error_response(error, request_id)
    status = built.status or error.status
    return gateway_response(status, json.dumps(built.body, separators=(",", ":")), {**headers, **built.headers})


def error_envelope(error: AtelierError, request_id: str) -> ErrorResponse:
    return ErrorResponse(
        {
            "success": False,
            "error": error.code,
            "message": error.message,
            "details": error.facts,
            "request_id": request_id,
            "retryable": error.retryable,
        }
    )
