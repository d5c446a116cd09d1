"""What time does to subscriptions and invoices: trials end, periods are renewed, failed payments are tried again."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.invoice_lines import item_line
from infra.simulators.stripe.invoices import (
    AFTER_INVOICE,
    DRAFT_SECONDS,
    charge_invoice,
    draft_invoice,
    finalize,
    mark_uncollectible,
    subscription_of,
    void,
)
from infra.simulators.stripe.pending_updates import expire_pending_update
from infra.simulators.stripe.periods import DAY, period_end_after
from infra.simulators.stripe.previews import renewal_preview
from infra.simulators.stripe.schedule import SOURCES, Due
from infra.simulators.stripe.subscription_items import interval_of, period_of, set_period
from infra.simulators.stripe.subscriptions import (
    INCOMPLETE_SECONDS,
    OVER,
    WARNING_SECONDS,
    cancel_now,
    end_unpaid_trial,
    has_method,
)

RUNNING = ("active", "past_due", "trialing", "unpaid")


def subscription_dues(account: Account, subscription: Object) -> Iterator[Due]:
    """All that is to come for a subscription."""
    status, facts = subscription["status"], account.note(subscription["id"])
    if status == "incomplete":
        yield subscription["created"] + INCOMPLETE_SECONDS, lambda: _expire(account, subscription)
    if subscription["pending_update"] and status not in OVER:
        yield subscription["pending_update"]["expires_at"], lambda: expire_pending_update(account, subscription)
    if status not in RUNNING:
        return
    _, end = period_of(subscription)
    yield end, lambda: end_period(account, subscription)
    if subscription["cancel_at"] and subscription["cancel_at"] < end:
        yield subscription["cancel_at"], lambda: cancel_now(account, subscription)
    if status == "trialing" and not facts.get("warned"):
        yield subscription["trial_end"] - WARNING_SECONDS, lambda: _warn(account, subscription)
    announced = end - account.policy.upcoming_days * DAY
    ends = subscription["cancel_at_period_end"] or (subscription["cancel_at"] and subscription["cancel_at"] <= end)
    pause = subscription["pause_collection"]
    is_silent = ends or pause or status == "trialing"
    if facts.get("announced") != end and not is_silent and period_of(subscription)[0] < announced:
        yield announced, lambda: _announce(account, subscription, end)
    if pause and pause["resumes_at"]:
        yield pause["resumes_at"], lambda: _resume_collection(account, subscription)


def invoice_dues(account: Account, invoice: Object) -> Iterator[Due]:
    """All that is to come for an invoice."""
    if invoice["status"] == "draft" and invoice["auto_advance"] and invoice["automatically_finalizes_at"]:
        yield invoice["automatically_finalizes_at"], lambda: advance_invoice(account, invoice)
    if invoice["status"] == "open" and invoice["next_payment_attempt"]:
        yield invoice["next_payment_attempt"], lambda: _retry(account, invoice)
    if invoice["status"] == "open" and invoice["due_date"] and not account.note(invoice["id"]).get("overdue"):
        yield invoice["due_date"], lambda: _mark_overdue(account, invoice)


def _warn(account: Account, subscription: Object) -> None:
    account.note(subscription["id"])["warned"] = True
    account.emit("customer.subscription.trial_will_end", subscription)


def _announce(account: Account, subscription: Object, end: int) -> None:
    """Tell what the next renewal will come to; that invoice has no id yet."""
    account.note(subscription["id"])["announced"] = end
    upcoming = renewal_preview(account, subscription)
    upcoming.pop("id")
    account.emit("invoice.upcoming", upcoming)


def _resume_collection(account: Account, subscription: Object) -> None:
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["pause_collection"] = None


def _expire(account: Account, subscription: Object) -> None:
    """The first payment was never made."""
    for invoice in account.all("invoice", customer=subscription["customer"], status="open"):
        if subscription_of(account, invoice) is subscription:
            void(account, invoice)
    with account.changing(subscription, "customer.subscription.updated"):
        subscription.update(status="incomplete_expired", ended_at=account.now(subscription["test_clock"]))


def end_period(account: Account, subscription: Object) -> None:
    """The end of a period: of the subscription, of its trial, or the beginning of the next period."""
    _, end = period_of(subscription)
    if subscription["cancel_at_period_end"] or (subscription["cancel_at"] and subscription["cancel_at"] <= end):
        cancel_now(account, subscription)
        return
    missing = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if subscription["status"] == "trialing" and missing != "create_invoice" and not has_method(account, subscription):
        end_unpaid_trial(account, subscription, missing)
        return
    _renew(account, subscription, end)


def next_period(subscription: Object) -> tuple[int, int]:
    """The period after the current one."""
    _, end = period_of(subscription)
    interval, count = interval_of(subscription["items"]["data"][0])
    return end, period_end_after(subscription["billing_cycle_anchor"], interval, count, end)


def _renew(account: Account, subscription: Object, end: int) -> None:
    start, following = next_period(subscription)
    customer = account.objects[subscription["customer"]]
    previous = period_of(subscription)[0]
    with account.changing(subscription, "customer.subscription.updated"):
        _end_discounts(account, subscription, start)
        subscription["items"]["data"] = copy.deepcopy(subscription["items"]["data"])
        set_period(subscription, start, following)
        if subscription["status"] == "trialing":
            subscription["status"] = "active"
        lines = [item_line(account, subscription, item, start, following) for item in subscription["items"]["data"]]
        invoice = draft_invoice(
            account, customer, lines, "subscription_cycle", subscription, period_start=previous, period_end=end
        )
    keeps_draft = (subscription["pause_collection"] or {}).get("behavior") == "keep_as_draft"
    if keeps_draft or subscription["status"] == "unpaid":
        invoice["auto_advance"] = False
    else:
        invoice["automatically_finalizes_at"] = start + DRAFT_SECONDS


def _end_discounts(account: Account, subscription: Object, now: int) -> None:
    for id in list(subscription["discounts"]):
        discount = account.objects[id]
        if discount["end"] is not None and discount["end"] <= now:
            subscription["discounts"].remove(id)
            account.emit("customer.discount.deleted", discount)


def advance_invoice(account: Account, invoice: Object) -> None:
    """A draft becomes binding and is charged; while collection is paused, it is given up instead."""
    subscription = subscription_of(account, invoice)
    pause = ((subscription or {}).get("pause_collection") or {}).get("behavior")
    finalize(account, invoice)
    if invoice["status"] != "open":
        return
    if pause == "void":
        void(account, invoice)
    elif pause == "mark_uncollectible":
        mark_uncollectible(account, invoice)
    elif invoice["collection_method"] == "charge_automatically":
        charge_invoice(account, invoice)


def _retry(account: Account, invoice: Object) -> None:
    invoice["next_payment_attempt"] = None
    charge_invoice(account, invoice)


def _mark_overdue(account: Account, invoice: Object) -> None:
    account.note(invoice["id"])["overdue"] = True
    account.emit("invoice.overdue", invoice)
    subscription = subscription_of(account, invoice)
    if subscription and subscription["status"] == "active":
        with account.changing(subscription, "customer.subscription.updated"):
            subscription["status"] = "past_due"


def _after_retries(account: Account, invoice: Object, outcome: str) -> None:
    """After the last failed try, the merchant's policy decides about the subscription."""
    subscription = subscription_of(account, invoice)
    is_last = invoice["next_payment_attempt"] is None and invoice["billing_reason"] == "subscription_cycle"
    if outcome != "failed" or not is_last or subscription is None or subscription["status"] != "past_due":
        return
    if account.policy.after_retries == "canceled":
        cancel_now(account, subscription, "payment_failed")
    elif account.policy.after_retries == "unpaid":
        with account.changing(subscription, "customer.subscription.updated"):
            subscription["status"] = "unpaid"


SOURCES.update({"subscription": subscription_dues, "invoice": invoice_dues})
AFTER_INVOICE.append(_after_retries)
