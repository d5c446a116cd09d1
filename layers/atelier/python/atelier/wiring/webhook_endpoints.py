"""Outbound webhooks, composed."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from atelier.clock import Clock
from atelier.settings import EventBus, WebhookHosts, WebhooksQueue, WebhooksTable
from atelier.wiring import audit_log, feeds
from atelier.wiring.idempotency import idempotency_keys

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.webhooks.deliveries import DynamoWebhookDeliveries
    from atelier.adapters.aws.dynamodb.webhooks.endpoints import DynamoWebhookEndpoints
    from atelier.adapters.aws.webhook_queue import SqsWebhookQueue
    from atelier.adapters.aws.webhook_secrets import VaultWebhookSealer
    from atelier.adapters.webhooks.sender import HttpWebhookSender
    from atelier.feeds.dispatch import FeedHandler
    from atelier.webhook_endpoints.deps import DeliverDeps, QueueDeps, WebhookManageDeps


@cache
def endpoints() -> DynamoWebhookEndpoints:
    """The endpoints of workspaces."""
    from atelier.adapters.aws.dynamodb.webhooks.endpoints import DynamoWebhookEndpoints

    audit_log.bind_events()
    return DynamoWebhookEndpoints(WebhooksTable.read().name)


@cache
def deliveries() -> DynamoWebhookDeliveries:
    """The deliveries to endpoints."""
    from atelier.adapters.aws.dynamodb.webhooks.deliveries import DynamoWebhookDeliveries

    audit_log.bind_events()
    return DynamoWebhookDeliveries(WebhooksTable.read().name)


@cache
def queue() -> SqsWebhookQueue:
    """The queue of webhooks."""
    from atelier.adapters.aws.webhook_queue import SqsWebhookQueue

    return SqsWebhookQueue(WebhooksQueue.read().url)


@cache
def sender() -> HttpWebhookSender:
    """What calls receivers."""
    from atelier.adapters.webhooks.sender import HttpWebhookSender

    return HttpWebhookSender(WebhookHosts.read().local_hosts)


@cache
def sealer() -> VaultWebhookSealer:
    """What encrypts the secrets of endpoints."""
    from atelier.adapters.aws.webhook_secrets import VaultWebhookSealer
    from atelier.wiring import provider_keys

    return VaultWebhookSealer(provider_keys.vault())


def feed_handler(clock: Clock) -> FeedHandler:
    """What queues the events of feeds."""
    from atelier.webhook_endpoints.queue_deliveries import queue_feed_page

    return partial(queue_feed_page, deps=queue_deps(), clock=clock)


def queue_deps() -> QueueDeps:
    """The dependencies of what begins deliveries."""
    from atelier.webhook_endpoints.deps import QueueDeps

    return QueueDeps(endpoints(), deliveries(), queue())


def manage_deps() -> WebhookManageDeps:
    """The dependencies of requests about endpoints."""
    from atelier.webhook_endpoints.deps import WebhookManageDeps

    return WebhookManageDeps(endpoints(), deliveries(), queue(), sender(), sealer(), idempotency_keys(), feeds.feeds())


def deliver_deps(clock: Clock) -> DeliverDeps:
    """The dependencies of attempts."""
    from atelier.adapters.aws.events import EventBridgeBus
    from atelier.feeds.publish import BusAndFeeds
    from atelier.webhook_endpoints.deliver import jitter
    from atelier.webhook_endpoints.deps import DeliverDeps

    bus = BusAndFeeds(EventBridgeBus(EventBus.read().name), feeds.feeds(), clock)
    return DeliverDeps(endpoints(), deliveries(), queue(), sender(), sealer(), bus, clock, jitter)
