"""Plan: what the workspace has, what it could have, and what was paid. Stripe's pages take the money."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import Response

from studio import settings
from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

INVOICES_SHOWN = 6
PAYMENTS_PER_PAGE = 25
# Refusals that the page itself shows, beside what was chosen.
SHOWN_ON_PAGE = (402, 409, 422, 503)
# The API puts the checkout's id into its place.
RETURN_PATH = "/plan/done?checkout={checkout_id}"


def show_plan(visit: Visit) -> Response:
    """The plan of the workspace, the price list, and the latest invoices."""
    return _page(visit)


def buy(visit: Visit) -> Response:
    """Begins a checkout, and leads to its page."""
    form, origin = visit.form, settings.public_origin()
    body: Json = {"success_url": origin + RETURN_PATH, "cancel_url": f"{origin}/plan"}
    if form.get("pack"):
        quantity = str(form.get("quantity", "1"))
        body |= {"pack": form["pack"], "quantity": int(quantity) if quantity.isdecimal() and len(quantity) < 9 else 0}
    else:
        body |= {"tier": form.get("tier", ""), "interval": form.get("interval", "month")}
    try:
        checkout = visit.api.call(
            "POST", "/api/billing/checkout", body, headers={"Idempotency-Key": visit.form_key}
        ).data
    except ApiError as error:
        return _refused(visit, error)
    return _leave(visit, checkout["url"])


def open_portal(visit: Visit) -> Response:
    """Leads to Stripe's page for cards, address and tax id."""
    try:
        body = {"return_url": f"{settings.public_origin()}/plan"}
        opened = visit.api.call("POST", "/api/billing/portal", body).data
    except ApiError as error:
        return _refused(visit, error)
    return _leave(visit, opened["url"])


def show_done(visit: Visit) -> Response:
    """Where a buyer returns after paying: what became of the checkout."""
    checkout_id = visit.query.get("checkout", "")
    checkout = visit.get(f"/api/billing/checkouts/{checkout_id}")
    return visit.page("plan_done.html", checkout=checkout)


def preview(visit: Visit) -> Response:
    """What a change of plan would cost and give; nothing is changed yet."""
    wanted: Json = {"tier": visit.form.get("tier", ""), "interval": visit.form.get("interval", "month")}
    try:
        found = visit.api.call("POST", "/api/billing/change/preview", wanted).data
    except ApiError as error:
        return _refused(visit, error)
    return visit.page("plan_change.html", preview=found, wanted=wanted, name=_title(visit, wanted["tier"]), error=None)


def change(visit: Visit) -> Response:
    """Changes the plan, for exactly what its preview said."""
    form = visit.form
    body: Json = {"tier": form.get("tier", ""), "interval": form.get("interval", "month")}
    if form.get("quoted_at"):
        body["quoted_at"] = form["quoted_at"]
    return _act(visit, "change", body)


def cancel(visit: Visit) -> Response:
    """Ends the plan with its period."""
    return _act(visit, "cancel")


def resume(visit: Visit) -> Response:
    """Goes on after all."""
    return _act(visit, "resume")


def pause(visit: Visit) -> Response:
    """Charges nothing until the plan is resumed."""
    return _act(visit, "pause", {})


def show_payments(visit: Visit) -> Response:
    """All payments, and what was refunded."""
    cursor = visit.query.get("cursor", "")
    payments = visit.get("/api/billing/payments", limit=PAYMENTS_PER_PAGE, cursor=cursor)
    return visit.page("plan_payments.html", payments=payments)


def _act(visit: Visit, what: str, body: Json | None = None) -> Response:
    try:
        visit.api.call("POST", f"/api/billing/{what}", body)
    except ApiError as error:
        return _refused(visit, error)
    return visit.go("/plan")


def _refused(visit: Visit, error: ApiError) -> Response:
    if error.status not in SHOWN_ON_PAGE:
        raise error
    return _page(visit, error)


def _page(visit: Visit, error: ApiError | None = None) -> Response:
    plan, prices, invoices = visit.api.get_together(
        ("/api/billing/subscription", {}),
        ("/api/billing/tiers", {}),
        ("/api/billing/invoices", {"limit": INVOICES_SHOWN}),
    )
    why = f"plan.refused.{error.details.get('reason')}" if error else ""
    return visit.page(
        "plan.html",
        status=error.status if error else 200,
        plan=plan,
        prices=prices,
        invoices=invoices,
        error=error,
        refused_why=why if visit.t.has(why) else None,
        open_invoice=error.details.get("invoice_url") if error else None,
    )


def _leave(visit: Visit, url: str) -> Response:
    """A page that leads to another site. A redirect would be refused: forms may only be sent to our own pages."""
    if visit.is_partial:
        return visit.go(url)
    return visit.page("plan_leave.html", url=url, host=urlsplit(url).hostname)


def _title(visit: Visit, name: str) -> str:
    tiers = visit.get("/api/billing/tiers")["items"]
    return next((tier["title"] for tier in tiers if tier["name"] == name), name)


routes = [
    route("/plan", show_plan),
    route("/plan/done", show_done),
    route("/plan/payments", show_payments),
    route("/plan/buy", buy, "POST"),
    route("/plan/preview", preview, "POST"),
    route("/plan/change", change, "POST"),
    route("/plan/cancel", cancel, "POST"),
    route("/plan/resume", resume, "POST"),
    route("/plan/pause", pause, "POST"),
    route("/plan/portal", open_portal, "POST"),
]
