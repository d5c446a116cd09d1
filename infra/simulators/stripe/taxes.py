"""Automatic tax: value added tax by the country of an address. The figures are for trying things out."""

from __future__ import annotations

from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.money import round_half_up

# Country → percent.
VALUE_ADDED_TAX = {"AT": 20, "BE": 21, "DE": 19, "ES": 21, "FR": 20, "GB": 20, "IE": 23, "IT": 22, "JP": 10, "NL": 21}


def tax_percent(account: Account, obj: Object) -> int:
    """The percent for the address of a customer, or of the customer that a checkout or an invoice names."""
    details = obj.get("customer_details") or {}
    address = details.get("address") or obj.get("customer_address") or obj.get("address")
    if not address and obj.get("customer"):
        address = account.objects[obj["customer"]].get("address")
    return VALUE_ADDED_TAX.get((address or {}).get("country") or "", 0)


def tax_of(amount: int, percent: int, behavior: str) -> tuple[int, int]:
    """The tax in, or on, an amount, and what it adds to the amount: nothing where the price includes it."""
    if behavior == "inclusive":
        return round_half_up(amount * percent, 100 + percent), 0
    tax = round_half_up(amount * percent, 100)
    return tax, tax
