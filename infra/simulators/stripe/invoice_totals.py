"""What an invoice comes to: its lines, less discounts, plus taxes, and what the customer's balance leaves to pay."""

from __future__ import annotations

from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.coupons import discount_shares
from infra.simulators.stripe.money import CHARGE_MINIMUM
from infra.simulators.stripe.taxes import tax_of, tax_percent


def update_totals(account: Account, invoice: Object) -> None:
    """Compute all amounts of a draft from its lines."""
    lines: list[Object] = invoice["lines"]["data"]
    _discount(account, invoice, lines)
    added = _tax(account, invoice, lines)
    invoice["subtotal"] = sum(line["amount"] for line in lines)
    discounts = sum(each["amount"] for each in invoice["total_discount_amounts"])
    invoice["total"] = invoice["subtotal"] - discounts + added
    taxes = sum(each["amount"] for each in invoice["total_taxes"])
    invoice["total_excluding_tax"] = invoice["total"] - taxes
    invoice["subtotal_excluding_tax"] = invoice["subtotal"] - (taxes - added)
    balance = account.objects[invoice["customer"]].get("balance", 0)
    due, _ = apply_balance(invoice["total"], balance, invoice["currency"])
    invoice.update(starting_balance=balance, amount_due=due, amount_remaining=due)


def apply_balance(total: int, balance: int, currency: str) -> tuple[int, int]:
    """What is due of a total, and the customer's balance afterwards. Credit (a negative balance) is used up first; an
    amount that is too small for a charge is owed until the next invoice."""
    due = total + balance
    if due <= 0:
        return 0, due
    if due < CHARGE_MINIMUM.get(currency, 50):
        return 0, due
    return due, 0


def _discount(account: Account, invoice: Object, lines: list[Object]) -> None:
    left = [line["amount"] if line["discountable"] else 0 for line in lines]
    products = [((line["pricing"] or {}).get("price_details") or {}).get("product") for line in lines]
    for line in lines:
        line["discount_amounts"], line["pretax_credit_amounts"] = [], []
    invoice["total_discount_amounts"] = []
    for id in invoice["discounts"]:
        coupon = account.objects[account.objects[id]["source"]["coupon"]]
        if coupon.get("deleted"):
            continue
        shares = discount_shares(account, coupon, left, products)
        for index, (line, share) in enumerate(zip(lines, shares, strict=True)):
            left[index] -= share
            if share:
                line["discount_amounts"].append({"amount": share, "discount": id})
                line["pretax_credit_amounts"].append({"amount": share, "discount": id, "type": "discount"})
        invoice["total_discount_amounts"].append({"amount": sum(shares), "discount": id})
    invoice["total_pretax_credit_amounts"] = [
        {**each, "type": "discount"} for each in invoice["total_discount_amounts"] if each["amount"]
    ]


def _tax(account: Account, invoice: Object, lines: list[Object]) -> int:
    """Sets the taxes of all lines. Returns what they add to the total."""
    enabled = invoice["automatic_tax"]["enabled"]
    percent = tax_percent(account, invoice) if enabled else 0
    if enabled:
        invoice["automatic_tax"].update(status="complete", provider="stripe", liability={"type": "self"})
    sums = {"exclusive": [0, 0], "inclusive": [0, 0]}
    for line in lines:
        line["taxes"] = []
        price = ((line["pricing"] or {}).get("price_details") or {}).get("price")
        behavior = account.objects[price]["tax_behavior"] if price in account.objects else "unspecified"
        behavior = "exclusive" if behavior == "unspecified" else behavior
        base = line["amount"] - sum(each["amount"] for each in line["discount_amounts"])
        tax, added = tax_of(base, percent, behavior)
        if percent:
            line["taxes"] = [_tax_entry(tax, base - (tax - added), behavior)]
            sums[behavior][0] += tax
            sums[behavior][1] += base - (tax - added)
    invoice["total_taxes"] = [
        _tax_entry(tax, base, behavior) for behavior, (tax, base) in sums.items() if percent and base
    ]
    return sums["exclusive"][0]


def _tax_entry(amount: int, base: int, behavior: str) -> Object:
    return {
        "amount": amount,
        "tax_behavior": behavior,
        "tax_rate_details": {"tax_rate": "txr_simulator"},
        "taxability_reason": "standard_rated",
        "taxable_amount": base,
        "type": "tax_rate_details",
    }
