"""Begin a checkout: a page of Stripe on which a subscription or a pack of credits is paid.

What is sold is decided here, from our price list, and written before Stripe is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from atelier.billing.errors import AlreadySubscribed, StripeObjectMissing
from atelier.billing.find_plan import current_subscription, price_of_pack, price_of_tier
from atelier.billing.model import Checkout, Customer
from atelier.billing.plan_deps import PlanDeps
from atelier.catalogue.tiers import Interval
from atelier.dataclass import dataclass
from atelier.errors import Conflict, Unavailable, ValidationFailed
from atelier.idempotency import IdempotencyKeys, fingerprint
from atelier.identity.require_verified import require_verified
from atelier.ids import new_id
from atelier.telemetry import put_count

# In the URL to which a buyer returns, this is replaced by the checkout's id.
CHECKOUT_ID_PLACE = "{checkout_id}"


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys. `mailbox`: the digest of the mailbox behind the e-mail address. `email_verified`: nobody buys without:
    receipts and news of failed payments go to that address."""

    user_id: str
    email: str
    name: str
    mailbox: str
    email_verified: bool


@dataclass(frozen=True, slots=True)
class CheckoutOrder:
    """What is ordered: a tier by its name with an interval, or a pack by its name with a quantity. The URLs are those
    to which the buyer returns."""

    workspace_id: str
    tier: str | None
    interval: Interval
    pack: str | None
    quantity: int
    success_url: str
    cancel_url: str
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class CheckoutDeps:
    """`buyer`: of the caller; read only when it is needed. `allows_url`: whether a buyer may be sent to a URL."""

    plans: PlanDeps
    idempotency_keys: IdempotencyKeys
    buyer: Callable[[], Buyer]
    allows_url: Callable[[str], bool]


def start_checkout(order: CheckoutOrder, *, deps: CheckoutDeps, now: datetime) -> Checkout:
    """The checkout, with the URL of its page. Repeated with its idempotency key it is the same one.

    Raises AlreadySubscribed for a tier when the workspace has a subscription, ValidationFailed for what is not sold or
    a URL of others, Forbidden for a buyer whose address is not verified, Unavailable when Stripe does not answer or its
    prices are not those of the list."""
    _check_urls({"success_url": order.success_url, "cancel_url": order.cancel_url}, deps.allows_url)
    id = new_id("chk", now)
    if order.idempotency_key is not None:
        facts = [order.tier, order.interval, order.pack, order.quantity, order.success_url, order.cancel_url]
        key = f"checkout {order.idempotency_key}"
        id = deps.idempotency_keys.reserve(order.workspace_id, key, fingerprint(facts), id)
        stored = deps.plans.billing.store.checkout(order.workspace_id, id)
        if stored is not None and stored.url is not None:
            return stored
    require_verified(deps.buyer())
    what = {"tier": order.tier, "interval": order.interval} if order.tier else {"pack": order.pack}
    deps.plans.record("billing.checkout_requested", target=id, quantity=order.quantity, **what)
    checkout = deps.plans.billing.store.add_checkout(_checkout(id, order, deps, now))
    return _open(checkout, order, deps, now)


def open_portal(
    workspace_id: str,
    return_url: str,
    buyer: Callable[[], Buyer],
    *,
    allows_url: Callable[[str], bool],
    deps: PlanDeps,
    now: datetime,
) -> str:
    """The URL of Stripe's page on which the workspace changes its card, address and tax id. Raises ValidationFailed for
    a URL of others, and Forbidden for a buyer whose address is not verified."""
    _check_urls({"return_url": return_url}, allows_url)
    require_verified(buyer())
    deps.record("billing.portal_requested")
    customer = ensure_customer(workspace_id, buyer, deps=deps, now=now)
    try:
        return deps.billing.stripe.open_portal(customer.stripe_id, return_url)
    except StripeObjectMissing as error:
        deps.billing.store.mark_customer_deleted(workspace_id, customer.stripe_id)
        raise Unavailable("The page could not be opened. Try again.") from error


def _check_urls(urls: Mapping[str, str], allows_url: Callable[[str], bool]) -> None:
    wrong = [name for name, url in urls.items() if not allows_url(url)]
    if wrong:
        message = "must be a page of this deployment or of one of its front ends"
        raise ValidationFailed([{"path": name, "message": message} for name in wrong])


def _checkout(id: str, order: CheckoutOrder, deps: CheckoutDeps, now: datetime) -> Checkout:
    buyer = deps.buyer()
    if order.pack is not None:
        pack = price_of_pack(order.pack, order.quantity, deps.plans)
        return Checkout(
            id=id,
            workspace_id=order.workspace_id,
            user_id=buyer.user_id,
            kind="pack",
            item=pack.id,
            interval=None,
            quantity=order.quantity,
            credits=pack.credits * order.quantity,
            currency=pack.currency,
            amount=pack.price * order.quantity,
            created_at=now,
            credits_expire_after_days=pack.expires_after_days,
        )
    tier, amount = price_of_tier(order.tier or "", order.interval, deps.plans)
    before = current_subscription(order.workspace_id, deps.plans)
    if before is not None and not before.is_over:
        raise AlreadySubscribed("There is a subscription already. Change its plan instead.", tier=before.tier)
    billing = deps.plans.billing
    gets_trial = (
        tier.trial_days > 0 and before is None and billing.store.reserve_trial(buyer.mailbox, order.workspace_id)
    )
    return Checkout(
        id=id,
        workspace_id=order.workspace_id,
        user_id=buyer.user_id,
        kind="tier",
        item=tier.id,
        interval=order.interval,
        quantity=1,
        credits=0,
        currency=tier.currency,
        amount=amount,
        created_at=now,
        trial_days=tier.trial_days if gets_trial else 0,
    )


def _open(checkout: Checkout, order: CheckoutOrder, deps: CheckoutDeps, now: datetime) -> Checkout:
    billing = deps.plans.billing
    price_id = deps.plans.price_id(checkout.item, checkout.interval, checkout.currency)
    customer = ensure_customer(order.workspace_id, deps.buyer, deps=deps.plans, now=now)
    try:
        success_url = order.success_url.replace(CHECKOUT_ID_PLACE, checkout.id)
        session = billing.stripe.create_checkout(
            checkout, price_id, customer.stripe_id, success_url, order.cancel_url, key=checkout.id
        )
    except StripeObjectMissing as error:
        # The customer was deleted at Stripe, and the event has not come yet.
        billing.store.mark_customer_deleted(order.workspace_id, customer.stripe_id)
        raise Unavailable("The checkout could not be opened. Try again.") from error
    if session.url is None:
        raise Conflict("This checkout is over. Begin another one.", checkout_id=checkout.id)
    amount = 0 if checkout.trial_days else checkout.amount
    if (session.currency, session.subtotal) != (checkout.currency, amount):
        put_count("PricesNotSynced")
        raise Unavailable("The price list is being changed. Try again later.")
    opened = replace(checkout, session_id=session.id, url=session.url)
    billing.store.save_checkout(opened)
    return opened


def ensure_customer(workspace_id: str, buyer: Callable[[], Buyer], *, deps: PlanDeps, now: datetime) -> Customer:
    """The workspace's customer at Stripe, made when it is first needed or was deleted. A customer that was made twice
    because a process died is harmless: only the stored one is ever charged."""
    store = deps.billing.store
    before = store.customer(workspace_id)
    if before is not None and not before.is_deleted:
        return before
    who = buyer()
    key = f"customer#{workspace_id}#{before.stripe_id if before else 'first'}"
    stripe_id = deps.billing.stripe.create_customer(workspace_id, who.email, who.name, key=key)
    customer = Customer(workspace_id, stripe_id, now)
    if store.add_customer(customer, before=before):
        return customer
    stored = store.customer(workspace_id)
    assert stored is not None
    return stored
