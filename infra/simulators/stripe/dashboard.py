"""The merchant's page, in the place of Stripe's dashboard: cards to try, customers and their clocks, payments and
disputes, and the last webhooks. Each button is a form that changes one thing and comes back here."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Protocol

from infra.simulators.kit.messages import Request, Response
from infra.simulators.stripe.account import Account, Object, require
from infra.simulators.stripe.charges import warn_of_fraud
from infra.simulators.stripe.clocks import advance_clock
from infra.simulators.stripe.disputes import CLOSED, end_dispute, open_dispute
from infra.simulators.stripe.html import button, form, form_of, page, paragraph, redirect, rows, section, table
from infra.simulators.stripe.money import format_amount
from infra.simulators.stripe.periods import DAY, add_intervals, format_time
from infra.simulators.stripe.refunds import create_refund
from infra.simulators.stripe.subscription_items import interval_of, period_of
from infra.simulators.stripe.webhooks import deliveries_of, is_accepted

SHOWN_MAX = 20
CARDS = (
    ("4242 4242 4242 4242", "pays"),
    ("4000 0000 0000 0002", "is declined at once"),
    ("4000 0000 0000 0341", "can be saved, and is declined whenever it is charged: a renewal fails"),
    ("4000 0027 6000 3184", "asks for 3-D Secure each time"),
    ("4000 0025 0000 3155", "asks for 3-D Secure once"),
    ("4000 0000 0000 9995", "has insufficient funds"),
    ("4000 0000 0000 0259", "pays, and its holder objects"),
    ("4000 0000 0000 5423", "pays, and its bank warns of fraud"),
    ("4000 0000 0000 5126", "pays, and a refund to it fails"),
)


class Merchant(Protocol):
    """What the page does beyond the account itself."""

    def send_again(self, event_id: str) -> None: ...

    def advance_account(self, seconds: int) -> None:
        """Move the time of everything that has no clock of its own."""
        ...


def dashboard_pages(merchant: Merchant) -> list[tuple[str, str, Callable[..., Response]]]:
    """Method, pattern of the path, and what shows it."""

    def post_event(account: Account, request: Request, event_id: str) -> Response:
        merchant.send_again(event_id)
        return _back(account, "webhooks")

    def post_time(account: Account, request: Request) -> Response:
        merchant.advance_account(_moment(account.time, request) - account.time)
        return _back(account, "customers")

    return [
        ("GET", r"/", show_dashboard),
        ("POST", r"/dashboard/clocks/(\w+)", post_clock),
        ("POST", r"/dashboard/time", post_time),
        ("POST", r"/dashboard/charges/(\w+)", post_charge),
        ("POST", r"/dashboard/disputes/(\w+)", post_dispute),
        ("POST", r"/dashboard/events/(\w+)", post_event),
    ]


def _back(account: Account, place: str) -> Response:
    return redirect(f"{account.url}/#{place}")


def show_dashboard(account: Account, request: Request) -> Response:
    return page(
        "Stripe's simulator",
        section("cards", "Cards to try", _cards()),
        section("customers", "Customers", *_customers(account)),
        section("payments", "Payments", *_payments(account)),
        section("webhooks", "Webhooks", *_webhooks(account)),
    )


def _cards() -> str:
    return rows(CARDS) + paragraph("Any date in the future and any three digits go with them.")


# ---- customers and time ----------------------------------------------------------------------------------------------


def _customers(account: Account) -> list[str]:
    blocks = [_customer(account, customer) for customer in _newest(account, "customer")]
    if not blocks:
        blocks = [paragraph("Nobody has bought anything yet.")]
    if any(customer["test_clock"] is None for customer in account.all("customer")):
        text = f"Whoever has no clock of their own lives at {format_time(account.time)}."
        blocks.append(paragraph(text) + _time_buttons(account.path_of("/dashboard/time")))
    return blocks


def _customer(account: Account, customer: Object) -> str:
    clock = customer["test_clock"]
    heading = f"<h3>{escape(customer['email'] or customer['name'] or customer['id'])}</h3>"
    time = f"Test clock: {format_time(account.now(clock))}" if clock else "no test clock"
    lines = [[customer["id"], time]]
    lines += [_subscription(account, each) for each in account.all("subscription", customer=customer["id"])]
    buttons = _time_buttons(account.path_of(f"/dashboard/clocks/{clock}")) if clock else ""
    return heading + rows(lines) + buttons


def _subscription(account: Account, subscription: Object) -> list[str]:
    item = subscription["items"]["data"][0]
    name = account.objects[item["price"]["product"]].get("name", "")
    interval, count = interval_of(item)
    amount = format_amount(item["price"]["unit_amount"] or 0, subscription["currency"])
    every = interval if count == 1 else f"{count} {interval}s"
    end = "ends" if subscription["cancel_at_period_end"] else "next"
    state = f"{subscription['status']}, {end} {format_time(period_of(subscription)[1])}"
    return [f"{name}, {amount} / {every}", state if subscription["ended_at"] is None else subscription["status"]]


def _time_buttons(action: str) -> str:
    return form(action, button("A day later", "day"), button("A month later", "month"))


def _moment(now: int, request: Request) -> int:
    return add_intervals(now, "month", 1) if form_of(request).get("action") == "month" else now + DAY


def post_clock(account: Account, request: Request, clock: str) -> Response:
    now = account.find("test_helpers.test_clock", clock, in_path=True)["frozen_time"]
    advance_clock(account, {"frozen_time": _moment(now, request)}, clock)
    return _back(account, "customers")


# ---- payments --------------------------------------------------------------------------------------------------------


def _payments(account: Account) -> list[str]:
    blocks = [_charge(account, charge) for charge in _newest(account, "charge")]
    return blocks or [paragraph("Nothing has been paid yet.")]


def _charge(account: Account, charge: Object) -> str:
    customer: Object = account.objects.get(charge["customer"] or "", {})
    disputes = list(account.all("dispute", charge=charge["id"]))
    amount = format_amount(charge["amount"], charge["currency"])
    lines = [
        [f"{amount}, {format_time(charge['created'])}", _result(charge)],
        [charge["description"] or charge["id"], customer.get("email") or ""],
        *(["Dispute", dispute["status"]] for dispute in disputes),
    ]
    parts = [rows(lines)]
    for dispute in disputes:
        if dispute["status"] not in CLOSED:
            path = account.path_of(f"/dashboard/disputes/{dispute['id']}")
            parts.append(form(path, button("Won", "won"), button("Lost", "lost")))
    if charge["status"] == "succeeded" and not disputes:
        buttons = [button("The cardholder objects", "dispute"), button("The bank warns of fraud", "warning")]
        buttons += [] if charge["refunded"] else [button("Refund", "refund")]
        parts.append(form(account.path_of(f"/dashboard/charges/{charge['id']}"), *buttons))
    return "".join(parts)


def _result(charge: Object) -> str:
    if charge["status"] != "succeeded":
        return charge["failure_message"] or charge["status"]
    refunded = charge["amount_refunded"]
    return f"refunded {format_amount(refunded, charge['currency'])}" if refunded else "paid"


def post_charge(account: Account, request: Request, charge_id: str) -> Response:
    charge = account.find("charge", charge_id, in_path=True)
    match form_of(request).get("action"):
        case "refund":
            create_refund(account, {"charge": charge_id})
        case "warning":
            warn_of_fraud(account, charge)
        case _:
            require(not charge["disputed"], "This payment is disputed already.")
            open_dispute(account, charge, "dispute")
    return _back(account, "payments")


def post_dispute(account: Account, request: Request, dispute_id: str) -> Response:
    dispute = account.find("dispute", dispute_id, in_path=True)
    require(dispute["status"] not in CLOSED, "This dispute is already closed.")
    end = "won" if form_of(request).get("action") == "won" else "lost"
    inquiry = dispute["status"].startswith("warning")
    end_dispute(account, dispute, "warning_closed" if inquiry and end == "won" else end)
    return _back(account, "payments")


# ---- webhooks --------------------------------------------------------------------------------------------------------


def _webhooks(account: Account) -> list[str]:
    lines: list[list[str]] = []
    for event in account.events[: -SHOWN_MAX - 1 : -1]:
        object_id = event["data"]["object"].get("id", "")
        again = form(account.path_of(f"/dashboard/events/{event['id']}"), button("Send again", "send"))
        lines.append([f"{escape(event['type'])}<br><small>{escape(object_id)}</small>", _state(account, event), again])
    return [table(lines)] if lines else [paragraph("Nothing has happened yet.")]


def _state(account: Account, event: Object) -> str:
    states: list[str] = []
    for delivery in deliveries_of(account, event).values():
        if delivery["lost"]:
            states.append("lost, as was asked for")
        elif delivery["status"] is None:
            states.append("on its way")
        elif is_accepted(delivery):
            states.append("accepted")
        else:
            status = f"refused with {delivery['status']}" if delivery["status"] else "not answered"
            states.append(f"{status}, tried {delivery['tries']} times")
    return escape("; ".join(states) or "nobody listens")


def _newest(account: Account, kind: str) -> list[Object]:
    return list(account.all(kind))[: -SHOWN_MAX - 1 : -1]
