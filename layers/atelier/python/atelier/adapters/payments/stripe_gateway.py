"""Stripe by its SDK: the reads of `stripe_reads.py`, and the commands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import stripe

from atelier.adapters.payments.stripe_client import errors_as_ours
from atelier.adapters.payments.stripe_decoding import (
    CHECKOUT,
    ENDS_WITH_WORKSPACE,
    ONCE,
    WORKSPACE,
    checkout_facts,
    id_of,
    invoice_facts,
)
from atelier.adapters.payments.stripe_reads import PAGE_SIZE, SdkReads, plain
from atelier.billing.model import Checkout
from atelier.billing.stripe_facts import CheckoutFacts, InvoiceFacts, SubscriptionFacts
from atelier.clock import Clock, system_clock

CreatedT = TypeVar("CreatedT")
INTERNAL_ERROR = 500
# What a refund answers for a payment of which nothing is left, here or because the bank holds it.
NOTHING_LEFT = frozenset({"charge_already_refunded", "charge_disputed"})


class SdkStripe(SdkReads):
    """Stripe. client: made when first needed; uses_test_clocks: whether each new customer gets a test clock."""

    def __init__(
        self, client: Callable[[], stripe.StripeClient], *, uses_test_clocks: bool = False, clock: Clock = system_clock
    ) -> None:
        super().__init__(client)
        self._uses_test_clocks = uses_test_clocks
        self._clock = clock

    def create_customer(self, workspace_id: str, email: str, name: str, *, key: str) -> str:
        params: Any = {"email": email, "name": name, "metadata": {WORKSPACE: workspace_id}}
        with errors_as_ours():
            if self._uses_test_clocks:
                # In test mode only. A clock cannot be made twice with one key, because its time would differ.
                clocks = self._client().v1.test_helpers.test_clocks
                now = int(self._clock().timestamp())
                params["test_clock"] = clocks.create({"frozen_time": now, "name": workspace_id}).id
                return self._client().v1.customers.create(params).id
            return _once(lambda options: self._client().v1.customers.create(params, options), key).id

    def create_checkout(
        self, checkout: Checkout, price_id: str, customer_id: str, success_url: str, cancel_url: str, *, key: str
    ) -> CheckoutFacts:
        metadata = {WORKSPACE: checkout.workspace_id, CHECKOUT: checkout.id}
        params: Any = {
            "mode": "payment" if checkout.kind == "pack" else "subscription",
            "customer": customer_id,
            "client_reference_id": checkout.workspace_id,
            "line_items": [{"price": price_id, "quantity": checkout.quantity}],
            "metadata": metadata,
            "success_url": success_url,
            "cancel_url": cancel_url,
            "allow_promotion_codes": True,
            "tax_id_collection": {"enabled": True},
            "customer_update": {"address": "auto", "name": "auto"},
        }
        if checkout.kind == "pack":
            params["payment_intent_data"] = {"metadata": metadata}
        else:
            params["subscription_data"] = {"metadata": metadata}
            if checkout.trial_days:
                params["subscription_data"] |= {
                    "trial_period_days": checkout.trial_days,
                    "trial_settings": {"end_behavior": {"missing_payment_method": "cancel"}},
                }
                params["payment_method_collection"] = "if_required"
        with errors_as_ours():
            made = _once(lambda options: self._client().v1.checkout.sessions.create(params, options), key)
            return checkout_facts(plain(made))

    def open_portal(self, customer_id: str, return_url: str) -> str:
        with errors_as_ours():
            opened = self._client().v1.billing_portal.sessions.create(
                {"customer": customer_id, "return_url": return_url}
            )
            return opened.url

    def preview_change(self, facts: SubscriptionFacts, price_id: str, at: datetime) -> InvoiceFacts:
        details: Any = {
            "items": [{"id": facts.item_id, "price": price_id}],
            "proration_behavior": "always_invoice",
            "proration_date": _proration_date(facts, at),
        }
        with errors_as_ours():
            found = plain(
                self._client().v1.invoices.create_preview(
                    {"customer": facts.customer_id, "subscription": facts.id, "subscription_details": details}
                )
            )
            return invoice_facts(found, found["lines"]["data"], self._price)

    def change_now(self, facts: SubscriptionFacts, price_id: str, at: datetime) -> None:
        change: Any = {
            "items": [{"id": facts.item_id, "price": price_id}],
            "proration_behavior": "always_invoice",
            "proration_date": _proration_date(facts, at),
            "payment_behavior": "pending_if_incomplete",
        }
        with errors_as_ours():
            self._client().v1.subscriptions.update(facts.id, change)

    def change_at_period_end(self, facts: SubscriptionFacts, price_id: str) -> None:
        assert facts.price is not None
        schedules = self._client().v1.subscription_schedules
        with errors_as_ours():
            schedule_id = facts.schedule_id or schedules.create({"from_subscription": facts.id}).id
            schedule = plain(schedules.retrieve(schedule_id))
            # A schedule of an earlier change is still there in its last phase: the first phases may be over.
            began = schedule["current_phase"]["start_date"]
            current = next(phase for phase in schedule["phases"] if phase["start_date"] == began)
            now_item = {"price": id_of(current["items"][0]["price"]), "quantity": 1}
            present: Any = {"start_date": current["start_date"], "end_date": int(facts.period_end.timestamp())}
            if facts.status == "trialing":
                # A phase that does not say so would end the trial.
                present["trial"] = True
            later: Any = {"items": [{"price": price_id, "quantity": 1}], "proration_behavior": "none"}
            phases: Any = [{**present, "items": [now_item]}, later]
            schedules.update(schedule_id, {"end_behavior": "release", "phases": phases})

    def keep_plan(self, facts: SubscriptionFacts) -> None:
        if facts.schedule_id:
            with errors_as_ours():
                self._client().v1.subscription_schedules.release(facts.schedule_id)

    def set_cancel_at_period_end(
        self, facts: SubscriptionFacts, *, cancels: bool, with_workspace: bool = False
    ) -> None:
        change: Any = {"cancel_at_period_end": cancels}
        if with_workspace or facts.ends_with_workspace:
            # An empty value removes the key.
            change["metadata"] = {ENDS_WITH_WORKSPACE: "yes" if with_workspace else ""}
        with errors_as_ours():
            self._client().v1.subscriptions.update(facts.id, change)

    def pause(self, facts: SubscriptionFacts, resumes_at: datetime | None) -> None:
        pause: Any = {"behavior": "void"}
        if resumes_at is not None:
            pause["resumes_at"] = int(resumes_at.timestamp())
        with errors_as_ours():
            self._client().v1.subscriptions.update(facts.id, {"pause_collection": pause})

    def resume(self, facts: SubscriptionFacts, *, starts_period: bool) -> None:
        change: Any = {"pause_collection": ""}
        if starts_period:
            change |= {"billing_cycle_anchor": {"type": "now"}, "proration_behavior": "none"}
        with errors_as_ours():
            self._client().v1.subscriptions.update(facts.id, change)

    def cancel_at_once(self, subscription_id: str) -> None:
        with errors_as_ours():
            found = self._client().v1.subscriptions.retrieve(subscription_id)
            if found.status not in ("canceled", "incomplete_expired"):
                self._cancel(subscription_id)

    def _cancel(self, subscription_id: str) -> None:
        try:
            self._client().v1.subscriptions.cancel(subscription_id, {"invoice_now": False, "prorate": False})
        except stripe.InvalidRequestError as error:
            # Another handler has ended it since it was read: to this call Stripe then knows no such subscription.
            if error.code != "resource_missing":
                raise

    def delete_customer(self, customer_id: str) -> None:
        with errors_as_ours():
            self._client().v1.customers.delete(customer_id)

    def refund_payment(self, payment_id: str, *, key: str) -> None:
        with errors_as_ours():
            try:
                _once(lambda options: self._client().v1.refunds.create({"payment_intent": payment_id}, options), key)
            except stripe.InvalidRequestError as error:
                if error.code not in NOTHING_LEFT:
                    raise

    def return_to_balance(self, customer_id: str, amount: int, currency: str, *, key: str) -> None:
        transactions = self._client().v1.customers.balance_transactions
        with errors_as_ours():
            # Stripe forgets an idempotency key after a day; the metadata stay. Without a second try as in `_once`,
            # which might give the amount twice.
            made = transactions.list(customer_id, {"limit": PAGE_SIZE}).auto_paging_iter()
            if not any(plain(each)["metadata"].get(ONCE) == key for each in made):
                transactions.create(
                    customer_id,
                    {"amount": -amount, "currency": currency, "metadata": {ONCE: key}},
                    {"idempotency_key": key},
                )


def _once(create: Callable[[Any], CreatedT], key: str) -> CreatedT:
    """What `create` makes with an idempotency key. Stripe keeps an answer 500 for its key, although it may have made
    nothing, so after one the creation is tried with another key. What may then be made twice here is harmless: a
    customer or a page that nobody knows, and a refund of what is left."""
    try:
        return create({"idempotency_key": key})
    except stripe.APIError as error:
        if error.http_status != INTERNAL_ERROR:
            raise
        return create({"idempotency_key": f"{key}#again"})


def _proration_date(facts: SubscriptionFacts, at: datetime) -> int:
    """Stripe refuses a time before the period, which may have begun a moment ago by a clock ahead of ours."""
    return int(max(at, facts.period_start).timestamp())
