"""Currencies: how many digits of an amount are after the decimal point, by ISO 4217 code in lower case."""

from __future__ import annotations

_DIGITS = {
    0: "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf",
    2: "aed ars aud bgn brl cad chf cny cop czk dkk egp eur gbp hkd huf idr ils inr mad mxn myr ngn nok nzd pen php "
    "pln qar ron sar sek sgd thb try twd uah usd zar",
    3: "bhd jod kwd omr tnd",
}
DIGITS = {currency: digits for digits, currencies in _DIGITS.items() for currency in currencies.split()}


def is_payable(amount_minor: int, currency: str) -> bool:
    """Whether cards can be charged this amount: with three digits after the point, the last one must be 0."""
    return DIGITS[currency] < 3 or amount_minor % 10 == 0


def format_money(amount_minor: int, currency: str) -> str:
    """An amount with its currency, for example `29.00 USD` or `2900 JPY`."""
    digits = DIGITS[currency]
    whole, part = divmod(abs(amount_minor), 10**digits)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole}{f'.{part:0{digits}d}' if digits else ''} {currency.upper()}"
