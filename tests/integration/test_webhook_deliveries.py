"""Deliveries of webhooks: retries, endpoints that fail, concurrency, and processes that die, under a virtual clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from atelier.adapters.aws.dynamodb.webhooks.items import WebhookDeliveryItem
from atelier.events.catalogue import WebhookEndpointDisabled
from atelier.ids import new_id
from atelier.webhook_endpoints.deps import QueueDeps
from atelier.webhook_endpoints.model import (
    FAILING_MAX,
    RETRY_SECONDS,
    SLOTS,
    DeliveryState,
    DisabledReason,
    EndpointHealth,
)
from atelier.webhook_endpoints.ports import Claim, WebhookAnswer
from atelier.webhook_endpoints.resend import resend
from tests.embedded_aws import Tables
from tests.integration.webhook_world import BEGIN, BROKEN, GONE, OK, WORKSPACE, Faults, Script, World
from tests.integration.world import run_concurrently

DAYS = timedelta(days=1)


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def failing_until(end: datetime, answer: WebhookAnswer = BROKEN) -> Script:
    return lambda now, url: answer if now < end else OK


def test_a_failing_receiver_is_tried_ten_times_in_three_days(world: World) -> None:
    endpoint = world.endpoint()
    world.sender.script = lambda now, url: BROKEN
    world.publish("gen_A")
    world.run(BEGIN + 4 * DAYS)
    times = [request[0] for request in world.sender.requests]
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert len(pauses) == len(RETRY_SECONDS)
    for pause, planned in zip(pauses, RETRY_SECONDS, strict=True):
        # A queue delays by whole seconds, and the sweep looks once a minute.
        assert planned <= pause <= planned + 62
    delivery = world.one(endpoint)
    assert (delivery.state, delivery.attempt_count, delivery.next_attempt_at) == (DeliveryState.FAILED, 10, None)
    assert [attempt.answer for attempt in delivery.attempts] == ["oops"] * 10
    assert len({request[2]["webhook-id"] for request in world.sender.requests}) == 1
    assert len({request[3] for request in world.sender.requests}) == 1
    assert world.endpoints.get(WORKSPACE, endpoint.id).is_enabled


def test_a_receiver_that_recovers_gets_what_waited(world: World) -> None:
    endpoint = world.endpoint()
    world.sender.script = failing_until(BEGIN + timedelta(hours=3))
    world.publish("gen_A", "gen_B")
    world.run(BEGIN + DAYS)
    assert {delivery.state for delivery in world.all(endpoint)} == {DeliveryState.DELIVERED}
    assert world.endpoints.health(WORKSPACE, [endpoint.id])[endpoint.id].failing_since is None


def test_a_receiver_may_ask_for_a_later_attempt(world: World) -> None:
    world.endpoint()
    asking = WebhookAnswer(429, retry_after_seconds=3000)
    world.sender.script = failing_until(BEGIN + timedelta(seconds=1), asking)
    world.publish("gen_A")
    world.run(BEGIN + DAYS)
    first, second = (request[0] for request in world.sender.requests)
    assert 3000 <= (second - first).total_seconds() <= 3062


def test_a_receiver_that_is_gone_is_disabled_at_once(world: World) -> None:
    endpoint = world.endpoint()
    other = world.endpoint(url="https://other.example/")
    world.sender.script = lambda now, url: OK if "other" in url else GONE
    world.publish("gen_A")
    world.run(BEGIN + DAYS)
    disabled = world.endpoints.get(WORKSPACE, endpoint.id)
    assert (disabled.is_enabled, disabled.disabled_reason) == (False, DisabledReason.GONE)
    assert world.one(endpoint).state is DeliveryState.FAILED
    assert world.one(other).state is DeliveryState.DELIVERED
    [event] = world.published.events
    assert isinstance(event, WebhookEndpointDisabled)
    assert (event.endpoint_id, event.reason) == (endpoint.id, "gone")
    assert world.publish("gen_B") == 1


def test_an_endpoint_that_fails_for_five_days_is_disabled(world: World) -> None:
    endpoint = world.endpoint()
    world.sender.script = lambda now, url: BROKEN
    for day in range(8):
        world.publish(f"gen_{day}")
        world.run(BEGIN + (day + 1) * DAYS)
    disabled = world.endpoints.get(WORKSPACE, endpoint.id)
    assert disabled.disabled_reason is DisabledReason.FAILING
    assert disabled.disabled_at is not None
    assert FAILING_MAX <= disabled.disabled_at - BEGIN <= FAILING_MAX + DAYS
    assert [type(event) for event in world.published.events] == [WebhookEndpointDisabled]
    states = {delivery.state for delivery in world.all(endpoint)}
    assert states == {DeliveryState.FAILED, DeliveryState.CANCELLED}
    assert max(request[0] for request in world.sender.requests) <= disabled.disabled_at


def test_one_success_in_five_days_keeps_an_endpoint_enabled(world: World) -> None:
    endpoint = world.endpoint()
    good = BEGIN + 3 * DAYS
    world.sender.script = lambda now, url: OK if good <= now < good + timedelta(hours=1) else BROKEN
    for day in range(7):
        world.publish(f"gen_{day}")
        world.run(BEGIN + (day + 1) * DAYS)
    assert world.endpoints.get(WORKSPACE, endpoint.id).is_enabled


def test_a_dead_receiver_does_not_delay_another(world: World) -> None:
    dead, living = world.endpoint(url="https://dead.example/"), world.endpoint(url="https://living.example/")
    world.sender.script = lambda now, url: WebhookAnswer(None, "no answer within 15 s") if "dead" in url else OK
    world.publish(*(f"gen_{number:03}" for number in range(12)))
    # Each request takes no time here: what is bounded is how many of one endpoint run at the same time.
    world.run(BEGIN + timedelta(minutes=2))
    assert {delivery.state for delivery in world.all(living)} == {DeliveryState.DELIVERED}
    assert {delivery.state for delivery in world.all(dead)} == {DeliveryState.PENDING}


def claims(world: World, count: int) -> list[Claim]:
    """Claims of that many deliveries at the same time."""
    deliveries = world.deliveries.list(WORKSPACE, next(iter(world.endpoints.list(WORKSPACE))).id, None, None, 100).items
    results = run_concurrently(
        count, lambda number: world.deliveries.claim(deliveries[number], new_id("whr", world.now), world.now).claim
    )
    return [result for result in results if isinstance(result, Claim)]


def test_at_most_five_requests_to_an_endpoint_run_together(world: World) -> None:
    world.endpoint()
    world.publish(*(f"gen_{number:03}" for number in range(16)))
    results = claims(world, 16)
    assert results.count(Claim.CLAIMED) <= SLOTS
    assert set(results) <= {Claim.CLAIMED, Claim.BUSY}
    more = claims(world, 16)
    assert (results + more).count(Claim.CLAIMED) == SLOTS


def test_an_endpoint_that_has_failed_has_one_request_at_a_time(world: World) -> None:
    world.endpoint()
    world.sender.script = lambda now, url: BROKEN
    world.publish("gen_A")
    world.run(BEGIN + timedelta(seconds=1))
    world.publish(*(f"gen_{number:03}" for number in range(10)))
    world.now += timedelta(seconds=30)
    assert claims(world, 11).count(Claim.CLAIMED) == 1


def test_a_delivery_is_claimed_by_one_of_two_messages(world: World) -> None:
    endpoint = world.endpoint()
    world.publish("gen_A")
    delivery = world.one(endpoint)
    results = run_concurrently(
        8, lambda number: world.deliveries.claim(delivery, new_id("whr", world.now), world.now).claim
    )
    assert results.count(Claim.CLAIMED) == 1


def test_a_busy_endpoint_keeps_one_message_for_each_delivery(world: World) -> None:
    endpoint = world.endpoint()
    world.publish(*(f"gen_{number:03}" for number in range(SLOTS + 1)))
    for delivery in world.all(endpoint)[1:]:
        world.deliveries.claim(delivery, new_id("whr", world.now), world.now)
    waiting = world.all(endpoint)[0]
    message = {"do": "deliver", "workspace_id": WORKSPACE, "endpoint_id": endpoint.id, "delivery_id": waiting.id}
    world.queue.messages.clear()
    for _ in range(3):
        world.handle(message)
    assert len(world.queue.messages) == 1
    assert world.sender.requests == []
    world.run(BEGIN + timedelta(minutes=30))
    assert world.deliveries.get(WORKSPACE, endpoint.id, waiting.id).state is DeliveryState.DELIVERED  # type: ignore[union-attr]


def test_a_secret_that_is_rotated_while_a_delivery_waits_signs_it(world: World) -> None:
    endpoint = world.endpoint()
    world.sender.script = failing_until(BEGIN + timedelta(seconds=2))
    world.publish("gen_A")
    world.run(BEGIN + timedelta(seconds=2))
    rotated = endpoint.secret.rotated(world.sealer.seal("whsec_bmV3ZXIgc2VjcmV0", WORKSPACE, endpoint.id), world.now)
    world.endpoints.replace(endpoint, replace(endpoint, secret=rotated, version=2), [])
    world.run(BEGIN + DAYS)
    first, second = (request[2]["webhook-signature"] for request in world.sender.requests)
    assert (first.count("v1,"), second.count("v1,")) == (1, 2)


def test_a_resend_waits_for_an_attempt_that_is_being_made(world: World) -> None:
    endpoint = world.endpoint()
    world.publish("gen_A")
    delivery = world.one(endpoint)
    world.deliveries.claim(delivery, new_id("whr", world.now), world.now)
    assert not world.deliveries.restart(delivery, world.now)
    world.now += timedelta(minutes=2)
    resent = resend(
        WORKSPACE, delivery.id, deps=QueueDeps(world.endpoints, world.deliveries, world.queue), now=world.now
    )
    assert resent.next_attempt_at == world.now


def test_an_endpoint_that_is_enabled_again_counts_from_then_on(world: World) -> None:
    endpoint = world.endpoint()
    world.sender.script = lambda now, url: GONE
    world.publish("gen_A")
    world.run(BEGIN + timedelta(minutes=1))
    disabled = world.endpoints.get(WORKSPACE, endpoint.id)
    enabled = replace(disabled, is_enabled=True, disabled_reason=None, disabled_at=None, version=disabled.version + 1)
    world.endpoints.replace(disabled, enabled, [])
    health = world.endpoints.health(WORKSPACE, [endpoint.id]).get(endpoint.id, EndpointHealth())
    assert health.failing_since is None


# ---- crashes ---------------------------------------------------------------------------------------------------------


def calls_of(world: World, answer: WebhookAnswer) -> int:
    """How many calls the story makes without a fault: an event, its first attempt, and what follows at once."""
    play(world, answer)
    return len(world.faults.calls)


def play(world: World, answer: WebhookAnswer) -> None:
    """An event happens, and its outbox repeats it until it is queued; then time goes by."""
    end = BEGIN + timedelta(seconds=1)
    world.sender.script = failing_until(end, answer)
    for _ in range(2):
        world.ignore_death(lambda: world.publish("gen_A"))
    world.run(BEGIN + timedelta(minutes=20))


def crashes(count: int) -> Iterator[Faults]:
    for number in range(1, count + 1):
        for is_before in (True, False):
            yield Faults(number, is_before)


@pytest.mark.parametrize("answer", [OK, BROKEN, GONE], ids=["delivered", "retried", "gone"])
def test_a_process_that_dies_at_any_call_loses_no_delivery(world: World, answer: WebhookAnswer) -> None:
    endpoint = world.endpoint()
    count = calls_of(world, answer)
    assert count > 8
    for faults in crashes(count):
        for item in WebhookDeliveryItem.scan():
            if not item.sk.startswith("whe_"):
                item.delete()
        current = world.endpoints.get(WORKSPACE, endpoint.id)
        if not current.is_enabled:
            fresh = replace(current, is_enabled=True, disabled_reason=None, version=current.version + 1)
            world.endpoints.replace(current, fresh, [])
        world.now, world.faults = BEGIN, faults
        world.queue.messages.clear()
        world.sender.requests.clear()
        world.published.events.clear()
        play(world, answer)
        where = f"{faults.calls[(faults.number or 1) - 1]} {'before' if faults.is_before else 'after'}"
        delivery = world.one(endpoint)
        # A process that dies after the request sends it twice, with one id.
        assert 1 <= len(world.sender.requests) <= 3, where
        assert len({request[2]["webhook-id"] for request in world.sender.requests}) == 1, where
        if answer is GONE:
            disabled = not world.endpoints.get(WORKSPACE, endpoint.id).is_enabled
            # When the request was sent and its result lost, the receiver has recovered at the second one.
            assert delivery.state is (DeliveryState.FAILED if disabled else DeliveryState.DELIVERED), where
            assert {event.id for event in world.published.events} == (
                {event.id for event in world.published.events[:1]} if disabled else set()
            ), where
            assert bool(world.published.events) is disabled, where
        else:
            assert delivery.state is DeliveryState.DELIVERED, where
            assert sum(attempt.is_success for attempt in delivery.attempts) == 1, where
        assert world.next_sweep() is None, where
        health = world.endpoints.health(WORKSPACE, [endpoint.id])[endpoint.id]
        free = [slot for slot in health.slots if slot is None or slot < "2026-11-20T21:24"]
        assert len(free) == SLOTS, where
