"""Entries of the merchant's balance: what payments, refunds and disputes leave of it after Stripe's fees."""

from __future__ import annotations

from typing import Any

from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.operations import TIMES, listing, retrieval
from infra.simulators.stripe.periods import DAY


def create_balance_transaction(
    account: Account, source: Object, type: str, amount: int, fee: int, **fields: Any
) -> Object:
    """An entry of the merchant's balance: the amount less the fee."""
    fees = [
        {
            "amount": fee,
            "application": None,
            "currency": source["currency"],
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    clock = account.clock_of(source)
    return account.create(
        "balance_transaction",
        account.new_id("txn"),
        clock,
        amount=amount,
        available_on=account.now(clock) + 2 * DAY,
        currency=source["currency"],
        fee=fee,
        fee_details=fees if fee else [],
        net=amount - fee,
        source=source["id"],
        type=type,
        **fields,
    )


OPERATIONS = [
    listing("balance_transaction", "/v1/balance_transactions", created=TIMES, currency=str, source=str, type=str),
    retrieval("balance_transaction", "/v1/balance_transactions"),
]
