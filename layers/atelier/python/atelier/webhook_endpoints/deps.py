"""The dependencies of the use cases of outbound webhooks."""

from __future__ import annotations

from collections.abc import Callable

from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.events.ports import EventPublisher
from atelier.feeds.ports import FeedReader
from atelier.idempotency import IdempotencyKeys
from atelier.webhook_endpoints.ports import (
    WebhookDeliveries,
    WebhookEndpoints,
    WebhookQueue,
    WebhookSealer,
    WebhookSender,
)


@dataclass(frozen=True, slots=True)
class QueueDeps:
    """Dependencies of what begins deliveries."""

    endpoints: WebhookEndpoints
    deliveries: WebhookDeliveries
    queue: WebhookQueue


@dataclass(frozen=True, slots=True)
class WebhookManageDeps:
    """Dependencies of requests about endpoints."""

    endpoints: WebhookEndpoints
    deliveries: WebhookDeliveries
    queue: WebhookQueue
    sender: WebhookSender
    sealer: WebhookSealer
    idempotency_keys: IdempotencyKeys
    feeds: FeedReader

    @property
    def queue_deps(self) -> QueueDeps:
        return QueueDeps(self.endpoints, self.deliveries, self.queue)


@dataclass(frozen=True, slots=True)
class DeliverDeps:
    """Dependencies of attempts. jitter: a random number in [0, 1)."""

    endpoints: WebhookEndpoints
    deliveries: WebhookDeliveries
    queue: WebhookQueue
    sender: WebhookSender
    sealer: WebhookSealer
    events: EventPublisher
    clock: Clock
    jitter: Callable[[], float]
