"""Health, status, the API's own description, and the answer to every unknown route."""

from __future__ import annotations

from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.wiring import auth, status

api = Api("status", limiter=auth.limiter)
handler = api.handler
STATUS_CODES = {"ok": 200, "unavailable": 503}


@api.route("GET", "/healthz", answer=dict[str, str], raw=True, errors=(503,))
def healthz(request: Request[Empty]) -> Response:
    """Whether the service can serve requests."""
    state = status.health()
    return Response({"status": state}, status=STATUS_CODES[state])


@api.route("GET", "/api/status", answer=dict[str, Any])
def report(request: Request[Empty]) -> Response:
    """The state of services, providers and queues."""
    return Response(status.report())


@api.route("GET", "/api/openapi.json", answer=dict[str, Any], raw=True)
def openapi(request: Request[Empty]) -> Response:
    """This OpenAPI document."""
    return Response(status.openapi(), headers={"Cache-Control": "public, max-age=300"})
