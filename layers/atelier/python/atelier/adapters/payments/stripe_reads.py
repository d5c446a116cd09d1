"""StripeReads by Stripe's SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, cast

import stripe

from atelier.adapters.payments.stripe_client import errors_as_ours
from atelier.adapters.payments.stripe_decoding import (
    Json,
    checkout_facts,
    customer_facts,
    dispute_facts,
    id_of,
    invoice_facts,
    paid_period_end,
    payment_facts,
    price_facts,
    refund_facts,
    subscription_facts,
    time_of,
)
from atelier.billing.errors import StripeObjectMissing
from atelier.billing.model import ObjectKind
from atelier.billing.stripe_facts import (
    CheckoutFacts,
    CustomerFacts,
    DisputeFacts,
    InvoiceFacts,
    PaymentFacts,
    PriceFacts,
    RefundFacts,
    SubscriptionFacts,
)

PAGE_SIZE = 100
# The newest paid invoice tells; some may be of nothing but items that an operator has added.
PAID_INVOICES_READ = 10
SUBSCRIPTION_PARTS: list[str] = ["schedule", "latest_invoice"]
INVOICE_PARTS: list[str] = ["payments"]
PAYMENT_PARTS: list[str] = ["latest_charge.balance_transaction"]


class SdkReads:
    """StripeReads with one client, which is made when first needed."""

    def __init__(self, client: Callable[[], stripe.StripeClient]) -> None:
        self._client = client
        # A price's amount never changes, and neither does what we wrote into it: each is read once in a process.
        self._prices: dict[str, PriceFacts] = {}

    def customer(self, id: str) -> CustomerFacts:
        with errors_as_ours():
            return customer_facts(plain(self._client().v1.customers.retrieve(id)))

    def checkout(self, id: str) -> CheckoutFacts:
        with errors_as_ours():
            return checkout_facts(plain(self._client().v1.checkout.sessions.retrieve(id)))

    def subscription(self, id: str) -> SubscriptionFacts:
        with errors_as_ours():
            found = plain(self._client().v1.subscriptions.retrieve(id, {"expand": SUBSCRIPTION_PARTS}))
            return subscription_facts(found, self._price)

    def invoice(self, id: str) -> InvoiceFacts:
        with errors_as_ours():
            found = plain(self._client().v1.invoices.retrieve(id, {"expand": INVOICE_PARTS}))
            return invoice_facts(found, self._lines(found), self._price)

    def unpaid_since(self, subscription_id: str) -> datetime | None:
        with errors_as_ours():
            listed = self._client().v1.invoices.list(
                {"subscription": subscription_id, "status": "open", "limit": PAGE_SIZE}
            )
            found = [plain(each) for each in listed.auto_paging_iter()]
        due = [each["status_transitions"]["finalized_at"] or each["created"] for each in found]
        return time_of(min(due)) if due else None

    def paid_until(self, subscription_id: str) -> datetime | None:
        with errors_as_ours():
            listed = self._client().v1.invoices.list(
                {"subscription": subscription_id, "status": "paid", "limit": PAID_INVOICES_READ}
            )
            # The newest first: an older one may be of a longer period that was left.
            return next((end for each in listed.data if (end := paid_period_end(plain(each)))), None)

    def _lines(self, invoice: Json) -> list[Json]:
        listed: Json = invoice["lines"]
        if not listed["has_more"]:
            return listed["data"]
        pages = self._client().v1.invoices.line_items.list(invoice["id"], {"limit": PAGE_SIZE})
        return [plain(line) for line in pages.auto_paging_iter()]

    def payment(self, id: str) -> PaymentFacts:
        with errors_as_ours():
            return payment_facts(plain(self._client().v1.payment_intents.retrieve(id, {"expand": PAYMENT_PARTS})))

    def payment_of_charge(self, charge_id: str) -> str | None:
        with errors_as_ours():
            return id_of(plain(self._client().v1.charges.retrieve(charge_id)).get("payment_intent"))

    def invoice_of_payment(self, payment_id: str) -> str | None:
        with errors_as_ours():
            listed = self._client().v1.invoice_payments.list(
                {"payment": {"type": "payment_intent", "payment_intent": payment_id}, "limit": 1}
            )
            return next((id_of(plain(each)["invoice"]) for each in listed.data), None)

    def invoice_of_invoice_payment(self, id: str) -> str:
        with errors_as_ours():
            return id_of(plain(self._client().v1.invoice_payments.retrieve(id))["invoice"]) or ""

    def refund(self, id: str) -> RefundFacts:
        with errors_as_ours():
            return refund_facts(plain(self._client().v1.refunds.retrieve(id)))

    def refunds_of(self, payment_id: str) -> list[RefundFacts]:
        with errors_as_ours():
            listed = self._client().v1.refunds.list({"payment_intent": payment_id, "limit": PAGE_SIZE})
            return [refund_facts(plain(each)) for each in listed.auto_paging_iter()]

    def dispute(self, id: str) -> DisputeFacts:
        with errors_as_ours():
            return dispute_facts(plain(self._client().v1.disputes.retrieve(id)))

    def disputes_of(self, payment_id: str) -> list[DisputeFacts]:
        with errors_as_ours():
            listed = self._client().v1.disputes.list({"payment_intent": payment_id, "limit": PAGE_SIZE})
            return [dispute_facts(plain(each)) for each in listed.auto_paging_iter()]

    def charge_of_warning(self, id: str) -> str:
        with errors_as_ours():
            return id_of(plain(self._client().v1.radar.early_fraud_warnings.retrieve(id))["charge"]) or ""

    def price(self, lookup_key: str) -> PriceFacts | None:
        with errors_as_ours():
            listed = self._client().v1.prices.list({"lookup_keys": [lookup_key], "active": True, "limit": 1})
            return next((price_facts(plain(each)) for each in listed.data), None)

    def changed_since(self, kind: ObjectKind, since: datetime, after: str | None = None) -> Iterator[str]:
        services = self._client().v1
        page: Any = {"limit": PAGE_SIZE, **({"starting_after": after} if after else {})}
        created: Any = {**page, "created": {"gte": int(since.timestamp())}}
        all_states: Any = {**page, "status": "all"}
        with errors_as_ours():
            listed = {
                "checkouts": lambda: services.checkout.sessions.list(created),
                "invoices": lambda: services.invoices.list(created),
                "payments": lambda: services.payment_intents.list(created),
                "refunds": lambda: services.refunds.list(created),
                "disputes": lambda: services.disputes.list(created),
                # Those that have not ended may have changed however old they are.
                "subscriptions": lambda: services.subscriptions.list(all_states),
            }[kind]()
            for each in listed.auto_paging_iter():
                yield cast("str", plain(each)["id"])

    def _price(self, id: str) -> PriceFacts:
        if id not in self._prices:
            try:
                self._prices[id] = price_facts(plain(self._client().v1.prices.retrieve(id)))
            except stripe.InvalidRequestError as error:
                raise StripeObjectMissing(id) from error
        return self._prices[id]


def plain(found: Any) -> Json:
    """An object of the SDK as plain JSON."""
    return found.to_dict()
