"""Single generations for administrators of the platform."""

from __future__ import annotations

from atelier.generations.admin_timeline import EndRequest, PlaceQuery, TimelineEnvelope, end_stuck, read_timeline
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.wiring import auth, timeline

api = Api("admin", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
GENERATION = "/api/admin/generations/<generation_id>"


@api.route("GET", GENERATION, permission="platform.read", query=PlaceQuery, answer=TimelineEnvelope, errors=(404,))
def get_generation(request: Request[Empty]) -> Response:
    """Get a generation's way: attempts, webhooks, hold and settlement; without its prompt."""
    id, query = request.path_id("generation_id", "gen"), request.query
    return Response(read_timeline(id, query.workspace_id, deps=timeline.deps()))


@api.route(
    "POST",
    f"{GENERATION}/end",
    permission="platform.act",
    step_up=True,
    body=EndRequest,
    answer=TimelineEnvelope,
    errors=(404, 409, 503),
)
def end_generation(request: Request[EndRequest]) -> Response:
    """End a generation that is stuck, as its deadline does: the credits go back."""
    id, body = request.path_id("generation_id", "gen"), request.body
    ended = end_stuck(id, body.workspace_id, body.reason, request.origin, deps=timeline.deps(), now=request.now)
    return Response(ended)
