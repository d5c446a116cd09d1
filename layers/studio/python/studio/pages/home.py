"""Home: one way to begin, and what a person's persona wants to see at once."""

from __future__ import annotations

from starlette.responses import Response

from studio.endpoints import route
from studio.visit import Visit

# What one prompt is enough to begin with.
PROMPT_KINDS = ("image", "video", "audio", "text", "page")
ASSETS = 8


def show(visit: Visit) -> Response:
    """Credits, what runs, the newest of everything, and the newest files."""
    home, files = visit.api.get_together(("/api/home", {}), ("/api/assets", {"archived": "false", "limit": ASSETS}))
    return visit.page("home.html", home=home, assets=files["items"], kinds=PROMPT_KINDS)


routes = [route("/home", show)]
