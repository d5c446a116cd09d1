"""BillingStore on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    TransactionFailed,
    conditional,
    newest_page,
    transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.billing.items import (
    BillingItem,
    decode_checkout,
    decode_invoice,
    decode_line_credits,
    decode_payment,
    decode_reconciliation,
    decode_subscription,
    encode,
)
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem
from atelier.adapters.aws.dynamodb.ledger.transactions import put_tier
from atelier.audit_log.model import AuditEvent
from atelier.billing.model import (
    Checkout,
    CheckoutState,
    Customer,
    Invoice,
    LineCredits,
    Payment,
    Reconciliation,
    Subscription,
)
from atelier.billing.ports import StaleSubscription
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound

CUSTOMER, SUBSCRIPTION, TRIAL = "customer", "subscription", "trial"
RECONCILIATION = ("reconciliation", "until")
RecordT = TypeVar("RecordT")


class DynamoBilling:
    """BillingStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str, ledger_table_name: str) -> None:
        """Name the tables of billing, and of the wallets whose tier it writes."""
        BillingItem.bind(table_name)
        WalletItem.bind(ledger_table_name)

    def customer(self, workspace_id: str) -> Customer | None:
        item = _read(workspace_id, CUSTOMER)
        if item is None:
            return None
        facts = item.facts
        return Customer(workspace_id, facts["stripe_id"], parse_rfc3339(facts["created_at"]), facts["is_deleted"])

    def workspace_of(self, customer_id: str) -> str | None:
        item = _read(f"stripe#{customer_id}", CUSTOMER)
        return item.facts["workspace_id"] if item else None

    def add_customer(self, customer: Customer, *, before: Customer | None) -> bool:
        item = BillingItem(customer.workspace_id, CUSTOMER, facts=encode(customer, "workspace_id"))
        reverse = BillingItem(f"stripe#{customer.stripe_id}", CUSTOMER, facts={"workspace_id": customer.workspace_id})
        seen = (
            BillingItem.pk.does_not_exist() if before is None else BillingItem.facts == encode(before, "workspace_id")
        )
        try:
            with transaction() as write:
                write.save(item, seen, part="customer")
                write.save(reverse)
        except TransactionFailed:
            return False
        return True

    def mark_customer_deleted(self, workspace_id: str, stripe_id: str) -> bool:
        customer = self.customer(workspace_id)
        if customer is None or customer.stripe_id != stripe_id or customer.is_deleted:
            return False
        item = BillingItem(workspace_id, CUSTOMER)
        seen = encode(customer, "workspace_id")
        deleted = BillingItem.facts.set({**seen, "is_deleted": True})
        return conditional(lambda: item.update([deleted], condition=BillingItem.facts == seen))

    def checkout(self, workspace_id: str, checkout_id: str) -> Checkout | None:
        item = _read(workspace_id, checkout_id)
        return decode_checkout(item) if item else None

    def add_checkout(self, checkout: Checkout) -> Checkout:
        item = _checkout_item(checkout)
        if conditional(lambda: item.save(condition=BillingItem.pk.does_not_exist())):
            return checkout
        return decode_checkout(BillingItem.get(item.pk, item.sk, consistent_read=True))

    def save_checkout(self, checkout: Checkout) -> bool:
        item = _checkout_item(checkout)
        not_paid = BillingItem.paid.does_not_exist()
        is_new = BillingItem.facts != item.facts
        return conditional(lambda: item.save(condition=BillingItem.pk.exists() & not_paid & is_new))

    def reserve_trial(self, mailbox: str, workspace_id: str) -> bool:
        facts = {"workspace_id": workspace_id}
        item = BillingItem(f"trial#{mailbox}", TRIAL, facts=facts)
        return conditional(lambda: item.save(condition=BillingItem.pk.does_not_exist() | (BillingItem.facts == facts)))

    def subscription(self, workspace_id: str) -> Subscription | None:
        item = _read(workspace_id, SUBSCRIPTION)
        return decode_subscription(item) if item else None

    def reserve_plan(self, workspace_id: str, request: str, *, now: datetime, until: datetime) -> bool:
        alone, shared = (_reservation(workspace_id, request, until, is_shared=each) for each in (False, True))
        free = BillingItem.pk.does_not_exist() | (BillingItem.held_until <= rfc3339(now))
        if conditional(lambda: alone.save(condition=free)):
            return True
        same = (BillingItem.facts == alone.facts) | (BillingItem.facts == shared.facts)
        return conditional(lambda: shared.save(condition=same))

    def release_plan(self, workspace_id: str, request: str, *, now: datetime) -> None:
        released = _reservation(workspace_id, request, now, is_shared=False)
        conditional(lambda: released.save(condition=BillingItem.facts == released.facts))

    def is_claimed(self, workspace_id: str, stripe_id: str) -> bool | None:
        item = _read(workspace_id, _claim_sk(stripe_id))
        return bool(item.facts["claimed"]) if item else None

    def save_subscription(self, record: Subscription, events: Sequence[AuditEvent] = ()) -> None:
        item = BillingItem(
            record.workspace_id,
            SUBSCRIPTION,
            facts=encode(record, "workspace_id", "revision"),
            revision=record.revision,
        )
        unchanged = (
            BillingItem.pk.does_not_exist() if record.revision == 1 else BillingItem.revision == record.revision - 1
        )
        claim = _claim_item(record.workspace_id, record.stripe_id, claimed=True)
        try:
            with transaction() as write:
                write.save(item, unchanged, part="subscription")
                write.save(claim, BillingItem.pk.does_not_exist() | (BillingItem.facts == claim.facts), part="claim")
                put_tier(write, record.workspace_id, record.entitled_tier, record.entitles_until, part="wallet")
                save_events(write, events)
        except ConditionsFailed as error:
            if error.parts == frozenset({"wallet"}):
                raise NotFound("There is no such workspace.") from error
            raise StaleSubscription from error
        except TransactionFailed as error:
            raise StaleSubscription from error

    def claim_ended(self, workspace_id: str, stripe_id: str) -> bool:
        claim = _claim_item(workspace_id, stripe_id, claimed=True)
        unclaimed = BillingItem.pk.does_not_exist() | (BillingItem.facts == claim.facts)
        return conditional(lambda: claim.save(condition=unclaimed))

    def refuse(self, workspace_id: str, stripe_id: str, *, seen_revision: int) -> None:
        refusal = _claim_item(workspace_id, stripe_id, claimed=False)
        try:
            with transaction() as write:
                write.check(
                    BillingItem,
                    workspace_id,
                    SUBSCRIPTION,
                    BillingItem.revision == seen_revision,
                    part="subscription",
                )
                unclaimed = BillingItem.pk.does_not_exist() | (BillingItem.facts == refusal.facts)
                write.save(refusal, unclaimed, part="claim")
        except TransactionFailed as error:
            raise StaleSubscription from error

    def invoice_credits(self, workspace_id: str, invoice_id: str) -> tuple[LineCredits, ...] | None:
        item = _read(workspace_id, f"credits#{invoice_id}")
        return decode_line_credits(item) if item else None

    def decide_invoice_credits(
        self, workspace_id: str, invoice_id: str, credits: Sequence[LineCredits]
    ) -> tuple[LineCredits, ...]:
        item = BillingItem(workspace_id, f"credits#{invoice_id}", facts=[encode(each) for each in credits])
        if conditional(lambda: item.save(condition=BillingItem.pk.does_not_exist())):
            return tuple(credits)
        return decode_line_credits(BillingItem.get(item.pk, item.sk, consistent_read=True))

    def save_invoice(self, invoice: Invoice, *, read_at: datetime) -> bool:
        item = BillingItem(invoice.workspace_id, f"invoice#{rfc3339(invoice.created_at)}#{invoice.id}")
        return _save_reading(item, encode(invoice, "workspace_id"), read_at)

    def save_payment(self, payment: Payment, *, read_at: datetime) -> bool:
        item = _payment_item(payment.workspace_id, payment.id, payment.created_at)
        return _save_reading(item, encode(payment, "workspace_id", "is_suspicious"), read_at)

    def mark_suspicious(self, payment: Payment) -> None:
        item = _payment_item(payment.workspace_id, payment.id, payment.created_at)
        conditional(lambda: item.update([BillingItem.suspicious.set(1)], condition=BillingItem.pk.exists()))

    def invoices(self, workspace_id: str, after: str | None, limit: int) -> tuple[list[Invoice], str | None]:
        return _page(workspace_id, "invoice#", decode_invoice, after, limit)

    def payments(self, workspace_id: str, after: str | None, limit: int) -> tuple[list[Payment], str | None]:
        return _page(workspace_id, "payment#", decode_payment, after, limit)

    def reconciliation(self) -> Reconciliation:
        item = _read(*RECONCILIATION)
        return decode_reconciliation(item) if item else Reconciliation()

    def save_reconciliation(self, state: Reconciliation) -> None:
        BillingItem(*RECONCILIATION, facts=encode(state)).save()


def _read(pk: str, sk: str) -> BillingItem | None:
    try:
        return BillingItem.get(pk, sk, consistent_read=True)
    except DoesNotExist:
        return None


def _page(
    workspace_id: str, prefix: str, decode: Callable[[BillingItem], RecordT], after: str | None, limit: int
) -> tuple[list[RecordT], str | None]:
    bounds = (prefix, f"{prefix}~")
    items, next_key = newest_page(BillingItem, workspace_id, bounds, matching=None, after=after, limit=limit)
    return [decode(item) for item in items], next_key


def _save_reading(item: BillingItem, facts: dict[str, object], read_at: datetime) -> bool:
    """Write what was read from Stripe, unless a later reading is stored, or the same facts; returns whether it was
    written."""
    at = rfc3339(read_at)
    is_new = BillingItem.read_at.does_not_exist() | ((BillingItem.read_at <= at) & (BillingItem.facts != facts))
    return conditional(
        lambda: item.update([BillingItem.facts.set(facts), BillingItem.read_at.set(at)], condition=is_new)
    )


def _checkout_item(checkout: Checkout) -> BillingItem:
    paid = 1 if checkout.state is CheckoutState.PAID else None
    return BillingItem(checkout.workspace_id, checkout.id, facts=encode(checkout, "id", "workspace_id"), paid=paid)


def _claim_sk(stripe_id: str) -> str:
    return f"claim#{stripe_id}"


def _claim_item(workspace_id: str, stripe_id: str, *, claimed: bool) -> BillingItem:
    return BillingItem(workspace_id, _claim_sk(stripe_id), facts={"claimed": claimed})


def _reservation(workspace_id: str, request: str, until: datetime, *, is_shared: bool) -> BillingItem:
    facts = {"request": request, "is_shared": is_shared}
    return BillingItem(workspace_id, "reservation", facts=facts, held_until=rfc3339(until))


def _payment_item(workspace_id: str, payment_id: str, created_at: datetime) -> BillingItem:
    return BillingItem(workspace_id, f"payment#{rfc3339(created_at)}#{payment_id}")
