"""Act on a message of the queue of webhooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from atelier.webhook_endpoints.deliver import deliver
from atelier.webhook_endpoints.deps import DeliverDeps, QueueDeps
from atelier.webhook_endpoints.resend import replay_page
from atelier.webhook_endpoints.sweep import sweep


def handle_message(message: Mapping[str, Any], *, deps: DeliverDeps, has_time: Callable[[], bool]) -> None:
    """message: what a WebhookQueue was given, with `do`: deliver, replay or sweep."""
    match message["do"]:
        case "deliver":
            deliver(message, deps=deps)
        case "replay":
            queue_deps = QueueDeps(deps.endpoints, deps.deliveries, deps.queue)
            replay_page(message, deps=queue_deps, now=deps.clock())
        case "sweep":
            sweep(deps=deps, has_time=has_time)
        case other:
            raise ValueError(f"unknown message {other}")
