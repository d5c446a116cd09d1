"""Checkout sessions: what is bought, for how much, and where the customer goes afterwards."""

from __future__ import annotations

from typing import Any

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.addresses import SHIPPING
from infra.simulators.stripe.catalog import PRICE_DATA, PRODUCT_DATA, price_from
from infra.simulators.stripe.coupons import coupon_of, discount_shares
from infra.simulators.stripe.errors import invalid
from infra.simulators.stripe.expansion import INCLUDABLE
from infra.simulators.stripe.form import MAP, choice
from infra.simulators.stripe.money import price_total
from infra.simulators.stripe.operations import PAGING, TIMES, Operation, list_of, page_of, retrieval
from infra.simulators.stripe.payments import CAPTURE
from infra.simulators.stripe.shapes import names_of
from infra.simulators.stripe.subscription_items import TRIAL_SETTINGS
from infra.simulators.stripe.taxes import tax_of, tax_percent

SESSION_SECONDS, SESSION_SECONDS_MIN = 24 * 3600, 30 * 60
QUANTITY_MAX = 999_999
LINE_ITEM = {
    "adjustable_quantity": {"enabled": bool, "maximum": int, "minimum": int},
    "metadata": MAP,
    "price": str,
    "price_data": {**PRICE_DATA, "product_data": PRODUCT_DATA},
    "quantity": int,
    "tax_rates": [str],
}
SUBSCRIPTION_DATA = {
    "billing_cycle_anchor": int,
    "billing_mode": {"type": choice("classic", "flexible")},
    "default_tax_rates": [str],
    "description": str,
    "metadata": MAP,
    "proration_behavior": choice("create_prorations", "none"),
    "trial_end": int,
    "trial_period_days": int,
    "trial_settings": TRIAL_SETTINGS,
}
SHAPE: dict[str, Any] = {
    "allow_promotion_codes": bool,
    "automatic_tax": {"enabled": bool},
    "billing_address_collection": choice("auto", "required"),
    "cancel_url": str,
    "client_reference_id": str,
    "currency": str,
    "customer": str,
    "customer_creation": choice("always", "if_required"),
    "customer_email": str,
    "customer_update": {"address": str, "name": str, "shipping": str},
    "discounts": [{"coupon": str, "promotion_code": str}],
    "expires_at": int,
    "invoice_creation": {"enabled": bool, "invoice_data": {"description": str, "footer": str, "metadata": MAP}},
    "line_items": [LINE_ITEM],
    "locale": str,
    "metadata": MAP,
    "mode": choice("payment", "setup", "subscription"),
    "payment_intent_data": {
        "capture_method": CAPTURE,
        "description": str,
        "metadata": MAP,
        "receipt_email": str,
        "setup_future_usage": choice("off_session", "on_session"),
        "shipping": SHIPPING,
        "statement_descriptor": str,
        "statement_descriptor_suffix": str,
    },
    "payment_method_collection": choice("always", "if_required"),
    "payment_method_options": {"card": {"request_three_d_secure": choice("any", "automatic", "challenge")}},
    # Gone from the pinned version; Stripe's CLI, which names no version, still sends it.
    "payment_method_types": [str],
    "phone_number_collection": {"enabled": bool},
    "setup_intent_data": {"description": str, "metadata": MAP},
    "submit_type": choice("auto", "book", "donate", "pay", "subscribe"),
    "subscription_data": SUBSCRIPTION_DATA,
    "success_url": str,
    "tax_id_collection": {"enabled": bool, "required": choice("if_supported", "never")},
    "ui_mode": choice("elements", "embedded_page", "form", "hosted_page"),
}
PLAIN = names_of(
    "allow_promotion_codes billing_address_collection cancel_url client_reference_id customer_email "
    "locale metadata submit_type success_url"
)


def create_session(account: Account, params: Object) -> Object:
    mode = params.get("mode") or "payment"
    _check_session(params, mode)
    customer = account.find("customer", params["customer"], "customer") if params.get("customer") else None
    clock = customer["test_clock"] if customer else None
    session = account.create("checkout.session", account.new_id("cs_test", 58), clock, mode=mode)
    assign(session, params, *PLAIN)
    items = [_line_item(account, item, index, mode) for index, item in enumerate(params.get("line_items") or [])]
    facts = account.note(session["id"])
    facts["items"] = items
    facts["params"] = {
        name: params.get(name) or {} for name in ("payment_intent_data", "subscription_data", "setup_intent_data")
    }
    facts["discounts"] = params.get("discounts") or []
    session["customer"] = customer["id"] if customer else None
    session["currency"] = _currency(account, items, params)
    session["expires_at"] = _expiry(account, params, clock)
    session["url"] = f"{account.url}/c/pay/{session['id']}"
    session["automatic_tax"]["enabled"] = bool((params.get("automatic_tax") or {}).get("enabled"))
    session["tax_id_collection"].update(params.get("tax_id_collection") or {})
    session["phone_number_collection"].update(params.get("phone_number_collection") or {})
    if params.get("payment_method_types"):
        session["payment_method_types"] = params["payment_method_types"]
    elif session["currency"] == "eur":
        session["payment_method_types"] = ["card", "sepa_debit"]
    _set_mode(session, params)
    update_totals(account, session)
    return session


def _check_session(params: Object, mode: str) -> None:
    require(
        params.get("success_url"), "You must pass `success_url` for a hosted page.", "success_url", "parameter_missing"
    )
    for name in ("success_url", "cancel_url"):
        text = "Not a valid URL"
        require((params.get(name) or "https://").startswith(("http://", "https://")), text, name, "url_invalid")
    if mode != "setup":
        require(params.get("line_items"), "Missing required param: line_items.", "line_items", "parameter_missing")
    text = "You can not pass `{}` in `{}` mode."
    for name, wanted in (
        ("payment_intent_data", "payment"),
        ("subscription_data", "subscription"),
        ("invoice_creation", "payment"),
    ):
        require(not params.get(name) or mode == wanted, text.format(name, mode), name)
    require(
        not (params.get("customer") and params.get("customer_email")),
        "You may only specify one of these parameters: customer, customer_email.",
        "customer",
    )
    require(
        not (params.get("allow_promotion_codes") and params.get("discounts")),
        "You may only specify one of these parameters: allow_promotion_codes, discounts.",
        "discounts",
    )


def _line_item(account: Account, item: Object, index: int, mode: str) -> Object:
    param = f"line_items[{index}]"
    price = price_from(account, item, param)
    quantity = item.get("quantity")
    require(quantity is not None, "Quantity is required. Add `quantity` to `" + param + "`", param, "parameter_missing")
    require(0 < quantity <= QUANTITY_MAX, "The quantity must be at least 1.", f"{param}[quantity]")
    text = "You specified `payment` mode but passed a recurring price. Use `subscription` mode or one-time prices."
    require(mode != "payment" or price["type"] == "one_time", text, param)
    adjustable = item.get("adjustable_quantity") or {}
    return {
        "id": account.new_id("li"),
        "price": price["id"],
        "quantity": quantity,
        "metadata": item.get("metadata") or {},
        "adjustable": {"minimum": 1, "maximum": 99, **adjustable} if adjustable.get("enabled") else None,
    }


def _currency(account: Account, items: list[Object], params: Object) -> str | None:
    currencies = {account.objects[item["price"]]["currency"] for item in items}
    text = "All prices in a Checkout Session must have the same currency."
    require(len(currencies) <= 1, text, "line_items")
    return currencies.pop() if currencies else params.get("currency")


def _expiry(account: Account, params: Object, clock: str | None) -> int:
    now = account.now(clock)
    given = params.get("expires_at")
    if given is None:
        return now + SESSION_SECONDS
    text = "The `expires_at` timestamp must be {} from Checkout Session creation."
    require(given >= now + SESSION_SECONDS_MIN - 60, text.format("at least 30 minutes"), "expires_at")
    require(given <= now + SESSION_SECONDS, text.format("less than 24 hours"), "expires_at")
    return given


def _set_mode(session: Object, params: Object) -> None:
    mode = session["mode"]
    collection = params.get("payment_method_collection")
    session["payment_method_collection"] = collection or ("if_required" if mode == "payment" else "always")
    if mode == "payment":
        session["customer_creation"] = params.get("customer_creation") or "if_required"
        given = params.get("invoice_creation") or {}
        data = {
            **dict.fromkeys(
                names_of("account_tax_ids custom_fields description footer issuer metadata rendering_options")
            ),
            **(given.get("invoice_data") or {}),
        }
        session["invoice_creation"] = {"enabled": bool(given.get("enabled")), "invoice_data": data}
    elif mode == "subscription":
        session["customer_creation"] = "always"
    if session["customer"]:
        session["customer_creation"] = None


def update_totals(account: Account, session: Object) -> None:
    """The session's amounts, from its line items, discounts and taxes."""
    if session["mode"] == "setup":
        return
    rows = line_rows(account, session)
    session["amount_subtotal"] = sum(row["amount_subtotal"] for row in rows)
    session["amount_total"] = sum(row["amount_total"] for row in rows)
    session["total_details"] = {
        "amount_discount": sum(row["amount_discount"] for row in rows),
        "amount_shipping": 0,
        "amount_tax": sum(row["amount_tax"] for row in rows),
    }
    if session["automatic_tax"]["enabled"]:
        session["automatic_tax"].update(status="complete", provider="stripe", liability={"type": "self"})
    session["discounts"] = [
        {"coupon": coupon["id"], "promotion_code": code} for coupon, code in _coupons(account, session)
    ]


def _coupons(account: Account, session: Object) -> list[tuple[Object, str | None]]:
    return [coupon_of(account, given, session["customer"]) for given in account.note(session["id"])["discounts"]]


def line_rows(account: Account, session: Object) -> list[Object]:
    """The line items with their amounts, as `line_items` shows them. During a trial nothing is due."""
    facts = account.note(session["id"])
    prices = [account.objects[item["price"]] for item in facts["items"]]
    trial = facts["params"]["subscription_data"]
    free = session["mode"] == "subscription" and bool(trial.get("trial_period_days") or trial.get("trial_end"))
    subtotals = [
        0 if free and price["recurring"] else price_total(price, item["quantity"])
        for price, item in zip(prices, facts["items"], strict=True)
    ]
    discounts = [0] * len(subtotals)
    if session["status"] == "open":
        for coupon, _ in _coupons(account, session):
            shares = discount_shares(account, coupon, subtotals, [price["product"] for price in prices])
            discounts = [
                min(one + share, whole) for one, share, whole in zip(discounts, shares, subtotals, strict=True)
            ]
    else:
        discounts = facts.get("line_discounts", discounts)
    facts["line_discounts"] = discounts
    percent = tax_percent(account, session) if session["automatic_tax"]["enabled"] else 0
    rows: list[Object] = []
    for item, price, subtotal, discount in zip(facts["items"], prices, subtotals, discounts, strict=True):
        tax, added = tax_of(subtotal - discount, percent, price["tax_behavior"])
        rows.append(
            {
                "id": item["id"],
                "object": "item",
                "adjustable_quantity": {
                    "enabled": True,
                    **{key: item["adjustable"][key] for key in ("maximum", "minimum")},
                }
                if item["adjustable"]
                else None,
                "amount_discount": discount,
                "amount_subtotal": subtotal,
                "amount_tax": tax,
                "amount_total": subtotal - discount + added,
                "currency": price["currency"],
                "description": account.objects[price["product"]].get("name"),
                "metadata": item["metadata"],
                "price": dict(price),
                "quantity": item["quantity"],
            }
        )
    return rows


def list_line_items(account: Account, params: Object, id: str) -> Object:
    session = account.find("checkout.session", id, in_path=True)
    return page_of(line_rows(account, session), params, f"/v1/checkout/sessions/{id}/line_items")


def update_session(account: Account, params: Object, id: str) -> Object:
    session = account.find("checkout.session", id, in_path=True)
    assign(session, params, "metadata")
    return session


def expire_session(account: Account, params: Object, id: str) -> Object:
    session = account.find("checkout.session", id, in_path=True)
    text = 'Only Checkout Sessions with a status in ["open"] can be expired. This one has a status of '
    text += f"{session['status']}."
    require(session["status"] == "open", text)
    mark_expired(account, session)
    return session


def mark_expired(account: Account, session: Object) -> None:
    session.update(status="expired", url=None)
    account.emit("checkout.session.expired", session)


def list_sessions(account: Account, params: Object) -> Object:
    """Sessions, newest first; those of a customer, a payment intent or a subscription."""
    names = ("customer", "payment_intent", "status", "subscription")
    wanted = {name: params[name] for name in names if params.get(name)}
    return page_of(list(account.all("checkout.session", **wanted))[::-1], params, "/v1/checkout/sessions")


def open_session(account: Account, id: str) -> Object:
    """The session that a customer may pay now. Raises StripeError for one that is over."""
    session = account.find("checkout.session", id, in_path=True)
    if session["status"] != "open":
        raise invalid(f"This Checkout Session is {session['status']}.")
    return session


INCLUDABLE["checkout.session", "line_items"] = lambda account, session: list_of(
    line_rows(account, session), f"/v1/checkout/sessions/{session['id']}/line_items"
)
OPERATIONS = [
    Operation("POST", "/v1/checkout/sessions", create_session, SHAPE),
    Operation(
        "GET",
        "/v1/checkout/sessions",
        list_sessions,
        {
            **PAGING,
            "created": TIMES,
            "customer": str,
            "payment_intent": str,
            "status": choice("complete", "expired", "open"),
            "subscription": str,
        },
    ),
    retrieval("checkout.session", "/v1/checkout/sessions"),
    Operation("POST", "/v1/checkout/sessions/{id}", update_session, {"metadata": MAP}),
    Operation("POST", "/v1/checkout/sessions/{id}/expire", expire_session),
    Operation("GET", "/v1/checkout/sessions/{id}/line_items", list_line_items, PAGING),
]
