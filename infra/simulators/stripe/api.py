"""All operations of the API that the simulator knows, with the pattern of each path."""

from __future__ import annotations

import re
from importlib import import_module

from infra.simulators.stripe.operations import Operation

MODULES = (
    "customers",
    "catalog",
    "coupons",
    "payment_methods",
    "payments",
    "charges",
    "refunds",
    "balance",
    "disputes",
    "invoice_operations",
    "previews",
    "setups",
    "subscription_changes",
    "pausing",
    "clocks",
    "subscription_schedules",
    "checkout",
    "paying",
    "portal",
    "webhook_endpoints",
    "search",
)
# Modules that only add to what others do: they are imported for that.
ADDITIONS = ("renewals", "paying_later")


def operations() -> list[tuple[str, Operation]]:
    """Each operation with the regular expression of its path; fixed paths come before those with a variable part."""
    for name in ADDITIONS:
        import_module(f"infra.simulators.stripe.{name}")
    found: list[Operation] = []
    for name in MODULES:
        found += import_module(f"infra.simulators.stripe.{name}").OPERATIONS
    found.sort(key=lambda operation: operation.path.count("{"))
    return [(re.sub(r"\{\w+\}", r"([^/]+)", operation.path), operation) for operation in found]
