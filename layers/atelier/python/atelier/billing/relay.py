"""The outbox of billing: committed changes of plans and invoices become events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from atelier.billing.model import Invoice, Payment, PlanStatus, Subscription
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.events.catalogue import InvoicePaid, PackPaid, SubscriptionChanged
from atelier.events.event import Event
from atelier.events.ports import EventPublisher
from atelier.telemetry import logger


@dataclass(frozen=True, slots=True)
class BillingChange:
    """A record of billing as it was before a write (None = there was none) and after it. `at`: when it was written."""

    before: Subscription | Invoice | Payment | None
    after: Subscription | Invoice | Payment
    at: str


def relay_all(changes: Iterable[BillingChange], *, events: EventPublisher) -> None:
    """Publish what the changes mean. A repeated change publishes the same event, with the same id."""
    for change in changes:
        for event in events_of(change):
            events.publish(event)
            logger.info("published", type=event.type, event_id=event.id, workspace_id=change.after.workspace_id)


def events_of(change: BillingChange) -> Iterator[Event]:
    """The events of one change; none for what concerns nobody else."""
    before, after = change.before, change.after
    if isinstance(after, Subscription):
        earlier = before if isinstance(before, Subscription) and before.stripe_id == after.stripe_id else None
        yield SubscriptionChanged(
            workspace_id=after.workspace_id,
            subscription_id=after.id,
            revision=after.revision,
            change=_change(earlier, after),
            tier=after.tier,
            status=after.status.value,
            period_end=rfc3339(after.period_end),
            changed_at=change.at,
        )
    elif isinstance(after, Payment):
        if _is_paid_pack(after) and not (isinstance(before, Payment) and _is_paid_pack(before)):
            yield PackPaid(
                workspace_id=after.workspace_id,
                payment_id=after.id,
                currency=after.currency,
                amount=after.amount,
                credits=after.credits,
                paid_at=rfc3339(after.created_at),
            )
    elif after.status == "paid" and not (isinstance(before, Invoice) and before.status == "paid"):
        yield InvoicePaid(
            workspace_id=after.workspace_id,
            invoice_id=after.id,
            currency=after.currency,
            total=after.total,
            tax=after.tax,
            credits=after.credits,
            paid_at=rfc3339(after.paid_at or after.created_at),
        )


def _is_paid_pack(payment: Payment) -> bool:
    """Whether credits were bought with it. What has an invoice is told by the invoice."""
    return payment.status == "succeeded" and payment.invoice_id is None and payment.credits > 0


def _change(before: Subscription | None, after: Subscription) -> str:
    """What happened, in one word. A subscription that is seen for the first time when it has ended began and ended."""
    if after.is_over:
        return "ended"
    if before is None:
        return "started"
    if after.status is PlanStatus.PAST_DUE and before.status is not PlanStatus.PAST_DUE:
        return "past_due"
    return "changed"
