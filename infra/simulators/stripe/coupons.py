"""Coupons, promotion codes, and the discounts that they become for a customer, a subscription or a checkout."""

from __future__ import annotations

from typing import Any

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.errors import invalid
from infra.simulators.stripe.expansion import INCLUDABLE
from infra.simulators.stripe.form import MAP, choice
from infra.simulators.stripe.money import check_currency, format_amount, round_half_up, share_out
from infra.simulators.stripe.operations import TIMES, Operation, listing, retrieval
from infra.simulators.stripe.periods import add_intervals

DISCOUNTS = [{"coupon": str, "discount": str, "promotion_code": str}]
RESTRICTIONS = {"first_time_transaction": bool, "minimum_amount": int, "minimum_amount_currency": str}


def create_coupon(account: Account, params: Object) -> Object:
    percent, amount = params.get("percent_off"), params.get("amount_off")
    require((percent is None) != (amount is None), "Must provide percent_off or amount_off", "percent_off")
    require(
        percent is None or 0 < percent <= 100,
        "Invalid percent_off: must be greater than 0 and at most 100",
        "percent_off",
    )
    require(
        amount is None or (amount > 0 and params.get("currency")),
        "You must pass currency when passing amount_off",
        "currency",
    )
    duration = params.get("duration") or "once"
    months = params.get("duration_in_months")
    require(
        (duration == "repeating") == (months is not None),
        "duration_in_months goes with the duration `repeating`",
        "duration_in_months",
    )
    id = params.get("id") or account.new_id("co", 8).removeprefix("co_")
    require(id not in account.objects, "Coupon already exists.", "id", "resource_already_exists")
    coupon = account.create(
        "coupon", id, amount_off=amount, percent_off=percent, duration=duration, duration_in_months=months
    )
    coupon["currency"] = check_currency(params["currency"]) if amount else None
    assign(coupon, params, "max_redemptions", "metadata", "name", "redeem_by")
    account.note(id)["products"] = (params.get("applies_to") or {}).get("products")
    account.emit("coupon.created", coupon)
    return coupon


def update_coupon(account: Account, params: Object, id: str) -> Object:
    coupon = account.find("coupon", id, in_path=True)
    with account.changing(coupon, "coupon.updated"):
        assign(coupon, params, "metadata", "name")
    return coupon


def delete_coupon(account: Account, params: Object, id: str) -> Object:
    coupon = account.find("coupon", id, in_path=True)
    account.emit("coupon.deleted", coupon)
    return account.delete(coupon)


def create_promotion_code(account: Account, params: Object) -> Object:
    promotion = params["promotion"]
    require(
        promotion.get("coupon"), "Missing required param: promotion[coupon].", "promotion[coupon]", "parameter_missing"
    )
    coupon = account.find("coupon", promotion["coupon"], "promotion[coupon]")
    code = params.get("code") or account.new_id("x", 8)[2:].upper()
    taken = any(each["code"].lower() == code.lower() and each["active"] for each in account.all("promotion_code"))
    require(
        not taken,
        "An active promotion code with `code: " + code + "` already exists.",
        "code",
        "resource_already_exists",
    )
    made = account.create("promotion_code", account.new_id("promo"), code=code)
    made["promotion"] = {"coupon": coupon["id"], "type": "coupon"}
    if params.get("customer"):
        made["customer"] = account.find("customer", params["customer"], "customer")["id"]
    assign(made, params, "active", "expires_at", "max_redemptions", "metadata")
    made["restrictions"] = {**made["restrictions"], **(params.get("restrictions") or {})}
    account.emit("promotion_code.created", made)
    return made


def update_promotion_code(account: Account, params: Object, id: str) -> Object:
    code = account.find("promotion_code", id, in_path=True)
    with account.changing(code, "promotion_code.updated"):
        assign(code, params, "active", "metadata")
    return code


def find_code(account: Account, text: str) -> Object:
    """The active promotion code that a customer typed. Raises StripeError."""
    for code in account.all("promotion_code", active=True):
        if code["code"].lower() == text.strip().lower():
            return code
    raise invalid("This code is invalid.", "promotion_code")


def coupon_of(
    account: Account, given: Object, customer: str | None, amount: int | None = None
) -> tuple[Object, str | None]:
    """The coupon that a discount parameter names, and the promotion code. Raises StripeError for one that is not valid
    now, or not for this customer or amount."""
    code = None
    if given.get("promotion_code"):
        code = account.find("promotion_code", given["promotion_code"], "discounts")
        require(code["active"], "This promotion code is inactive.", "discounts")
        _check_code(account, code, customer, amount)
    elif not given.get("coupon"):
        raise invalid("You must specify a coupon or promotion_code.", "discounts")
    coupon = account.find("coupon", code["promotion"]["coupon"] if code else given["coupon"], "coupon")
    expired = coupon["redeem_by"] is not None and coupon["redeem_by"] <= account.time
    require(
        coupon["valid"] and not expired,
        f"Coupon {coupon['id']} is expired or no longer valid.",
        "coupon",
        "coupon_expired",
    )
    return coupon, code["id"] if code else None


def _check_code(account: Account, code: Object, customer: str | None, amount: int | None) -> None:
    limits = code["restrictions"]
    require(
        code["expires_at"] is None or code["expires_at"] > account.time, "This promotion code is expired.", "discounts"
    )
    used_up = code["max_redemptions"] is not None and code["times_redeemed"] >= code["max_redemptions"]
    require(not used_up, "This promotion code has been used too often.", "discounts")
    require(
        code["customer"] in (None, customer), "This promotion code cannot be redeemed by this customer.", "discounts"
    )
    if limits["first_time_transaction"] and customer:
        bought = any(charge["paid"] for charge in account.all("charge", customer=customer))
        require(
            not bought,
            "This promotion code cannot be redeemed because the associated customer has prior transactions.",
            "discounts",
        )
    least = limits["minimum_amount"]
    if least is not None and amount is not None:
        text = f"This code applies to orders of at least {format_amount(least, limits['minimum_amount_currency'])}."
        require(amount >= least, text, "discounts")


def create_discount(account: Account, given: Object, customer: Object, **belongs: Any) -> Object:
    """Redeem a coupon for a customer; `belongs` names the subscription, checkout or invoice that it is for."""
    if given.get("discount"):
        return account.objects[given["discount"]]
    coupon, code = coupon_of(account, given, customer["id"])
    start = account.now(customer["test_clock"])
    end = None
    if coupon["duration"] == "repeating":
        end = add_intervals(start, "month", coupon["duration_in_months"])
    discount = account.create(
        "discount",
        account.new_id("di"),
        customer=customer["id"],
        promotion_code=code,
        source={"coupon": coupon["id"], "type": "coupon"},
        start=start,
        end=end,
        **belongs,
    )
    coupon["times_redeemed"] += 1
    if coupon["max_redemptions"] is not None and coupon["times_redeemed"] >= coupon["max_redemptions"]:
        coupon["valid"] = False
    if code:
        account.objects[code]["times_redeemed"] += 1
    account.emit("customer.discount.created", discount)
    return discount


def discount_shares(account: Account, coupon: Object, amounts: list[int], products: list[str | None]) -> list[int]:
    """What a coupon takes off each of these amounts; it may be for some products only."""
    only = account.note(coupon["id"]).get("products")
    counted = [
        amount if amount > 0 and (only is None or product in only) else 0
        for amount, product in zip(amounts, products, strict=True)
    ]
    if coupon["percent_off"] is not None:
        parts = round(coupon["percent_off"] * 100)
        return [round_half_up(amount * parts, 10_000) for amount in counted]
    return share_out(min(coupon["amount_off"], sum(counted)), counted)


def _applies_to(account: Account, coupon: Object) -> Object:
    return {"products": account.note(coupon["id"]).get("products") or []}


INCLUDABLE["coupon", "applies_to"] = _applies_to
OPERATIONS = [
    Operation(
        "POST",
        "/v1/coupons",
        create_coupon,
        {
            "amount_off": int,
            "applies_to": {"products": [str]},
            "currency": str,
            "duration": choice("forever", "once", "repeating"),
            "duration_in_months": int,
            "id": str,
            "max_redemptions": int,
            "metadata": MAP,
            "name": str,
            "percent_off": float,
            "redeem_by": int,
        },
    ),
    listing("coupon", "/v1/coupons", created=TIMES),
    retrieval("coupon", "/v1/coupons"),
    Operation("POST", "/v1/coupons/{id}", update_coupon, {"metadata": MAP, "name": str}),
    Operation("DELETE", "/v1/coupons/{id}", delete_coupon),
    Operation(
        "POST",
        "/v1/promotion_codes",
        create_promotion_code,
        {
            "active": bool,
            "code": str,
            "customer": str,
            "expires_at": int,
            "max_redemptions": int,
            "metadata": MAP,
            "promotion": {"coupon": str, "type": choice("coupon")},
            "restrictions": RESTRICTIONS,
        },
        ("promotion",),
    ),
    listing("promotion_code", "/v1/promotion_codes", active=bool, code=str, created=TIMES, customer=str),
    retrieval("promotion_code", "/v1/promotion_codes"),
    Operation("POST", "/v1/promotion_codes/{id}", update_promotion_code, {"active": bool, "metadata": MAP}),
]
