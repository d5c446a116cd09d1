"""Amounts in the smallest unit of their currency: how they are written, rounded and charged for."""

from __future__ import annotations

from typing import Any

from infra.simulators.stripe.errors import StripeError
from infra.simulators.stripe.shapes import names_of

# Currencies whose smallest unit is the unit itself.
ZERO_DECIMAL = frozenset(names_of("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"))
TWO_DECIMAL = names_of("aud brl cad chf czk dkk eur gbp hkd huf inr mxn myr nok nzd pln sek sgd usd")
KNOWN = ZERO_DECIMAL | frozenset(TWO_DECIMAL)
SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}
# The least that a card is charged.
CHARGE_MINIMUM = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50}
# What Stripe keeps of a payment: parts of ten thousand, and a fixed part in the smallest unit of the currency.
FEE_PER_TEN_THOUSAND = 290
FEE_FIXED = {"usd": 30, "eur": 25, "gbp": 20, "jpy": 0}
DISPUTE_FEE = {"usd": 1500, "eur": 1500, "gbp": 1500, "jpy": 1500}


def check_currency(currency: str) -> str:
    """The currency in lower case. Raises StripeError for one that is not known."""
    name = currency.lower()
    if name not in KNOWN:
        raise StripeError(400, f"Invalid currency: {currency}. Stripe currently supports these currencies: ...")
    return name


def digits_of(currency: str) -> int:
    """The number of decimal digits of a currency."""
    return 0 if currency in ZERO_DECIMAL else 2


def format_amount(amount: int, currency: str) -> str:
    """An amount for people: `$20.00`, `¥2,000`, `20.00 CHF`."""
    digits = digits_of(currency)
    whole, part = divmod(abs(amount), 10**digits)
    text = f"{whole:,}.{part:0{digits}d}" if digits else f"{whole:,}"
    sign = "-" if amount < 0 else ""
    return f"{sign}{SIGNS[currency]}{text}" if currency in SIGNS else f"{sign}{text} {currency.upper()}"


def round_half_up(numerator: int, denominator: int) -> int:
    """The nearest integer to a fraction; a half goes away from zero. The denominator is positive."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def prorate(amount: int, seconds: int, seconds_in_period: int) -> int:
    """The part of an amount for a period that falls on so many seconds of it."""
    return round_half_up(amount * seconds, seconds_in_period) if seconds_in_period > 0 else 0


def payment_fee(amount: int, currency: str) -> int:
    """Stripe's fee for a successful card payment."""
    return round_half_up(amount * FEE_PER_TEN_THOUSAND, 10_000) + FEE_FIXED.get(currency, 30)


def share_out(amount: int, weights: list[int]) -> list[int]:
    """Divide an amount in proportion to the weights; the parts sum up to it. Weights are not negative."""
    total, parts, given, seen = sum(weights), [], 0, 0
    for weight in weights:
        seen += weight
        upto = round_half_up(amount * seen, total) if total else 0
        parts.append(upto - given)
        given = upto
    return parts


def price_total(price: dict[str, Any], quantity: int) -> int:
    """What so many units of a price cost."""
    scale = price.get("transform_quantity")
    if scale:
        whole, rest = divmod(quantity, scale["divide_by"])
        quantity = whole + (1 if rest and scale["round"] == "up" else 0)
    return (price["unit_amount"] or 0) * quantity
