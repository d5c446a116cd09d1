"""Read endpoints, and the deliveries to one."""

from __future__ import annotations

from datetime import datetime

from atelier.webhook_endpoints.deps import QueueDeps
from atelier.webhook_endpoints.manage import known_events
from atelier.webhook_endpoints.model import GENERATION_URLS, Endpoint
from atelier.webhook_endpoints.schemas import (
    DeliveryList,
    DeliveryQuery,
    EndpointEnvelope,
    EndpointList,
    delivery_list,
    endpoint_view,
)


def list_endpoints(workspace_id: str, *, deps: QueueDeps, now: datetime) -> EndpointList:
    """All endpoints of a workspace, with how they answered lately."""
    found = deps.endpoints.list(workspace_id)
    health = deps.endpoints.health(workspace_id, [endpoint.id for endpoint in found])
    items = [endpoint_view(endpoint, health.get(endpoint.id), now) for endpoint in found]
    return EndpointList(items=items, event_types=list(known_events()))


def show_endpoint(endpoint: Endpoint, *, deps: QueueDeps, now: datetime) -> EndpointEnvelope:
    """An endpoint, with how it answered lately."""
    health = deps.endpoints.health(endpoint.workspace_id, [endpoint.id])
    return EndpointEnvelope(endpoint=endpoint_view(endpoint, health.get(endpoint.id), now))


def list_deliveries(workspace_id: str, endpoint_id: str, query: DeliveryQuery, *, deps: QueueDeps) -> DeliveryList:
    """A page of the deliveries to an endpoint. Raises NotFound, ValidationFailed."""
    if endpoint_id != GENERATION_URLS:
        deps.endpoints.get(workspace_id, endpoint_id)
    return delivery_list(deps.deliveries.list(workspace_id, endpoint_id, query.state, query.after_id, query.limit))
