"""Ports of billing: the queue of events, the store of its records, and Stripe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from atelier.audit_log.model import AuditEvent
from atelier.billing.model import (
    Checkout,
    Customer,
    Invoice,
    LineCredits,
    ObjectKind,
    Payment,
    Reconciliation,
    Subscription,
)
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
from atelier.dataclass import dataclass
from atelier.ledger.model import Wallet
from atelier.ledger.operations import Posting
from atelier.ledger.orphaned_escrows import OrphanedEscrow
from atelier.ledger.ports import WalletStore

if TYPE_CHECKING:
    from atelier.billing.adjustments import Adjustment, AdjustmentPage, AdjustmentState


@dataclass(frozen=True, slots=True)
class BillingEvent:
    """A webhook of Stripe as its handler needs it: its id, its type, and the id of the object that may have changed."""

    id: str
    type: str
    object_id: str


class BillingEventQueue(Protocol):
    """The queue of billing events. Delivery is at least once and unordered."""

    def send(self, event: BillingEvent) -> None: ...


class StaleSubscription(Exception):
    """The subscription's record has changed since it was read: read it, and then Stripe, again."""


class BillingStore(Protocol):
    """The records of billing. Every write is conditional: none relies on an earlier read alone."""

    def customer(self, workspace_id: str) -> Customer | None:
        """The workspace's customer."""
        ...

    def workspace_of(self, customer_id: str) -> str | None:
        """The workspace of one of Stripe's customers; None = it is not ours."""
        ...

    def add_customer(self, customer: Customer, *, before: Customer | None) -> bool:
        """Store a workspace's customer; returns False when another request has stored one. `before`: the deleted
        customer that it replaces."""
        ...

    def mark_customer_deleted(self, workspace_id: str, stripe_id: str) -> bool:
        """Remember that a customer was deleted at Stripe; returns whether that is new."""
        ...

    def checkout(self, workspace_id: str, checkout_id: str) -> Checkout | None: ...

    def add_checkout(self, checkout: Checkout) -> Checkout:
        """Store a new checkout; returns the stored one when there is one with this id."""
        ...

    def save_checkout(self, checkout: Checkout) -> bool:
        """Store a checkout's session and state, and return whether they are new; a paid checkout stays paid."""
        ...

    def reserve_trial(self, mailbox: str, workspace_id: str) -> bool:
        """Reserve the one trial of a mailbox (its digest) for a workspace; False when another workspace has it."""
        ...

    def subscription(self, workspace_id: str) -> Subscription | None:
        """The record of the workspace's subscription (consistent read)."""
        ...

    def reserve_plan(self, workspace_id: str, request: str, *, now: datetime, until: datetime) -> bool:
        """Reserve the workspace's plan for one request that changes it; False while another one has it. The same
        request again shares the reservation, which then ends by its time alone: one of the two may still be at work."""
        ...

    def release_plan(self, workspace_id: str, request: str, *, now: datetime) -> None:
        """End a request's reservation. Does nothing when it is shared, or another request has it."""
        ...

    def is_claimed(self, workspace_id: str, stripe_id: str) -> bool | None:
        """Whether a subscription of Stripe is, or was, the workspace's: False = it was refused, None = not decided."""
        ...

    def save_subscription(self, record: Subscription, events: Sequence[AuditEvent] = ()) -> None:
        """Write the record, the claim of its subscription, the wallet's tier and audit events in one transaction.
        Raises StaleSubscription unless the stored record has the revision before, or when the subscription was
        refused."""
        ...

    def claim_ended(self, workspace_id: str, stripe_id: str) -> bool:
        """Claim a subscription that has ended before it was ever seen; False when it was refused."""
        ...

    def refuse(self, workspace_id: str, stripe_id: str, *, seen_revision: int) -> None:
        """Refuse a second subscription. Raises StaleSubscription unless the record still has this revision, or when it
        was claimed."""
        ...

    def invoice_credits(self, workspace_id: str, invoice_id: str) -> tuple[LineCredits, ...] | None:
        """The credits that were decided for an invoice; None = nothing is decided."""
        ...

    def decide_invoice_credits(
        self, workspace_id: str, invoice_id: str, credits: Sequence[LineCredits]
    ) -> tuple[LineCredits, ...]:
        """Store the credits of an invoice once and for ever; returns the stored ones."""
        ...

    def save_invoice(self, invoice: Invoice, *, read_at: datetime) -> bool:
        """Store an invoice as it was read at a time, unless a later reading is stored, or the same. Returns whether it
        was written."""
        ...

    def save_payment(self, payment: Payment, *, read_at: datetime) -> bool:
        """Store a payment as it was read at a time, unless a later reading is stored, or the same. Returns whether it
        was written."""
        ...

    def mark_suspicious(self, payment: Payment) -> None:
        """Remember that the card's issuer has warned of fraud."""
        ...

    def invoices(self, workspace_id: str, after: str | None, limit: int) -> tuple[list[Invoice], str | None]:
        """A page of invoices, newest first, and where the next one begins."""
        ...

    def payments(self, workspace_id: str, after: str | None, limit: int) -> tuple[list[Payment], str | None]:
        """A page of payments, newest first, and where the next one begins."""
        ...

    def reconciliation(self) -> Reconciliation:
        """How far Stripe has been compared with these records."""
        ...

    def save_reconciliation(self, state: Reconciliation) -> None: ...


class StripeReads(Protocol):
    """Reading Stripe. Each raises StripeObjectMissing for an id that Stripe does not know, and Unavailable."""

    def customer(self, id: str) -> CustomerFacts: ...

    def checkout(self, id: str) -> CheckoutFacts: ...

    def subscription(self, id: str) -> SubscriptionFacts: ...

    def invoice(self, id: str) -> InvoiceFacts: ...

    def unpaid_since(self, subscription_id: str) -> datetime | None:
        """When the oldest open invoice of a subscription became due; None = it has no open invoice."""
        ...

    def paid_until(self, subscription_id: str) -> datetime | None:
        """The end of the last period of a subscription whose invoice is paid, a trial included; None = none is."""
        ...

    def payment(self, id: str) -> PaymentFacts: ...

    def payment_of_charge(self, charge_id: str) -> str | None:
        """The id of a charge's payment intent."""
        ...

    def invoice_of_payment(self, payment_id: str) -> str | None:
        """The id of the invoice that a payment intent pays; None for a payment without one."""
        ...

    def invoice_of_invoice_payment(self, id: str) -> str: ...

    def refund(self, id: str) -> RefundFacts: ...

    def refunds_of(self, payment_id: str) -> list[RefundFacts]: ...

    def dispute(self, id: str) -> DisputeFacts: ...

    def disputes_of(self, payment_id: str) -> list[DisputeFacts]: ...

    def charge_of_warning(self, id: str) -> str:
        """The charge that an early fraud warning is about."""
        ...

    def price(self, lookup_key: str) -> PriceFacts | None:
        """The active price with a lookup key."""
        ...

    def changed_since(self, kind: ObjectKind, since: datetime, after: str | None = None) -> Iterator[str]:
        """The ids of all objects of a kind created since, the newest first; of all subscriptions, however old. after:
        the object behind which to begin."""
        ...


class StripeCommands(Protocol):
    """Changing something at Stripe. `key` is the idempotency key: the same call with it happens once within a day. Each
    raises Unavailable, PaymentRefused, and StripeObjectMissing."""

    def create_customer(self, workspace_id: str, email: str, name: str, *, key: str) -> str: ...

    def create_checkout(
        self, checkout: Checkout, price_id: str, customer_id: str, success_url: str, cancel_url: str, *, key: str
    ) -> CheckoutFacts: ...

    def open_portal(self, customer_id: str, return_url: str) -> str: ...

    def preview_change(self, facts: SubscriptionFacts, price_id: str, at: datetime) -> InvoiceFacts:
        """The invoice of a change of plan that takes effect at once."""
        ...

    def change_now(self, facts: SubscriptionFacts, price_id: str, at: datetime) -> None:
        """Change the plan and charge the difference. The plan stays what it was until the payment succeeds."""
        ...

    def change_at_period_end(self, facts: SubscriptionFacts, price_id: str) -> None: ...

    def keep_plan(self, facts: SubscriptionFacts) -> None:
        """Withdraw a planned change."""
        ...

    def set_cancel_at_period_end(
        self, facts: SubscriptionFacts, *, cancels: bool, with_workspace: bool = False
    ) -> None:
        """with_workspace: mark that the plan ends because its workspace does. Any other call removes the mark."""
        ...

    def pause(self, facts: SubscriptionFacts, resumes_at: datetime | None) -> None: ...

    def resume(self, facts: SubscriptionFacts, *, starts_period: bool) -> None:
        """End a pause. `starts_period`: a new period begins now, and is charged."""
        ...

    def cancel_at_once(self, subscription_id: str) -> None:
        """End a subscription now; nothing is charged or given back for it. Does nothing to one that has ended."""
        ...

    def delete_customer(self, customer_id: str) -> None:
        """Delete a customer; its live subscriptions end at once. Raises StripeObjectMissing when it is gone."""
        ...

    def refund_payment(self, payment_id: str, *, key: str) -> None:
        """Refund what is left of a payment. Does nothing when nothing is left."""
        ...

    def return_to_balance(self, customer_id: str, amount: int, currency: str, *, key: str) -> None:
        """Give a customer an amount of balance, once for ever for a key."""
        ...


class Stripe(StripeReads, StripeCommands, Protocol):
    """Stripe, as billing needs it."""


class AdjustmentStore(Protocol):
    """Adjustments of wallets by administrators. Each change is one transaction, with its events."""

    def find(self, id: str) -> Adjustment | None:
        """An adjustment by a consistent read; None if there is none."""
        ...

    def get(self, id: str) -> Adjustment:
        """The same; raises NotFound."""
        ...

    def page(self, state: AdjustmentState | None, after: str | None, limit: int) -> AdjustmentPage:
        """Adjustments in a state (None = in any), newest first."""
        ...

    def add(self, pending: Adjustment, *, events: Sequence[AuditEvent]) -> None:
        """Store an adjustment that waits for a second administrator. Raises AdjustmentExists."""
        ...

    def reject(self, rejected: Adjustment, *, events: Sequence[AuditEvent]) -> None:
        """Store that a pending adjustment was rejected. Raises AdjustmentDecided."""
        ...

    def wallets(
        self, applied: Adjustment, pending: Adjustment | None, alone_credits_max: int, *, events: Sequence[AuditEvent]
    ) -> WalletStore:
        """Wallets whose `post` writes in its transaction that the adjustment is applied. pending: its record, which
        must be of another administrator and still pending; None = the record is new, and its credits count to what its
        administrator adjusts alone on the day. `post` also raises AdjustmentDecided and AloneLimitReached."""
        ...


class OrphanedEscrowStore(Protocol):
    """Ends orphaned escrows."""

    def end(
        self, workspace_id: str, orphan: OrphanedEscrow, postings: Sequence[Posting], *, events: Sequence[AuditEvent]
    ) -> None:
        """Write the end of an escrow with its events in one transaction. Raises StaleWallet when it has ended, or a
        purchase waits for it after all."""
        ...


class WalletFreezer(Protocol):
    """Freezes wallets. A hold that was planned before is not written. Each change is one transaction, with its
    events; where there is nothing to change, nothing is written. Both return the wallet, and raise NotFound."""

    def freeze(self, workspace_id: str, at: datetime, *, events: Sequence[AuditEvent]) -> Wallet: ...

    def unfreeze(self, workspace_id: str, *, events: Sequence[AuditEvent]) -> Wallet: ...
