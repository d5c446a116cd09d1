"""Queue the deliveries of a workspace's events to its endpoints.

An event may come more than once: the id of a delivery is made of endpoint and event, so it is stored once. Should the
process die after it was stored and before its message was sent, the sweep finds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from atelier.clock import Clock, parse_rfc3339
from atelier.feeds.model import FeedEntry, FeedEvent
from atelier.webhook_endpoints.deps import QueueDeps
from atelier.webhook_endpoints.model import GENERATION_URLS, WebhookDelivery, delivery_id
from atelier.webhook_endpoints.sign import body_of


def queue_feed_page(feed_id: str, entries: Sequence[FeedEntry], *, deps: QueueDeps, clock: Clock) -> None:
    """Queue new entries of a feed; those of a person's feed are for no workspace."""
    if feed_id.startswith("wsp_"):
        queue_deliveries(feed_id, [entry.event for entry in entries], deps=deps, now=clock())


def queue_deliveries(workspace_id: str, events: Sequence[FeedEvent], *, deps: QueueDeps, now: datetime) -> int:
    """Queue these events for the endpoints that take them; returns how many deliveries are new."""
    if not events:
        return 0
    endpoints = deps.endpoints.list(workspace_id)
    wanted: list[tuple[str, FeedEvent, str | None]] = []
    for event in events:
        shown, url = _without_address(event)
        wanted += [(endpoint.id, shown, None) for endpoint in endpoints if endpoint.takes(event.type)]
        wanted += [(GENERATION_URLS, shown, url)] if url else []
    queued = [queue_delivery(workspace_id, id, event, deps=deps, now=now, url=url) for id, event, url in wanted]
    return sum(delivery is not None for delivery in queued)


def _without_address(event: FeedEvent) -> tuple[FeedEvent, str | None]:
    """An event without the address that its generation's request named, which is for nobody else; and that address."""
    data = dict(event.data)
    url = data.pop("webhook_url", None)
    return replace(event, data=data), url


def queue_delivery(
    workspace_id: str, endpoint_id: str, event: FeedEvent, *, deps: QueueDeps, now: datetime, url: str | None = None
) -> WebhookDelivery | None:
    """Queue one event for one endpoint; None if it was queued before."""
    delivery = WebhookDelivery(
        delivery_id(endpoint_id, event.id, parse_rfc3339(event.occurred_at)),
        workspace_id,
        endpoint_id,
        event.id,
        event.type,
        body_of(event.type, event.occurred_at, event.data),
        now,
        next_attempt_at=now,
        url=url,
    )
    if not deps.deliveries.add(delivery):
        return None
    deps.queue.deliver(workspace_id, endpoint_id, delivery.id, 0)
    return delivery
