"""Webhooks of AI providers and of the streaming service: verify the raw bytes, store them, and answer. The inbox
stream's function acts on them."""

from __future__ import annotations

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.inbox.receive import receive
from atelier.wiring import webhooks

# No rate limit by address: a provider sends all its webhooks from a few addresses. A path that we have not signed is
# refused before its body is read.
api = Api("webhooks")
handler = api.handler


@api.route(
    "POST", "/api/webhooks/providers/<provider>/<token>", answer=dict[str, bool], errors=(400, 404), raw_body=True
)
def receive_webhook(request: Request[Empty]) -> Response:
    """Receive a provider's webhook; the last part of the path names its attempt."""
    source, token = request.path["provider"], request.path["token"]
    deps = webhooks.receive_deps()
    is_new = receive(source, token, request.headers, request.raw_body, deps=deps, now=request.now)
    return Response({"received": is_new})


@api.route("POST", "/api/webhooks/mux", answer=dict[str, bool], errors=(400, 503), raw_body=True)
def receive_streaming_webhook(request: Request[Empty]) -> Response:
    """Receive a webhook of the streaming service. The answer says whether it is new."""
    deps = webhooks.streaming_deps()
    is_new = receive("mux", "", request.headers, request.raw_body, deps=deps, now=request.now)
    return Response({"received": is_new})
