"""How the deployment is, for administrators of the platform."""

from __future__ import annotations

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.system_health.read_health import SystemHealth, read_health
from atelier.wiring import auth, system_health

api = Api("admin", gate=auth.gate, limiter=auth.limiter)
handler = api.handler


@api.route("GET", "/api/admin/health", permission="platform.read", answer=SystemHealth)
def get_system_health(request: Request[Empty]) -> Response:
    """Read how tables, queues, streams, schedules and alarms of the deployment are."""
    return Response(read_health(deps=system_health.deps(), now=request.now))
