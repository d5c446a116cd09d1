"""What an owner does with the plan, composed."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from atelier.audit_log.model import Origin
from atelier.audit_log.record import RequestRecord
from atelier.billing import change_plan, follow_checkout, start_checkout
from atelier.billing.deps import BillingDeps
from atelier.billing.model import Checkout, Invoice, Payment, Subscription
from atelier.billing.plan_deps import PlanDeps
from atelier.billing.return_urls import is_allowed_url
from atelier.caller import Caller
from atelier.catalogue.catalogue import Catalogue
from atelier.catalogue.tiers import Interval
from atelier.clock import system_clock
from atelier.identity.mailbox import mailbox_digest
from atelier.wiring import audit_log, identity, payments
from atelier.wiring.idempotency import idempotency_keys
from atelier.wiring.prices import prices

allows_url = partial(is_allowed_url, allows_origin=identity.allows_origin)


def subscription(workspace_id: str) -> Subscription | None:
    """The record of the workspace's subscription."""
    return payments.store().subscription(workspace_id)


def start(order: start_checkout.CheckoutOrder, caller: Caller, origin: Origin, now: datetime) -> Checkout:
    """Begin a checkout for a verified caller."""
    plan_deps = _deps(caller.workspace_id, origin, now)
    deps = start_checkout.CheckoutDeps(plan_deps, idempotency_keys(), partial(_buyer, caller, now), allows_url)
    return start_checkout.start_checkout(order, deps=deps, now=now)


def follow(workspace_id: str, checkout_id: str) -> Checkout:
    """A checkout as of now."""
    return follow_checkout.follow_checkout(workspace_id, checkout_id, deps=payments.billing_deps(system_clock))


def open_portal(caller: Caller, return_url: str, origin: Origin, now: datetime) -> str:
    """The URL of Stripe's page for the workspace's customer."""
    deps = _deps(caller.workspace_id, origin, now)
    return start_checkout.open_portal(
        caller.workspace_id, return_url, partial(_buyer, caller, now), allows_url=allows_url, deps=deps, now=now
    )


def preview(workspace_id: str, tier: str, interval: Interval, now: datetime) -> change_plan.ChangePreview:
    """What a change of plan would cost and give."""
    return change_plan.preview_change(workspace_id, tier, interval, deps=PlanDeps(*_billing()), now=now)


def change(
    workspace_id: str, tier: str, interval: Interval, quoted_at: datetime | None, origin: Origin, now: datetime
) -> Subscription:
    """Change the plan."""
    deps = _deps(workspace_id, origin, now)
    return change_plan.change_plan(workspace_id, tier, interval, quoted_at, deps=deps, now=now)


def cancel(workspace_id: str, origin: Origin, now: datetime) -> Subscription:
    """End the plan with its period."""
    return change_plan.cancel_plan(workspace_id, deps=_deps(workspace_id, origin, now), now=now)


def resume(workspace_id: str, origin: Origin, now: datetime) -> Subscription:
    """Go on after all."""
    return change_plan.resume_plan(workspace_id, deps=_deps(workspace_id, origin, now), now=now)


def pause(workspace_id: str, resumes_at: datetime | None, origin: Origin, now: datetime) -> Subscription:
    """Charge nothing for a while."""
    deps = _deps(workspace_id, origin, now)
    return change_plan.pause_plan(workspace_id, resumes_at, deps=deps, now=now)


def invoices(workspace_id: str, after: str | None, limit: int) -> tuple[list[Invoice], str | None]:
    """A page of invoices."""
    return payments.store().invoices(workspace_id, after, limit)


def payments_of(workspace_id: str, after: str | None, limit: int) -> tuple[list[Payment], str | None]:
    """A page of payments."""
    return payments.store().payments(workspace_id, after, limit)


def _deps(workspace_id: str, origin: Origin, now: datetime) -> PlanDeps:
    return PlanDeps(*_billing(), RequestRecord(audit_log.events(), workspace_id, origin, now))


def _billing() -> tuple[BillingDeps, Catalogue]:
    return payments.billing_deps(system_clock), prices()


def _buyer(caller: Caller, now: datetime) -> start_checkout.Buyer:
    user = identity.account(caller.user_id, now).user
    return start_checkout.Buyer(user.id, user.email, user.name, mailbox_digest(user.email), user.email_verified)
