"""Products and prices."""

from __future__ import annotations

import re
from typing import Any

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.form import MAP, choice
from infra.simulators.stripe.money import check_currency
from infra.simulators.stripe.operations import PAGING, TIMES, Operation, page_of, retrieval

INTERVALS = choice("day", "month", "week", "year")
RECURRING = {
    "interval": INTERVALS,
    "interval_count": int,
    "trial_period_days": int,
    "usage_type": choice("licensed", "metered"),
}
TAX_BEHAVIOR = choice("exclusive", "inclusive", "unspecified")
# A price given in the place of a price's id. `product_data` is known to some operations only.
PRICE_DATA: dict[str, Any] = {
    "currency": str,
    "product": str,
    "recurring": {"interval": INTERVALS, "interval_count": int},
    "tax_behavior": TAX_BEHAVIOR,
    "unit_amount": int,
    "unit_amount_decimal": str,
}
PRODUCT_DATA = {
    "description": str,
    "images": [str],
    "metadata": MAP,
    "name": str,
    "tax_code": str,
    "unit_label": str,
}
PRODUCT_FIELDS = {
    "active": bool,
    "description": str,
    "images": [str],
    "marketing_features": [{"name": str}],
    "metadata": MAP,
    "name": str,
    "shippable": bool,
    "statement_descriptor": str,
    "tax_code": str,
    "unit_label": str,
    "url": str,
}
PRICE_FIELDS = {
    "active": bool,
    "lookup_key": str,
    "metadata": MAP,
    "nickname": str,
    "tax_behavior": TAX_BEHAVIOR,
    "transfer_lookup_key": bool,
}
AMOUNT_MAX = 99_999_999


def create_product(account: Account, params: Object) -> Object:
    id = params.get("id") or account.new_id("prod", 14)
    require(id not in account.objects, f"Product already exists: {id}", "id", "resource_already_exists")
    product = account.create("product", id)
    assign(product, params, *PRODUCT_FIELDS)
    product["updated"] = product["created"]
    account.emit("product.created", product)
    given = params.get("default_price_data")
    if given:
        price = create_price(account, {**given, "product": id})
        with account.changing(product, "product.updated"):
            product["default_price"] = price["id"]
    return product


def update_product(account: Account, params: Object, id: str) -> Object:
    product = account.find("product", id, in_path=True)
    with account.changing(product, "product.updated"):
        assign(product, params, *PRODUCT_FIELDS)
        if params.get("default_price"):
            price = account.find("price", params["default_price"], "default_price")
            require(price["product"] == id, "The price does not belong to this product.", "default_price")
            product["default_price"] = price["id"]
        product["updated"] = account.now()
    return product


def delete_product(account: Account, params: Object, id: str) -> Object:
    product = account.find("product", id, in_path=True)
    text = "This product cannot be deleted because it has one or more user-created prices."
    require(not any(account.all("price", product=id)), text, "id")
    account.emit("product.deleted", product)
    return account.delete(product)


def create_price(account: Account, params: Object) -> Object:
    """A price of a product, or of a new one (`product_data`). A lookup key names one price at a time."""
    product = params.get("product")
    if params.get("product_data"):
        product = create_product(account, params["product_data"])["id"]
    account.find("product", product, "product")
    amount, decimal = _amount(params)
    price = account.create(
        "price",
        account.new_id("price"),
        currency=check_currency(params["currency"]),
        product=product,
        unit_amount=amount,
        unit_amount_decimal=decimal,
    )
    recurring = params.get("recurring")
    if recurring:
        price["type"] = "recurring"
        price["recurring"] = {
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count") or 1,
            "meter": None,
            "trial_period_days": recurring.get("trial_period_days"),
            "usage_type": recurring.get("usage_type") or "licensed",
        }
    price["transform_quantity"] = params.get("transform_quantity")
    _set_lookup_key(account, price, params)
    assign(price, params, "active", "metadata", "nickname", "tax_behavior")
    account.emit("price.created", price)
    return price


def _amount(params: Object) -> tuple[int | None, str]:
    amount, decimal = params.get("unit_amount"), params.get("unit_amount_decimal")
    require(
        (amount is None) != (decimal is None), "You must pass either unit_amount or unit_amount_decimal", "unit_amount"
    )
    if decimal is not None:
        valid = re.fullmatch(r"\d{1,12}(\.\d{1,12})?", decimal, re.ASCII)
        require(valid, f"Invalid decimal: {decimal}", "unit_amount_decimal")
        whole, _, part = decimal.partition(".")
        return (None if part.strip("0") else int(whole)), decimal
    require(0 <= amount <= AMOUNT_MAX, f"Invalid integer: {amount}", "unit_amount")
    return amount, str(amount)


def update_price(account: Account, params: Object, id: str) -> Object:
    price = account.find("price", id, in_path=True)
    with account.changing(price, "price.updated"):
        _set_lookup_key(account, price, params)
        assign(price, params, "active", "metadata", "nickname", "tax_behavior")
    return price


def _set_lookup_key(account: Account, price: Object, params: Object) -> None:
    key = params.get("lookup_key")
    if key is None:
        if "lookup_key" in params:
            price["lookup_key"] = None
        return
    for other in account.all("price", lookup_key=key):
        if other is price:
            continue
        text = (
            f"A price (`{other['id']}`) already uses that lookup key. To transfer the lookup key, set "
            "`transfer_lookup_key=true`."
        )
        require(params.get("transfer_lookup_key"), text, "lookup_key", "resource_already_exists")
        with account.changing(other, "price.updated"):
            other["lookup_key"] = None
    price["lookup_key"] = key


def list_prices(account: Account, params: Object) -> Object:
    """Prices, newest first; `lookup_keys` finds up to ten of them by their keys."""
    keys, recurring = params.get("lookup_keys"), params.get("recurring") or {}
    require(keys is None or len(keys) <= 10, "You can provide at most 10 lookup_keys.", "lookup_keys")
    plain = {name: params[name] for name in ("active", "currency", "product", "type") if params.get(name) is not None}
    found = [
        price
        for price in account.all("price", **plain)
        if (keys is None or price["lookup_key"] in keys)
        and all((price["recurring"] or {}).get(name) == value for name, value in recurring.items())
    ]
    return page_of(found[::-1], params, "/v1/prices")


def list_products(account: Account, params: Object) -> Object:
    ids = params.get("ids")
    plain = {name: params[name] for name in ("active", "shippable", "url") if params.get(name) is not None}
    found = [product for product in account.all("product", **plain) if ids is None or product["id"] in ids]
    return page_of(found[::-1], params, "/v1/products")


def price_from(account: Account, item: Object, param: str) -> Object:
    """The price that an item names, or the one that it describes in `price_data`."""
    if item.get("price"):
        price = account.find("price", item["price"], f"{param}[price]")
        text = f"The price specified is inactive. This field only accepts active prices: {price['id']}"
        require(price["active"], text, f"{param}[price]")
        return price
    require(item.get("price_data"), "You must specify either `price` or `price_data`.", param, "parameter_missing")
    given = item["price_data"]
    require(given.get("currency"), f"Missing required param: {param}[price_data][currency].", code="parameter_missing")
    price = create_price(account, given)
    price["active"] = False
    return price


PRICE_CREATION = {
    **PRICE_FIELDS,
    "billing_scheme": choice("per_unit"),
    "currency": str,
    "product": str,
    "product_data": {"active": bool, "id": str, "metadata": MAP, "name": str, "statement_descriptor": str},
    "recurring": RECURRING,
    "transform_quantity": {"divide_by": int, "round": choice("down", "up")},
    "unit_amount": int,
    "unit_amount_decimal": str,
}
DEFAULT_PRICE = {**{name: PRICE_DATA[name] for name in PRICE_DATA if name != "product"}, "metadata": MAP}
OPERATIONS = [
    Operation(
        "POST",
        "/v1/products",
        create_product,
        {**PRODUCT_FIELDS, "id": str, "default_price_data": DEFAULT_PRICE, "type": choice("good", "service")},
        ("name",),
    ),
    Operation(
        "GET",
        "/v1/products",
        list_products,
        {**PAGING, "active": bool, "created": TIMES, "ids": [str], "shippable": bool, "url": str},
    ),
    retrieval("product", "/v1/products"),
    Operation("POST", "/v1/products/{id}", update_product, {**PRODUCT_FIELDS, "default_price": str}),
    Operation("DELETE", "/v1/products/{id}", delete_product),
    Operation("POST", "/v1/prices", create_price, PRICE_CREATION, ("currency",)),
    Operation(
        "GET",
        "/v1/prices",
        list_prices,
        {
            **PAGING,
            "active": bool,
            "created": TIMES,
            "currency": str,
            "lookup_keys": [str],
            "product": str,
            "recurring": {"interval": INTERVALS, "usage_type": choice("licensed", "metered")},
            "type": choice("one_time", "recurring"),
        },
    ),
    retrieval("price", "/v1/prices"),
    Operation("POST", "/v1/prices/{id}", update_price, PRICE_FIELDS),
]
