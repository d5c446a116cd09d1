"""Real time over HTTP: tickets for connections, and the events of a channel by waiting requests."""

from __future__ import annotations

from atelier.clock import system_clock
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.realtime.connect import issue_ticket
from atelier.realtime.read_events import read_events
from atelier.realtime.schemas import EventList, EventsQuery, TicketView
from atelier.wiring import auth, realtime

api = Api("realtime", gate=auth.gate, limiter=auth.limiter)
handler = api.handler


@api.route("POST", "/api/realtime/tickets", permission="realtime.read", answer=TicketView, statuses=(201,))
def create_ticket(request: Request[Empty]) -> Response:
    """A ticket that opens one connection to the WebSocket API."""
    personal_id = str(request.claims["workspace_id"])
    deps = realtime.ticket_deps()
    return Response(issue_ticket(deps, request.caller, personal_id, request.source_address, request.now), status=201)


@api.route("GET", "/api/events", permission="realtime.read", query=EventsQuery, answer=EventList)
def list_events(request: Request[Empty]) -> Response:
    """The events of a channel after a cursor; `wait` waits for the first of them."""
    return Response(read_events(realtime.read_deps(system_clock), request.caller, request.query, request.now))
