"""Webhooks of AI providers: verify the raw bytes, keep them, answer. Acting on them is the inbox stream's work."""

from __future__ import annotations

from atelier.http import Answer, Api, Nothing, Request
from atelier.wiring import webhooks

# No limit by address: a provider delivers from few, and what is not signed by us in its path is refused unread.
api = Api("webhooks")
handler = api.handler


@api.route(
    "POST", "/api/webhooks/providers/<provider>/<token>", answer=dict[str, bool], errors=(400, 404), raw_body=True
)
def receive(request: Request[Nothing]) -> Answer:
    """Take a provider's webhook; the path's last part says which attempt it is about."""
    kept = webhooks.receive(
        request.path["provider"], request.path["token"], request.headers, request.raw_body, request.now
    )
    return Answer({"received": kept})
