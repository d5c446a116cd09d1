"""Webhooks of Stripe: verify the raw bytes, store them, and answer. The queue of billing events leads to what acts on
them."""

from __future__ import annotations

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.inbox.receive import receive
from atelier.wiring import billing_webhooks

# No rate limit by address: Stripe sends all its webhooks from a few addresses.
api = Api("webhooks")
handler = api.handler


@api.route("POST", "/api/webhooks/stripe", answer=dict[str, bool], errors=(400, 404, 503), raw_body=True)
def receive_stripe_webhook(request: Request[Empty]) -> Response:
    """Receive a webhook of Stripe. The answer says whether it is new."""
    deps = billing_webhooks.receive_deps()
    is_new = receive("stripe", "", request.headers, request.raw_body, deps=deps, now=request.now)
    return Response({"received": is_new})
