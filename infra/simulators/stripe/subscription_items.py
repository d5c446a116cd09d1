"""The items of a subscription: a price and a quantity each, and the period that they are paid for."""

from __future__ import annotations

from typing import Any

from infra.simulators.stripe.account import Account, Object, merge_metadata, require
from infra.simulators.stripe.billing_shapes import BILLING_SHAPES
from infra.simulators.stripe.catalog import PRICE_DATA, price_from
from infra.simulators.stripe.coupons import DISCOUNTS
from infra.simulators.stripe.errors import missing
from infra.simulators.stripe.form import MAP, choice

ITEMS_MAX = 20
TRIAL_SETTINGS = {"end_behavior": {"missing_payment_method": choice("cancel", "create_invoice", "pause")}}
NEW_ITEM: dict[str, Any] = {
    "discounts": DISCOUNTS,
    "metadata": MAP,
    "price": str,
    "price_data": PRICE_DATA,
    "quantity": int,
    "tax_rates": [str],
}
CHANGED_ITEM: dict[str, Any] = {**NEW_ITEM, "clear_usage": bool, "deleted": bool, "id": str}


def plan_of(price: Object) -> Object:
    """A recurring price in the older form, which items still show."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": dict(price["metadata"]),
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": recurring["usage_type"],
    }


def new_item(account: Account, subscription: str, given: Object, index: int, clock: str | None) -> Object:
    """An item of a subscription, without its period."""
    price = price_from(account, given, f"items[{index}]")
    text = "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`."
    require(price["recurring"], text, f"items[{index}][price]")
    quantity = 1 if given.get("quantity") is None else given["quantity"]
    require(quantity >= 0, "Invalid non-negative integer", f"items[{index}][quantity]")
    return {
        "id": account.new_id("si", 14),
        "object": "subscription_item",
        **BILLING_SHAPES["subscription_item"],
        "created": account.now(clock),
        "discounts": [],
        "metadata": dict(given.get("metadata") or {}),
        "plan": plan_of(price),
        "price": dict(price),
        "quantity": quantity,
        "subscription": subscription,
        "tax_rates": [],
    }


def items_after(account: Account, subscription: Object, changes: list[Object]) -> list[Object]:
    """The items that a subscription has after these changes: by `id` changed or deleted, without one added."""
    items = [dict(item) for item in subscription["items"]["data"]]
    for index, change in enumerate(changes):
        if change.get("id"):
            item = next((each for each in items if each["id"] == change["id"]), None)
            if item is None:
                raise missing("subscription_item", change["id"], f"items[{index}][id]")
            if change.get("deleted"):
                items.remove(item)
                continue
            _change(account, item, change, index)
            continue
        price = change.get("price")
        text = f"Cannot add multiple subscription items with the same plan: {price}"
        require(not price or all(each["price"]["id"] != price for each in items), text, "items")
        items.append(new_item(account, subscription["id"], change, index, subscription["test_clock"]))
    check_items(items)
    return items


def _change(account: Account, item: Object, change: Object, index: int) -> None:
    if change.get("price") or change.get("price_data"):
        fresh = new_item(account, item["subscription"], change, index, None)
        item["price"], item["plan"] = fresh["price"], fresh["plan"]
    if change.get("quantity") is not None:
        require(change["quantity"] >= 0, "Invalid non-negative integer", f"items[{index}][quantity]")
        item["quantity"] = change["quantity"]
    if "metadata" in change:
        item["metadata"] = dict(item["metadata"])
        merge_metadata(item, change["metadata"])


def check_items(items: list[Object]) -> None:
    """Raises StripeError for items that one subscription cannot have together."""
    require(items, "A subscription must have at least one active plan.", "items")
    require(len(items) <= ITEMS_MAX, f"A subscription can have at most {ITEMS_MAX} items.", "items")
    intervals = {interval_of(item) for item in items}
    text = "All prices on a subscription must have the same `recurring.interval` and `recurring.interval_count`."
    require(len(intervals) == 1, text, "items")
    currencies = {item["price"]["currency"] for item in items}
    require(len(currencies) == 1, "All prices on a subscription must have the same currency.", "items")


def interval_of(item: Object) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def set_period(subscription: Object, start: int, end: int) -> None:
    """The period that all items are paid for."""
    for item in subscription["items"]["data"]:
        item["current_period_start"], item["current_period_end"] = start, end


def period_of(subscription: Object) -> tuple[int, int]:
    """Start and end of the current period."""
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]
