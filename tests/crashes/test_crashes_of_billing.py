"""A process of billing dies after each call that writes, to AWS or to Stripe; a death before the next one would leave
the same. Then its event comes again, or no event comes any more and the reconciliation runs; the end is that of a run
in which nothing died."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import stripe
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from atelier.adapters.aws.dynamodb import connection
from atelier.adapters.payments.stripe_client import Urllib3Client, new_client
from atelier.adapters.payments.stripe_gateway import SdkStripe
from atelier.billing.change_plan import change_plan
from atelier.billing.handle_event import handle_event
from atelier.billing.reconcile import reconcile
from tests.crashes.interceptor import READS, ProcessDied
from tests.embedded_aws import Tables
from tests.integration.billing_world import BillingWorld, billing_world

AnswerT = TypeVar("AnswerT")
ROUNDS_MAX = 6


class Deaths:
    """Counts the writes of a process, and lets it die once: after the write with a number."""

    def __init__(self) -> None:
        self.writes: list[str] = []
        self.dies_at: int | None = None
        self.is_running = self.is_dead = False
        self._sending = URLLib3Session()

    def process(self, work: Callable[[], object]) -> bool:
        """Run a process; returns False when it died."""
        self.is_running, self.is_dead = True, False
        try:
            work()
        except ProcessDied:
            return False
        finally:
            self.is_running = False
        return True

    def around(self, name: str, send: Callable[[], AnswerT]) -> AnswerT:
        if not self.is_running:
            return send()
        # A process that has died sends nothing more, whatever catches the first sign of it.
        if self.is_dead:
            raise ProcessDied
        self.writes.append(name)
        answer = send()
        if self.dies_at == len(self.writes):
            self.is_dead, self.dies_at = True, None
            raise ProcessDied
        return answer

    def before_send(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        if operation in READS:
            return None
        return self.around(operation, lambda: self._sending.send(request))

    def transport(self, seconds_max: float) -> stripe.HTTPClient:
        """Stripe's HTTP client, with deaths."""
        deaths = self

        class DyingClient(Urllib3Client):
            def request(
                self,
                method: str,
                url: str,
                headers: Mapping[str, str] | None,
                post_data: Any = None,
                **options: Any,
            ) -> tuple[str, int, Mapping[str, str]]:
                def send() -> tuple[str, int, Mapping[str, str]]:
                    return super(DyingClient, self).request(method, url, headers, post_data, **options)

                name = f"{method} {url.partition('/v1/')[2]}"
                return send() if method.lower() == "get" else deaths.around(name, send)

        return DyingClient(seconds_max)


@pytest.fixture
def deaths() -> Iterator[Deaths]:
    found = Deaths()
    events: Any = connection().client.meta.events
    events.register_first("before-send", found.before_send)
    yield found
    events.unregister("before-send", found.before_send)


@pytest.fixture
def world(tables: Tables, deaths: Deaths) -> Iterator[BillingWorld]:
    with billing_world(tables) as running:
        simulator = running.simulator
        client = new_client(simulator.api_key, simulator.url, seconds_max=20, transport=deaths.transport)
        gateway = SdkStripe(lambda: client)
        # The test's own calls go by the world's client, which nothing disturbs.
        running.use_gateway(gateway)
        yield running


@dataclass(frozen=True)
class Story:
    """`begin`: what was before; `work`: what the process does that may die, and whoever started it starts again;
    without it the process handles the event of the type `event`."""

    begin: Callable[[BillingWorld, str], object]
    event: str | None = None
    work: Callable[[BillingWorld, str], object] | None = None
    after: Callable[[BillingWorld, str], object] = lambda world, workspace: None


def hand_over(world: BillingWorld, *types: str) -> None:
    """Hand over the events of the types that say enough."""
    world.hand_over([event for event in world.new_events() if event["type"] in types])


def buy(world: BillingWorld, workspace: str) -> None:
    world.pay(world.checkout(workspace, pack="small", idempotency_key="one"))


def bought(world: BillingWorld, workspace: str) -> str:
    buy(world, workspace)
    hand_over(world, "checkout.session.completed")
    (payment,), _ = world.deps.store.payments(workspace, None, 10)
    return payment.id


def subscribed(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    hand_over(world, "invoice.paid", "payment_intent.succeeded")


def renewed(world: BillingWorld, workspace: str) -> None:
    subscribed(world, workspace)
    world.pass_days(32)


def refunded(world: BillingWorld, workspace: str) -> None:
    world.client.v1.refunds.create({"payment_intent": bought(world, workspace)})


def disputed(world: BillingWorld, workspace: str) -> str:
    charge = world.client.v1.payment_intents.retrieve(bought(world, workspace)).latest_charge
    return str(world.control("dispute", charge=charge, kind="dispute")["id"])


def dispute_won(world: BillingWorld, workspace: str) -> None:
    dispute = disputed(world, workspace)
    hand_over(world, "charge.dispute.created")
    world.control("dispute", dispute=dispute, status="won")


def subscribed_twice(world: BillingWorld, workspace: str) -> None:
    subscribed(world, workspace)
    world.subscribe(workspace, "studio")


def upgrade(world: BillingWorld, workspace: str) -> None:
    change_plan(workspace, "studio", "month", world.now, deps=world.plans, now=world.now)


STORIES = {
    "checkout": Story(
        lambda world, workspace: None,
        work=lambda world, workspace: world.checkout(workspace, pack="small", idempotency_key="one"),
        after=buy,
    ),
    "pack paid": Story(buy, "checkout.session.completed"),
    "first month": Story(lambda world, workspace: world.subscribe(workspace), "invoice.paid"),
    "renewal": Story(renewed, "invoice.paid"),
    "refund": Story(refunded, "refund.created"),
    "dispute": Story(disputed, "charge.dispute.created"),
    "dispute won": Story(dispute_won, "charge.dispute.closed"),
    "second subscription": Story(subscribed_twice, "customer.subscription.created"),
    "upgrade": Story(subscribed, work=upgrade),
}


def play(world: BillingWorld, deaths: Deaths, story: Story, dies_at: int | None, *, told: bool) -> object:
    """The end of a story in a new workspace. told: whether the events come again; else the reconciliation runs."""
    workspace = world.new_workspace()
    story.begin(world, workspace)
    events = world.new_events()
    deaths.writes, deaths.dies_at = [], dies_at
    if story.work is not None:
        work = story.work
        while not deaths.process(lambda: work(world, workspace)):
            pass
        assert deaths.dies_at is None
        story.after(world, workspace)
    else:
        message = next(each for each in events[::-1] if each["type"] == story.event)
        died = not deaths.process(lambda: handle_event(message, deps=lambda: world.deps))
        assert died == (dies_at is not None)
    for _ in range(ROUNDS_MAX):
        if told:
            world.hand_over(events)
        else:
            reconcile(deps=world.deps, has_time=lambda: True)
        events = world.new_events()
        if not events:
            break
    assert not events, "it never comes to an end"
    found = outcome(world, workspace)
    end_subscriptions(world, workspace)
    return found


def outcome(world: BillingWorld, workspace: str) -> dict[str, object]:
    wallet = world.refreshed(workspace)
    record = world.deps.store.subscription(workspace)
    objects = world.simulator.account.objects.values()
    customers = {
        each["id"] for each in objects if each["object"] == "customer" and each["metadata"]["workspace_id"] == workspace
    }
    of_customer = [each for each in objects if each.get("customer") in customers]
    payments, _ = world.deps.store.payments(workspace, None, 100)
    invoices, _ = world.deps.store.invoices(workspace, None, 100)
    return {
        "wallet": (wallet.available, wallet.debt, wallet.tier_at(world.now), world.granted(workspace)),
        "plan": (record.tier, record.status) if record else None,
        "customers": len(customers),
        "running": [each["status"] for each in of_customer if each["object"] == "subscription"],
        "refunds": [each["amount"] for each in of_customer if each["object"] == "refund"],
        "paid": [each["amount"] for each in of_customer if each["object"] == "payment_intent"],
        "payments": sorted((each.status, each.amount, each.refunded, each.credits) for each in payments),
        "invoices": sorted((each.status, each.total, each.credits) for each in invoices),
    }


def end_subscriptions(world: BillingWorld, workspace: str) -> None:
    """So that no later story meets these."""
    record = world.deps.store.subscription(workspace)
    if record is not None:
        world.client.v1.subscriptions.cancel(record.stripe_id)
        hand_over(world, "customer.subscription.deleted")


@pytest.mark.parametrize("name", STORIES)
def test_a_death_at_any_write_changes_nothing_in_the_end(name: str, world: BillingWorld, deaths: Deaths) -> None:
    story = STORIES[name]
    undisturbed = play(world, deaths, story, None, told=True)
    writes = list(deaths.writes)
    assert writes
    for number, call in enumerate(writes, 1):
        # The places are repaired by the events and by the reconciliation in turn.
        told = number % 2 == 1
        found = play(world, deaths, story, number, told=told)
        assert found == undisturbed, f"died after {number}, {call} of {writes}; told: {told}"
