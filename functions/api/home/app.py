"""The first page of a person over HTTP."""

from __future__ import annotations

from atelier.home.read_home import read_home
from atelier.home.schemas import HomeView, home_view
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.http.tagged import OWN, tagged
from atelier.wiring import auth, home

api = Api("home", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
VARY = "Authorization, Atelier-Workspace"


@api.route("GET", "/api/home", permission="home.read", answer=HomeView, statuses=(200, 304))
def get_home(request: Request[Empty]) -> Response:
    """What the caller's persona wants to see at once: credits, what runs, the newest of everything."""
    found = read_home(request.caller.user_id, request.caller.workspace_id, home.reads())
    return tagged(request, home_view(found, home.base_url(), request.now), OWN, vary=VARY)
