"""Billing over HTTP: the price list."""

from __future__ import annotations

from atelier.billing.tier_schemas import TierList
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.wiring import auth, billing

api = Api("billing", limiter=auth.limiter)
handler = api.handler


@api.route("GET", "/api/billing/tiers", answer=TierList)
def list_tiers(request: Request[Empty]) -> Response:
    """List the tiers and packs of credits that are on sale. Needs no account."""
    return Response(billing.list_tiers(), headers={"Cache-Control": "public, max-age=300"})
