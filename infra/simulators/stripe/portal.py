"""The billing portal: configurations, sessions, and what a customer does there."""

from __future__ import annotations

import copy
from typing import Any

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.form import MAP, choice
from infra.simulators.stripe.operations import Operation, listing, retrieval
from infra.simulators.stripe.subscription_changes import update_subscription
from infra.simulators.stripe.subscriptions import OVER, cancel_subscription

UPDATES = choice("address", "email", "name", "phone", "shipping", "tax_id")
PRORATION = choice("always_invoice", "create_prorations", "none")
REASONS = choice(
    "customer_service",
    "low_quality",
    "missing_features",
    "other",
    "switched_service",
    "too_complex",
    "too_expensive",
    "unused",
)
FEATURES: dict[str, Any] = {
    "customer_update": {"allowed_updates": [UPDATES], "enabled": bool},
    "invoice_history": {"enabled": bool},
    "payment_method_update": {"enabled": bool},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": bool, "options": [REASONS]},
        "enabled": bool,
        "mode": choice("at_period_end", "immediately"),
        "proration_behavior": PRORATION,
    },
    "subscription_update": {
        "default_allowed_updates": [choice("price", "promotion_code", "quantity")],
        "enabled": bool,
        "products": [{"prices": [str], "product": str}],
        "proration_behavior": PRORATION,
    },
}
CONFIGURATION: dict[str, Any] = {
    "business_profile": {"headline": str, "privacy_policy_url": str, "terms_of_service_url": str},
    "default_return_url": str,
    "features": FEATURES,
    "metadata": MAP,
    "name": str,
}
DEFAULT_FEATURES: Object = {
    "customer_update": {"allowed_updates": ["email", "tax_id"], "enabled": True},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "feedback_options": None, "options": []},
        "enabled": True,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "products": None,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}


def create_configuration(account: Account, params: Object) -> Object:
    first = not any(account.all("billing_portal.configuration", is_default=True))
    made = account.create("billing_portal.configuration", account.new_id("bpc"), is_default=first)
    made.update(features=copy.deepcopy(DEFAULT_FEATURES), updated=made["created"])
    for feature in made["features"].values():
        feature["enabled"] = False
    _set(account, made, params)
    account.emit("billing_portal.configuration.created", made)
    return made


def _set(account: Account, configuration: Object, params: Object) -> None:
    assign(configuration, params, "active", "default_return_url", "metadata", "name")
    configuration["business_profile"].update(params.get("business_profile") or {})
    for name, given in (params.get("features") or {}).items():
        for product in given.get("products") or []:
            product["adjustable_quantity"] = {"enabled": False, "maximum": None, "minimum": 1}
            for price in product["prices"]:
                account.find("price", price, f"features[{name}][products]")
        configuration["features"][name].update(given)


def update_configuration(account: Account, params: Object, id: str) -> Object:
    configuration = account.find("billing_portal.configuration", id, in_path=True)
    with account.changing(configuration, "billing_portal.configuration.updated"):
        _set(account, configuration, params)
        configuration["updated"] = account.now()
    return configuration


def _default_configuration(account: Account) -> Object:
    for configuration in account.all("billing_portal.configuration", is_default=True):
        return configuration
    made = account.create("billing_portal.configuration", account.new_id("bpc"), is_default=True)
    made.update(features=copy.deepcopy(DEFAULT_FEATURES), updated=made["created"])
    return made


def create_portal_session(account: Account, params: Object) -> Object:
    customer = account.find("customer", params["customer"], "customer")
    if params.get("configuration"):
        configuration = account.find("billing_portal.configuration", params["configuration"], "configuration")
    else:
        configuration = _default_configuration(account)
    id = account.new_id("bps")
    session = account.create("billing_portal.session", id, customer["test_clock"], customer=customer["id"])
    session.update(
        configuration=configuration["id"],
        locale=params.get("locale"),
        return_url=params.get("return_url") or configuration["default_return_url"],
        url=f"{account.url}/p/session/{id}",
    )
    account.emit("billing_portal.session.created", session)
    return session


def features_of(account: Account, session: Object) -> Object:
    """What a session's configuration lets its customer do."""
    return account.objects[session["configuration"]]["features"]


def running_subscriptions(account: Account, session: Object) -> list[Object]:
    return [each for each in account.all("subscription", customer=session["customer"]) if each["status"] not in OVER]


def cancel_in_portal(account: Account, session: Object, subscription: str, feedback: str | None) -> None:
    """Cancel as the configuration says: at once, or with the period."""
    feature = features_of(account, session)["subscription_cancel"]
    require(feature["enabled"], "Subscriptions cannot be canceled here.")
    details: Object = {"cancellation_details": {"feedback": feedback}} if feedback else {}
    if feature["mode"] == "immediately":
        prorates = feature["proration_behavior"] != "none"
        cancel_subscription(account, {"prorate": prorates, **details}, subscription)
    else:
        update_subscription(account, {"cancel_at_period_end": True, **details}, subscription)


def offered_prices(account: Account, session: Object) -> list[Object]:
    """The prices that a customer may change to."""
    feature = features_of(account, session)["subscription_update"]
    if not feature["enabled"]:
        return []
    return [account.objects[price] for product in feature["products"] or [] for price in product["prices"]]


def change_price_in_portal(account: Account, session: Object, subscription: Object, price: str) -> None:
    """Change to another price that the configuration offers. Raises StripeError when the payment fails."""
    offered = [each["id"] for each in offered_prices(account, session)]
    require(price in offered, "This price is not offered here.")
    behavior = features_of(account, session)["subscription_update"]["proration_behavior"]
    item = subscription["items"]["data"][0]["id"]
    changes = {"items": [{"id": item, "price": price}], "proration_behavior": behavior, "cancel_at_period_end": False}
    update_subscription(account, {**changes, "payment_behavior": "error_if_incomplete"}, subscription["id"])


OPERATIONS = [
    Operation(
        "POST",
        "/v1/billing_portal/sessions",
        create_portal_session,
        {"configuration": str, "customer": str, "locale": str, "return_url": str},
        ("customer",),
    ),
    Operation("POST", "/v1/billing_portal/configurations", create_configuration, CONFIGURATION, ("features",)),
    listing("billing_portal.configuration", "/v1/billing_portal/configurations", active=bool, is_default=bool),
    retrieval("billing_portal.configuration", "/v1/billing_portal/configurations"),
    Operation(
        "POST", "/v1/billing_portal/configurations/{id}", update_configuration, {**CONFIGURATION, "active": bool}
    ),
]
