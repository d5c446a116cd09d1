"""The ASGI application, and the Lambda handler around it."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

from mangum import Mangum
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from studio.endpoints import route
from studio.rooms import rooms
from studio.telemetry import log_line
from studio.visit import Visit


def _home(visit: Visit) -> Response:
    """The first page of a person who is signed in."""
    return visit.go("/home")


def _not_found(visit: Visit) -> Response:
    """A page for people; for programs, which do not ask for one, the API's error envelope."""
    if "text/html" not in visit.request.headers.get("accept", ""):
        message = "There is no such path. The API is below /api and /v1."
        envelope: dict[str, Any] = {"success": False, "error": "NOT_FOUND", "message": message, "details": {}}
        return JSONResponse(envelope | {"request_id": visit.request_id, "retryable": False}, 404)
    return visit.page("error.html", status=404, title=visit.t("error.not_found_title"), text=visit.t("error.not_found"))


def _record_violation(visit: Visit) -> Response:
    """Takes a browser's report that a page broke its Content-Security-Policy. It is logged; the person sees nothing."""
    report = visit.body[:2000].decode("utf-8", "replace")
    log_line("WARNING", "content security policy", request_id=visit.request_id, report=report)
    return Response(status_code=204)


async def _broken(request: Request, error: Exception) -> Response:
    failure = "".join(traceback.format_exception(error))
    log_line("ERROR", "a page failed", path=request.url.path, exception=failure)
    return Response("Something went wrong here. It has been recorded. Please try again.", 500, media_type="text/plain")


application = Starlette(
    routes=[
        # The distribution asks for this page when a browser asks for `/`.
        route("/start", _home),
        *rooms(),
        route("/csp-reports", _record_violation, "POST", public=True, checked=False),
        route("/{path:path}", _not_found, public=True),
    ],
    exception_handlers={Exception: _broken},
)

_loop = asyncio.new_event_loop()
_mangum = Mangum(application, lifespan="off", api_gateway_base_path="/studio")


def handler(event: dict[str, Any], context: Any) -> Any:
    """Lambda's entry point, for events of the HTTP API (payload format 2.0)."""
    # Mangum runs the application on the thread's event loop. Lambda's thread has none, and `asyncio.run` takes it away.
    asyncio.set_event_loop(_loop)
    return _mangum(event, context)
