"""Outbound webhooks under a virtual clock: the real store on the embedded AWS, a queue in memory whose delays pass at
once, and receivers that are scripted."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from atelier.adapters.aws.dynamodb import audit_log
from atelier.adapters.aws.dynamodb.webhooks.deliveries import DynamoWebhookDeliveries
from atelier.adapters.aws.dynamodb.webhooks.endpoints import DynamoWebhookEndpoints
from atelier.adapters.aws.dynamodb.webhooks.items import WebhookDeliveryItem, WebhookNoticeItem
from atelier.clock import parse_rfc3339, rfc3339
from atelier.events.event import Event
from atelier.feeds.model import FeedEvent
from atelier.ids import new_id
from atelier.webhook_endpoints.deps import DeliverDeps, QueueDeps
from atelier.webhook_endpoints.handle_message import handle_message
from atelier.webhook_endpoints.model import (
    DELAY_SECONDS_MAX,
    Endpoint,
    SealedText,
    SigningSecret,
    WebhookDelivery,
)
from atelier.webhook_endpoints.ports import WebhookAnswer
from atelier.webhook_endpoints.queue_deliveries import queue_deliveries
from atelier.webhook_endpoints.sign import new_secret
from tests.embedded_aws import Tables

BEGIN = datetime(2026, 11, 20, 21, 4, 5, tzinfo=UTC)
WORKSPACE = "wsp_01M7XCN60Q0Z9AH99VAAQWYH99"
OK, BROKEN, GONE = WebhookAnswer(200), WebhookAnswer(500, body="oops"), WebhookAnswer(410)
Script = Callable[[datetime, str], WebhookAnswer]


class ProcessDied(BaseException):
    """The process dies here. A BaseException, so that no `except Exception` of the product catches it."""


@dataclass
class VirtualQueue:
    """WebhookQueue in memory. A message that is not done comes again after the queue's visibility time-out."""

    world: World
    messages: list[tuple[datetime, int, dict[str, Any]]] = field(default_factory=list[Any])
    sent: int = 0

    def deliver(self, workspace_id: str, endpoint_id: str, delivery_id: str, delay_seconds: int, busy: int = 0) -> None:
        assert 0 <= delay_seconds <= DELAY_SECONDS_MAX
        ids = {"workspace_id": workspace_id, "endpoint_id": endpoint_id, "delivery_id": delivery_id, "busy": busy}
        self.push({"do": "deliver", **ids}, delay_seconds)

    def replay(self, workspace_id: str, endpoint_id: str, first_id: str, last_id: str, *, all_states: bool) -> None:
        ids = {"workspace_id": workspace_id, "endpoint_id": endpoint_id, "first_id": first_id, "last_id": last_id}
        self.push({"do": "replay", "all_states": all_states, **ids}, 0)

    def sweep(self) -> None:
        self.push({"do": "sweep"}, 0)

    def push(self, message: dict[str, Any], delay_seconds: int) -> None:
        self.sent += 1
        heapq.heappush(self.messages, (self.world.now + timedelta(seconds=delay_seconds), self.sent, message))


@dataclass
class ScriptedSender:
    """WebhookSender that asks a script. requests: (time, url, headers, body). seconds: how long an answer takes."""

    world: World
    script: Script = lambda now, url: OK
    seconds: float = 0.1
    requests: list[tuple[datetime, str, dict[str, str], bytes]] = field(default_factory=list[Any])

    def check(self, url: str) -> str | None:
        return None

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        self.requests.append((self.world.now, url, dict(headers), body))
        answer = self.script(self.world.now, url)
        self.world.now += timedelta(seconds=self.seconds)
        return answer


class PlainSealer:
    """WebhookSealer that hides nothing."""

    def seal(self, secret: str, workspace_id: str, endpoint_id: str) -> SealedText:
        return SealedText(f"{endpoint_id} {secret}", "kid")

    def open(self, sealed: SealedText, workspace_id: str, endpoint_id: str) -> str:
        owner, secret = sealed.record.split(" ")
        assert owner == endpoint_id
        return secret


@dataclass
class Published:
    """EventPublisher that keeps what it gets."""

    events: list[Event] = field(default_factory=list[Event])

    def publish(self, event: Event) -> None:
        self.events.append(event)


class Faulty:
    """Another object, whose calls are counted, and one of which kills the process before or after it."""

    def __init__(self, name: str, inner: Any, faults: Faults) -> None:
        self._name, self._inner, self._faults = name, inner, faults

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._inner, method)
        if not callable(call):
            return call

        def counted(*arguments: Any, **named: Any) -> Any:
            with self._faults.call(f"{self._name}.{method}"):
                return call(*arguments, **named)

        return counted


@dataclass
class Faults:
    """Which call kills the process. number: of the call, from 1; None = none. is_before: before it, or after it."""

    number: int | None = None
    is_before: bool = True
    calls: list[str] = field(default_factory=list[str])

    @contextmanager
    def call(self, name: str) -> Generator[None]:
        self.calls.append(name)
        dies = len(self.calls) == self.number
        if dies and self.is_before:
            raise ProcessDied
        yield
        if dies:
            raise ProcessDied


@dataclass
class World:
    """A workspace with endpoints. `now` is the virtual time."""

    tables: Tables
    now: datetime = BEGIN
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        audit_log.bind(self.tables.audit)
        self.endpoints = DynamoWebhookEndpoints(self.tables.webhooks)
        self.deliveries = DynamoWebhookDeliveries(self.tables.webhooks)
        self.queue = VirtualQueue(self)
        self.sender = ScriptedSender(self)
        self.sealer = PlainSealer()
        self.published = Published()

    def deps(self) -> DeliverDeps:
        faulty: dict[str, Any] = {
            name: Faulty(name, getattr(self, name), self.faults)
            for name in ("endpoints", "deliveries", "queue", "sender", "sealer")
        }
        bus: Any = Faulty("events", self.published, self.faults)
        return DeliverDeps(**faulty, events=bus, clock=lambda: self.now, jitter=lambda: 0.5)

    def endpoint(self, *events: str, url: str = "https://receiver.example/hook") -> Endpoint:
        """A new endpoint."""
        id = new_id("whe", self.now)
        secret = SigningSecret(self.sealer.seal(new_secret(), WORKSPACE, id))
        made = Endpoint(id, WORKSPACE, "usr_A", url, events or ("*",), "", secret, self.now, self.now)
        self.endpoints.create(made, [])
        return made

    def publish(self, *ids: str) -> int:
        """Events with these ids happen now."""
        events = [FeedEvent(id, "generation.succeeded", rfc3339(self.now), {"generation_id": id}) for id in ids]
        deps = self.deps()
        queue_deps = QueueDeps(deps.endpoints, deps.deliveries, deps.queue)
        return queue_deliveries(WORKSPACE, events, deps=queue_deps, now=self.now)

    def run(self, until: datetime) -> None:
        """Act on messages and sweeps in their order until a time. What dies is repeated as the queue does it."""
        while True:
            times = [message[0] for message in self.queue.messages[:1]]
            times += [at for at in [self.next_sweep()] if at is not None]
            if not times or min(times) > until:
                self.now = max(self.now, until)
                return
            self.now = max(self.now, min(times))
            if self.queue.messages and self.queue.messages[0][0] <= self.now:
                _, _, message = heapq.heappop(self.queue.messages)
            else:
                message = {"do": "sweep"}
            self.handle(message)

    def handle(self, message: dict[str, Any]) -> None:
        try:
            handle_message(message, deps=self.deps(), has_time=lambda: True)
        except ProcessDied:
            self.queue.push(message, 90)

    def next_sweep(self) -> datetime | None:
        """When the sweep will find something: the next whole minute after it is due."""
        due = [str(item.due_at) for item in WebhookDeliveryItem.scan() if item.sk[:8] == "delivery" and item.due_at]
        due += [str(item.due_at) for item in WebhookNoticeItem.scan() if item.sk.startswith("notice#")]
        if not due:
            return None
        at = parse_rfc3339(min(due))
        return max(at + timedelta(seconds=-at.timestamp() % 60), self.now)

    def all(self, endpoint: Endpoint) -> list[WebhookDelivery]:
        """The deliveries to an endpoint, the newest first."""
        return list(self.deliveries.list(WORKSPACE, endpoint.id, None, None, 100).items)

    def one(self, endpoint: Endpoint) -> WebhookDelivery:
        [delivery] = self.all(endpoint)
        return delivery

    def ignore_death(self, act: Callable[[], object]) -> None:
        with suppress(ProcessDied):
            act()
