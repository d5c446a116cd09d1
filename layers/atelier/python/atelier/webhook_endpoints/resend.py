"""Resend a delivery, or replay those of a range of time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound
from atelier.ids import floor_id
from atelier.webhook_endpoints.deps import QueueDeps
from atelier.webhook_endpoints.model import GENERATION_URLS, DeliveryState, WebhookDelivery

PAGE = 50


@dataclass(frozen=True, slots=True)
class Replay:
    """The events of [begin, end) that an endpoint shall get again. all_states: those too that were delivered."""

    begin: datetime
    end: datetime
    all_states: bool


def find_delivery(workspace_id: str, delivery_id: str, *, deps: QueueDeps) -> WebhookDelivery:
    """A delivery to an endpoint of the workspace. Raises NotFound."""
    endpoint_ids = [GENERATION_URLS, *(endpoint.id for endpoint in deps.endpoints.list(workspace_id))]
    found = deps.deliveries.find(workspace_id, endpoint_ids, delivery_id)
    if found is None:
        raise NotFound
    return found


def resend(workspace_id: str, delivery_id: str, *, deps: QueueDeps, now: datetime) -> WebhookDelivery:
    """Begin another round of attempts, with the same id and bytes, also after a success. Raises NotFound, Conflict."""
    delivery = find_delivery(workspace_id, delivery_id, deps=deps)
    if delivery.endpoint_id != GENERATION_URLS:
        _require_enabled(workspace_id, delivery.endpoint_id, deps)
    if not deps.deliveries.restart(delivery, now):
        raise Conflict("An attempt is being made. Look at its result first.")
    deps.queue.deliver(workspace_id, delivery.endpoint_id, delivery.id, 0)
    return deps.deliveries.get(workspace_id, delivery.endpoint_id, delivery.id) or delivery


def begin_replay(workspace_id: str, endpoint_id: str, replay: Replay, *, deps: QueueDeps) -> None:
    """Queue the replay of a range for an enabled endpoint. Raises NotFound, Conflict."""
    _require_enabled(workspace_id, endpoint_id, deps)
    first, last = floor_id("whd", replay.begin), floor_id("whd", replay.end)
    deps.queue.replay(workspace_id, endpoint_id, first, last, all_states=replay.all_states)


def replay_page(message: Mapping[str, Any], *, deps: QueueDeps, now: datetime) -> int:
    """Resend a page of a range {workspace_id, endpoint_id, first_id, last_id, all_states}, and queue the rest; returns
    how many. A delivery that is pending comes anyway. Repeating it resends again."""
    workspace_id, endpoint_id, last_id = message["workspace_id"], message["endpoint_id"], message["last_id"]
    page = deps.deliveries.list_between(workspace_id, endpoint_id, message["first_id"], last_id, PAGE)
    left_out = {DeliveryState.PENDING} if message["all_states"] else {DeliveryState.PENDING, DeliveryState.DELIVERED}
    resent = [
        delivery for delivery in page if delivery.state not in left_out and deps.deliveries.restart(delivery, now)
    ]
    for delivery in resent:
        deps.queue.deliver(workspace_id, endpoint_id, delivery.id, 0)
    if len(page) == PAGE:
        # The next page begins after the last one's id: `~` is above every character of an id.
        rest = page[-1].id + "~"
        deps.queue.replay(workspace_id, endpoint_id, rest, last_id, all_states=message["all_states"])
    return len(resent)


def _require_enabled(workspace_id: str, endpoint_id: str, deps: QueueDeps) -> None:
    if not deps.endpoints.get(workspace_id, endpoint_id).is_enabled:
        raise Conflict("The endpoint is disabled. Enable it first.")
