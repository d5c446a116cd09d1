"""Lines of invoices: periods of subscriptions, prorations, and items that wait for the next invoice."""

from __future__ import annotations

import copy
from typing import Any

from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.billing_shapes import BILLING_SHAPES
from infra.simulators.stripe.coupons import discount_shares
from infra.simulators.stripe.money import format_amount, price_total, prorate
from infra.simulators.stripe.periods import format_day


def new_line(account: Account, **fields: Any) -> Object:
    """A line; `subtotal` is its amount."""
    line = {"id": account.new_id("il"), "object": "line_item", **copy.deepcopy(BILLING_SHAPES["line_item"]), **fields}
    line["subtotal"], line["quantity_decimal"] = line["amount"], str(line["quantity"])
    return line


def product_name(account: Account, price: Object) -> str:
    return account.objects[price["product"]].get("name") or price["product"]


def _pricing(price: Object) -> Object:
    details = {"price": price["id"], "product": price["product"]}
    return {"price_details": details, "type": "price_details", "unit_amount_decimal": price["unit_amount_decimal"]}


def item_line(
    account: Account, subscription: Object, item: Object, start: int, end: int, amount: int | None = None
) -> Object:
    """The line for a period of a subscription's item; `amount` where it is not the full price."""
    price, quantity = item["price"], item["quantity"]
    interval, count = price["recurring"]["interval"], price["recurring"]["interval_count"]
    each = format_amount(price["unit_amount"] or 0, price["currency"])
    every = interval if count == 1 else f"{count} {interval}s"
    in_trial = subscription["trial_end"] is not None and end <= subscription["trial_end"]
    name = product_name(account, price)
    return new_line(
        account,
        amount=(0 if in_trial else price_total(price, quantity)) if amount is None else amount,
        currency=price["currency"],
        description=f"Trial period for {name}" if in_trial else f"{quantity} × {name} (at {each} / {every})",
        metadata=dict(subscription["metadata"]),
        parent=_subscription_parent(subscription["id"], item["id"], is_proration=False),
        period={"start": start, "end": end},
        pricing=_pricing(price),
        quantity=quantity,
        subscription=subscription["id"],
    )


def _subscription_parent(
    subscription: str, item: str, *, is_proration: bool, invoice_item: str | None = None
) -> Object:
    return {
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": invoice_item,
            "proration": is_proration,
            "proration_details": {"credited_items": None},
            "subscription": subscription,
            "subscription_item": item,
        },
        "type": "subscription_item_details",
    }


def line_of(account: Account, invoice_item: Object) -> Object:
    """The line that an invoice item becomes on an invoice."""
    details = (invoice_item["parent"] or {}).get("subscription_details")
    parent: Object
    if details and details.get("subscription_item"):
        parent = _subscription_parent(
            details["subscription"],
            details["subscription_item"],
            is_proration=invoice_item["proration"],
            invoice_item=invoice_item["id"],
        )
    else:
        parent = {
            "invoice_item_details": {
                "invoice_item": invoice_item["id"],
                "proration": invoice_item["proration"],
                "proration_details": {"credited_items": None},
                "subscription": details["subscription"] if details else None,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        }
    names = ("amount", "currency", "description", "discountable", "metadata", "period", "pricing", "quantity")
    subscription = details["subscription"] if details else None
    return new_line(account, parent=parent, subscription=subscription, **{name: invoice_item[name] for name in names})


def new_invoice_item(account: Account, customer: Object, **fields: Any) -> Object:
    """An item that waits for the customer's next invoice."""
    clock = customer["test_clock"]
    now = account.now(clock)
    item = account.create("invoiceitem", account.new_id("ii"), clock, customer=customer["id"], test_clock=clock)
    item.update({"date": now, "period": {"start": now, "end": now}, **fields})
    item["net_amount"], item["quantity_decimal"] = item["amount"], str(item["quantity"])
    account.emit("invoiceitem.created", item)
    return item


def pending_items(account: Account, customer: str, subscription: str | None = None) -> list[Object]:
    """What waits for the next invoice of a subscription; items that name none go onto any invoice of the customer."""
    found: list[Object] = []
    for item in account.all("invoiceitem", customer=customer, invoice=None):
        details = (item["parent"] or {}).get("subscription_details") or {}
        if details.get("subscription") in (None, subscription):
            found.append(item)
    return found


# ---- prorations ------------------------------------------------------------------------------------------------------


def prorated_total(account: Account, subscription: Object, item: Object) -> int:
    """What an item costs a period, less the percentages that the subscription's coupons take off."""
    total = price_total(item["price"], item["quantity"])
    for id in subscription["discounts"]:
        coupon = account.objects[account.objects[id]["source"]["coupon"]]
        if coupon.get("percent_off") is not None:
            (share,) = discount_shares(account, coupon, [total], [item["price"]["product"]])
            total -= share
    return total


def proration(account: Account, subscription: Object, item: Object, moment: int, sign: int) -> Object:
    """An invoice item for the rest of the current period after the moment: a credit for unused time (sign -1), or the
    price of the remaining time (sign 1)."""
    start, end = item["current_period_start"], item["current_period_end"]
    amount = sign * prorate(prorated_total(account, subscription, item), max(end - moment, 0), end - start)
    quantity = f"{item['quantity']} × " if item["quantity"] != 1 else ""
    what = "Unused time on" if sign < 0 else "Remaining time on"
    return new_invoice_item(
        account,
        account.objects[subscription["customer"]],
        amount=amount,
        currency=subscription["currency"],
        description=f"{what} {quantity}{product_name(account, item['price'])} after {format_day(moment)}",
        discountable=False,
        metadata=dict(subscription["metadata"]),
        parent={
            "subscription_details": {"subscription": subscription["id"], "subscription_item": item["id"]},
            "type": "subscription_details",
        },
        period={"start": moment, "end": end},
        pricing=_pricing(item["price"]),
        proration=True,
        quantity=item["quantity"],
    )


def prorate_change(
    account: Account, subscription: Object, before: list[Object], after: list[Object], moment: int
) -> None:
    """Credits for what is given up, and charges for what comes instead, for the rest of the period."""
    earlier, later = ({item["id"]: item for item in items} for items in (before, after))
    for id in {**earlier, **later}:
        old, new = earlier.get(id), later.get(id)
        if old and new and (old["price"]["id"], old["quantity"]) == (new["price"]["id"], new["quantity"]):
            continue
        for item, sign in ((old, -1), (new, 1)):
            ends = before[0]["current_period_end"]
            if item and moment < ends and prorated_total(account, subscription, item):
                proration(account, subscription, item, moment, sign)
