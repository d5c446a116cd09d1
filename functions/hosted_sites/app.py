"""Sites on our own edge: each on an origin of its own, without a session. The edge names the site in a header."""

from __future__ import annotations

from typing import Any

from atelier.deployments.respond import respond
from atelier.wiring import deployments


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a GET or HEAD of the gateway (payload format 2.0)."""
    return respond(event, deps=deployments.serve_deps())
