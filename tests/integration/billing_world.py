"""A deployment that sells: Stripe's simulator with the price list, the real SDK, records and ledger in the embedded
DynamoDB. Its events are handed to their handlers by the test, in whatever order and number it wants."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import stripe

from atelier.adapters.aws.dynamodb import audit_log, pause_with_jitter, transaction
from atelier.adapters.aws.dynamodb.billing.store import DynamoBilling
from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.ledger.transactions import put_new_wallet
from atelier.adapters.payments.stripe_client import new_client
from atelier.adapters.payments.stripe_gateway import SdkStripe
from atelier.billing.deps import BillingDeps
from atelier.billing.handle_event import handle_event
from atelier.billing.model import Checkout, Customer
from atelier.billing.plan_deps import PlanDeps, lookup_key
from atelier.billing.start_checkout import Buyer, CheckoutDeps, CheckoutOrder, ensure_customer, start_checkout
from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.tiers import Interval
from atelier.ids import new_id
from atelier.ledger.model import Account, DailyCreditRule, Wallet, new_wallet
from atelier.ledger.post import PostDeps, adjust
from infra.simulators.stripe.server import StripeSimulator
from tests.embedded_aws import Tables
from tests.simulators.stripe.flows import Browser
from tests.simulators.stripe.flows import card as card_fields

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
CATALOGUE = catalogue(frozenset({"local"}))
SITE = "https://media.example.com"


def no_daily_credits(_tier: str) -> DailyCreditRule:
    """So that a wallet holds only what was paid for."""
    return DailyCreditRule(0)


@dataclass
class BillingWorld:
    """`seen`: how many events were handed over already. `now`: our own clock; Stripe's is its simulator's. `mailboxes`:
    of workspaces whose owner has another one's."""

    simulator: StripeSimulator
    client: stripe.StripeClient
    plans: PlanDeps
    seen: int = 0
    now: datetime = BEGIN
    wallets: DynamoWallets = field(default_factory=DynamoWallets)
    mailboxes: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def deps(self) -> BillingDeps:
        return self.plans.billing

    def use_gateway(self, gateway: SdkStripe) -> None:
        """Let the product reach Stripe by another gateway than the test's own."""
        self.plans = replace(self.plans, billing=replace(self.plans.billing, stripe=gateway))

    def new_workspace(self) -> str:
        """A workspace with an empty wallet."""
        workspace_id = new_id("wsp", self.now)
        with transaction() as write:
            put_new_wallet(write, new_wallet(workspace_id, "free", self.now))
        return workspace_id

    def buyer(self, workspace_id: str) -> Buyer:
        mailbox = self.mailboxes.get(workspace_id, f"mailbox of {workspace_id}")
        return Buyer("usr_1", f"{workspace_id}@example.com", "Ada", mailbox, email_verified=True)

    def customer(self, workspace_id: str, card: str | None = "pm_card_visa") -> Customer:
        """The workspace's customer, with a card that later payments are charged to."""
        found = ensure_customer(workspace_id, lambda: self.buyer(workspace_id), deps=self.plans, now=self.now)
        if card is not None:
            self.use_card(found.stripe_id, card)
        return found

    def use_card(self, customer_id: str, card: str) -> None:
        method = self.client.v1.payment_methods.attach(card, {"customer": customer_id})
        settings: Any = {"invoice_settings": {"default_payment_method": method.id}}
        self.client.v1.customers.update(customer_id, settings)

    def checkout(self, workspace_id: str, tier: str | None = None, **changes: Any) -> Checkout:
        """Begin a checkout; `pack` and `quantity` for credits."""
        given: dict[str, Any] = {
            "interval": "month",
            "pack": None,
            "quantity": 1,
            "success_url": f"{SITE}/done",
            "cancel_url": f"{SITE}/back",
            "idempotency_key": None,
            **changes,
        }
        deps = CheckoutDeps(
            self.plans, DynamoIdempotencyKeys(), lambda: self.buyer(workspace_id), lambda url: url.startswith(SITE)
        )
        return start_checkout(CheckoutOrder(workspace_id, tier, **given), deps=deps, now=self.now)

    def pay(self, checkout: Checkout, card: str = "4242424242424242", *, promotion: str = "") -> None:
        """Fill Stripe's page, as a buyer does."""
        self.pay_at(checkout.url or "", card, promotion=promotion)

    def pay_at(self, url: str, card: str | None = "4242424242424242", *, promotion: str = "") -> None:
        """Fill the page at a URL; without a card, as for a trial or what is free."""
        browser = Browser(url)
        if promotion:
            browser.press("Apply", promotionCode=promotion)
        assert browser.page is not None
        button = next(each for form in browser.page.forms for each in form.buttons if each in ("Pay", "Subscribe"))
        browser.press(button, **(card_fields(card) if card else {}))

    def control(self, what: str, **given: Any) -> Any:
        """Let somebody else act: `dispute` or `warning` (see the simulator's module)."""
        return httpx.post(f"{self.simulator.url}/_simulator/{what}", json=given).raise_for_status().json()

    def subscribe(self, workspace_id: str, tier: str = "pro", interval: Interval = "month") -> str:
        """A subscription that is paid by the workspace's card; Stripe's id. Its events are not handed over."""
        customer = self.customer(workspace_id)
        found = CATALOGUE.tier(tier)
        price = self.deps.stripe.price(lookup_key(found.id, interval, found.currency))
        assert price is not None
        made = self.client.v1.subscriptions.create({"customer": customer.stripe_id, "items": [{"price": price.id}]})
        return made.id

    def events(self) -> list[dict[str, str]]:
        """The messages of all events so far, the oldest first."""
        return self.events_since(0)

    def events_since(self, place: int) -> list[dict[str, str]]:
        """The messages of the events but the first ones, read from the simulator itself: there are thousands."""
        with self.simulator.lock:
            return [
                {"event": each["id"], "type": each["type"], "object": each["data"]["object"].get("id") or each["id"]}
                for each in self.simulator.account.events[place:]
            ]

    def new_events(self) -> list[dict[str, str]]:
        """The messages of the events since the last call."""
        found = self.events_since(self.seen)
        self.seen += len(found)
        return found

    def hand_over(self, messages: Iterable[dict[str, str]] | None = None) -> None:
        """Let the handlers act on these events; on all new ones by default."""
        for message in self.new_events() if messages is None else messages:
            handle_event(message, deps=lambda: self.deps)

    def wallet(self, workspace_id: str) -> Wallet:
        return self.wallets.wallet(workspace_id)

    def refreshed(self, workspace_id: str) -> Wallet:
        """The wallet with everything due booked."""
        return self.deps.ledger.refreshed_wallet(workspace_id, self.now)

    def granted(self, workspace_id: str) -> int:
        """The credits of all grants that were ever made, of purchases and months."""
        movements = self.wallets.movements(workspace_id, None, 500).movements
        return sum(
            -entry.amount
            for movement in movements
            if movement.kind == "grant" and movement.key.startswith("grant#stripe#")
            for entry in movement.entries
            if entry.account is Account.ISSUED
        )

    def spend(self, workspace_id: str, credits: int) -> None:
        """Spend credits, as a correction by an administrator does."""
        if credits:
            key = f"adjust#{new_id('adj', self.now)}"
            adjust(workspace_id, key, -credits, reason="spent", by="usr_1", deps=self.deps.ledger, now=self.now)

    def pass_days(self, days: float) -> None:
        """Let time pass here and at Stripe."""
        self.now += timedelta(days=days)
        self.simulator.advance(days=days)


@contextmanager
def billing_world(tables: Tables) -> Generator[BillingWorld]:
    """A world with the price list at Stripe."""
    DynamoBilling.bind(tables.billing, tables.ledger)
    DynamoWallets.bind(tables.ledger)
    audit_log.bind(tables.audit)
    DynamoIdempotencyKeys.bind(tables.requests)
    with StripeSimulator(now=int(BEGIN.timestamp()), stands_still=True) as simulator:
        client = new_client(simulator.api_key, simulator.url, seconds_max=20)
        sell(client)
        world: BillingWorld
        ledger = PostDeps(DynamoWallets(), no_daily_credits, pause_with_jitter)
        deps = BillingDeps(DynamoBilling(), SdkStripe(lambda: client), ledger, CATALOGUE.tier, lambda: world.now)
        world = BillingWorld(simulator, client, PlanDeps(deps, CATALOGUE))
        world.new_events()
        yield world


def sell(client: stripe.StripeClient) -> None:
    """Put the price list at Stripe."""
    for tier in map(CATALOGUE.tier, CATALOGUE.tiers_on_sale()):
        product = client.v1.products.create({"name": tier.title})
        for price in tier.prices:
            client.v1.prices.create(
                {
                    "product": product.id,
                    "currency": price["currency"],
                    "unit_amount": price["amount_minor"],
                    "recurring": {"interval": price["interval"]},
                    "lookup_key": lookup_key(tier.id, price["interval"], price["currency"]),
                    "metadata": {"atelier_tier": tier.id, "atelier_interval": price["interval"]},
                }
            )
    for pack in map(CATALOGUE.pack, CATALOGUE.packs_on_sale()):
        client.v1.prices.create(
            {
                "product": client.v1.products.create({"name": pack.title}).id,
                "currency": pack.currency,
                "unit_amount": pack.price,
                "lookup_key": lookup_key(pack.id, None, pack.currency),
                "metadata": {"atelier_pack": pack.id},
            }
        )
