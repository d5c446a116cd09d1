"""Billing over HTTP: the price list, and the workspace's plan, checkouts, invoices and payments."""

from __future__ import annotations

from atelier import cursors
from atelier.billing.plan_schemas import (
    INVOICES,
    PAYMENTS,
    ChangePlanRequest,
    CheckoutRequest,
    CheckoutView,
    InvoiceList,
    PausePlanRequest,
    PaymentList,
    PortalRequest,
    PortalView,
    PreviewChangeRequest,
    PreviewView,
    SubscriptionView,
    checkout_view,
    invoice_list,
    payment_list,
    preview_view,
    subscription_view,
)
from atelier.billing.tier_schemas import TierList
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.resources import PageQuery
from atelier.http.response import Response, created
from atelier.wiring import auth, billing, plans

api = Api("billing", gate=auth.gate, limiter=auth.limiter)
handler = api.handler


@api.route("GET", "/api/billing/tiers", answer=TierList)
def list_tiers(request: Request[Empty]) -> Response:
    """List the tiers and packs of credits that are on sale. Needs no account."""
    return Response(billing.list_tiers(), headers={"Cache-Control": "public, max-age=300"})


@api.route("GET", "/api/billing/subscription", permission="billing.read", answer=SubscriptionView)
def get_subscription(request: Request[Empty]) -> Response:
    """Get the workspace's plan: its tier, period, and what is planned."""
    return Response(subscription_view(plans.subscription(request.caller.workspace_id), request.now))


@api.route(
    "POST",
    "/api/billing/checkout",
    permission="billing.manage",
    step_up=True,
    body=CheckoutRequest,
    answer=CheckoutView,
    statuses=(201,),
    errors=(409, 503),
)
def start_checkout(request: Request[CheckoutRequest]) -> Response:
    """Buy a tier or packs of credits: the answer has the page on which it is paid."""
    order = request.body.order(request.caller.workspace_id, request.idempotency_key)
    checkout = plans.start(order, request.caller, request.origin, request.now)
    is_replayed = checkout.created_at != request.now
    return created(f"/api/billing/checkouts/{checkout.id}", checkout_view(checkout), replayed=is_replayed)


@api.route(
    "GET",
    "/api/billing/checkouts/<checkout_id>",
    permission="billing.read",
    answer=CheckoutView,
    errors=(404, 503),
)
def get_checkout(request: Request[Empty]) -> Response:
    """Get what became of a checkout. Its credits, or its plan, are there when it is paid."""
    checkout_id = request.path_id("checkout_id", "chk")
    return Response(checkout_view(plans.follow(request.caller.workspace_id, checkout_id)))


@api.route(
    "POST",
    "/api/billing/portal",
    permission="billing.manage",
    step_up=True,
    body=PortalRequest,
    answer=PortalView,
    errors=(503,),
)
def open_portal(request: Request[PortalRequest]) -> Response:
    """Open Stripe's page for cards, address, tax id and invoices."""
    url = plans.open_portal(request.caller, request.body.return_url, request.origin, request.now)
    return Response(PortalView(url=url))


@api.route(
    "POST",
    "/api/billing/change/preview",
    permission="billing.manage",
    body=PreviewChangeRequest,
    answer=PreviewView,
    errors=(409, 503),
)
def preview_change(request: Request[PreviewChangeRequest]) -> Response:
    """Show what a change of plan would cost and give, before it is confirmed."""
    body = request.body
    return Response(preview_view(plans.preview(request.caller.workspace_id, body.tier, body.interval, request.now)))


@api.route(
    "POST",
    "/api/billing/change",
    permission="billing.manage",
    step_up=True,
    body=ChangePlanRequest,
    answer=SubscriptionView,
    errors=(402, 409, 503),
)
def change_plan(request: Request[ChangePlanRequest]) -> Response:
    """Change the plan: upwards at once; downwards, or to a shorter interval, at the end of the period."""
    workspace_id, body = request.caller.workspace_id, request.body
    record = plans.change(workspace_id, body.tier, body.interval, body.quoted_at, request.origin, request.now)
    return Response(subscription_view(record, request.now))


@api.route(
    "POST", "/api/billing/cancel", permission="billing.manage", step_up=True, answer=SubscriptionView, errors=(409, 503)
)
def cancel_plan(request: Request[Empty]) -> Response:
    """End the plan with its period. Bought credits stay."""
    record = plans.cancel(request.caller.workspace_id, request.origin, request.now)
    return Response(subscription_view(record, request.now))


@api.route(
    "POST",
    "/api/billing/resume",
    permission="billing.manage",
    step_up=True,
    answer=SubscriptionView,
    errors=(402, 409, 503),
)
def resume_plan(request: Request[Empty]) -> Response:
    """Go on after all: withdraw a cancellation, or end a pause."""
    record = plans.resume(request.caller.workspace_id, request.origin, request.now)
    return Response(subscription_view(record, request.now))


@api.route(
    "POST",
    "/api/billing/pause",
    permission="billing.manage",
    step_up=True,
    body=PausePlanRequest,
    answer=SubscriptionView,
    errors=(409, 503),
)
def pause_plan(request: Request[PausePlanRequest]) -> Response:
    """Charge nothing for a while; the plan lasts as long as it is paid."""
    record = plans.pause(request.caller.workspace_id, request.body.resumes_at, request.origin, request.now)
    return Response(subscription_view(record, request.now))


@api.route("GET", "/api/billing/invoices", permission="billing.read", query=PageQuery, answer=InvoiceList)
def list_invoices(request: Request[Empty]) -> Response:
    """List the invoices, newest first."""
    query: PageQuery = request.query
    after = cursors.decode(query.cursor, INVOICES)
    return Response(invoice_list(plans.invoices(request.caller.workspace_id, after, query.limit)))


@api.route("GET", "/api/billing/payments", permission="billing.read", query=PageQuery, answer=PaymentList)
def list_payments(request: Request[Empty]) -> Response:
    """List the payments, newest first, with what was refunded."""
    query: PageQuery = request.query
    after = cursors.decode(query.cursor, PAYMENTS)
    return Response(payment_list(plans.payments_of(request.caller.workspace_id, after, query.limit)))
