"""Home: what a person's persona wants to see at once."""

from __future__ import annotations

from starlette.responses import Response

from studio.endpoints import route
from studio.visit import Visit


def show(visit: Visit) -> Response:
    """Credits, what runs, and the newest of everything, by one call."""
    return visit.page("home.html", home=visit.get("/api/home"))


routes = [route("/home", show)]
