"""atelier/billing/stripe_events: each type that matters has a file, and each file handles its type."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
import stripe

from atelier.billing.handle_event import handled_types

# What changes a plan, credits, or what is owed.
NEEDED = {
    "checkout.session": ("completed", "async_payment_succeeded", "async_payment_failed", "expired"),
    "customer.subscription": ("created", "updated", "deleted", "paused", "resumed", "trial_will_end"),
    "invoice": (
        "created",
        "finalized",
        "paid",
        "payment_failed",
        "payment_action_required",
        "voided",
        "marked_uncollectible",
    ),
    "invoice_payment": ("paid",),
    "charge": ("refunded",),
    "refund": ("created", "updated", "failed"),
    "charge.dispute": ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated"),
    "customer": ("updated", "deleted"),
    "radar.early_fraud_warning": ("created", "updated"),
    "price": ("created", "updated", "deleted"),
    "product": ("created", "updated", "deleted"),
}


def test_every_type_that_matters_has_a_file() -> None:
    assert {f"{group}.{what}" for group, found in NEEDED.items() for what in found} - handled_types() == set()


def test_stripe_sends_every_type_that_has_a_file() -> None:
    known = (Path(stripe.__file__).parent / "params/_webhook_endpoint_create_params.py").read_text()
    assert [name for name in sorted(handled_types()) if f'"{name}"' not in known] == []


@pytest.mark.parametrize("name", sorted(handled_types()))
def test_the_file_of_a_type_handles_it(name: str) -> None:
    module = import_module(f"atelier.billing.stripe_events.{name.replace('.', '__')}")
    assert list(signature(module.handle).parameters) == ["event", "deps"]
    assert (module.__doc__ or "").startswith(f"`{name}`")
