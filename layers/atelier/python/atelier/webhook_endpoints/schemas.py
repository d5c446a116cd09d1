"""HTTP schemas of outbound webhooks."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from atelier import cursors
from atelier.errors import ValidationFailed
from atelier.lazy_model import LazyModel
from atelier.webhook_endpoints.manage import EndpointChange, EndpointSecret, NewEndpoint
from atelier.webhook_endpoints.model import (
    DeliveryAttempt,
    DeliveryState,
    DisabledReason,
    Endpoint,
    EndpointHealth,
    WebhookDelivery,
)
from atelier.webhook_endpoints.ports import DeliveryPage
from atelier.webhook_endpoints.resend import Replay
from atelier.webhook_endpoints.workspace_secret import ShownSecret

Url = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[!-~]+$")]
EventPattern = Annotated[str, Field(max_length=64, pattern=r"^(\*|[a-z][a-z_]*\.(\*|[a-z][a-z_]*))$")]
EventPatterns = Annotated[list[EventPattern], Field(min_length=1, max_length=100)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
EVENTS_TEXT = "Types of events, `generation.*` for all of a subject, or `*` for all."


class NewEndpointRequest(LazyModel):
    """A new endpoint."""

    model_config = ConfigDict(extra="forbid")

    url: Url = Field(description="An https address in the internet, port 443, without credentials.")
    events: EventPatterns = Field(default=["*"], description=EVENTS_TEXT)
    description: Description = ""

    def new(self, workspace_id: str, user_id: str, idempotency_key: str | None) -> NewEndpoint:
        """The endpoint to store."""
        events = tuple(dict.fromkeys(self.events))
        return NewEndpoint(workspace_id, user_id, self.url, events, self.description, idempotency_key)


class ChangeEndpointRequest(LazyModel):
    """What changes of an endpoint; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    events: EventPatterns | None = Field(default=None, description=EVENTS_TEXT)
    description: Description | None = None
    enabled: bool | None = None

    def change(self) -> EndpointChange:
        """The change."""
        events = tuple(dict.fromkeys(self.events)) if self.events is not None else None
        return EndpointChange(self.url, events, self.description, self.enabled)


class ReplayRequest(LazyModel):
    """The events of [from, to) that the endpoint gets again: those that were not delivered."""

    model_config = ConfigDict(extra="forbid")

    begin: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to", description="Not inclusive.")
    include_delivered: bool = Field(default=False, description="Also those that were delivered.")

    def replay(self) -> Replay:
        """The replay. Raises ValidationFailed for an empty range."""
        if self.begin >= self.end:
            raise ValidationFailed([{"path": "to", "message": "is not after `from`"}])
        return Replay(self.begin, self.end, self.include_delivered)


class DeliveryQuery(LazyModel):
    """A page of deliveries."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None
    state: DeliveryState | None = None

    @property
    def after_id(self) -> str | None:
        """The delivery after which the page begins. Raises ValidationFailed."""
        return cursors.decode(self.cursor, "whd_")


class EndpointView(LazyModel):
    """An endpoint. `disabled_reason`: why Atelier has disabled it, null if somebody did. `failing_since`: the first
    failure after the last success. `old_secret_until`: until then the secret before the last rotation signs too."""

    id: str
    url: str
    events: list[str]
    description: str
    enabled: bool
    disabled_reason: DisabledReason | None
    disabled_at: datetime | None
    failing_since: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    old_secret_until: datetime | None
    user_id: str
    created_at: datetime
    updated_at: datetime


class EndpointEnvelope(LazyModel):
    endpoint: EndpointView


class EndpointSecretEnvelope(LazyModel):
    """`secret`: it is shown this once; null when a request is repeated later."""

    endpoint: EndpointView
    secret: str | None


class WorkspaceSecretView(LazyModel):
    """The secret that signs what is sent to the `webhook_url` of generations. `old_secret_until`: until then the one
    before it signs too."""

    secret: str
    old_secret_until: datetime | None


class EndpointList(LazyModel):
    """All endpoints, the oldest first, and the types of events that there are."""

    items: list[EndpointView]
    event_types: list[str]


class DeliveryAttemptView(LazyModel):
    """One request. `request_id`: its header `webhook-request-id`. `error`: why there was no answer, or why it did not
    count. `answer`: its first KB."""

    request_id: str
    at: datetime
    duration_ms: int
    status: int | None
    error: str | None
    answer: str


class DeliveryView(LazyModel):
    """A delivery: one event for one endpoint. `id`: the header `webhook-id`, the same at each attempt. `endpoint_id`:
    null for the `webhook_url` of a generation."""

    id: str
    endpoint_id: str | None
    url: str | None
    event_id: str
    event_type: str
    state: DeliveryState
    created_at: datetime
    next_attempt_at: datetime | None
    attempt_count: int
    last_status: int | None
    last_error: str | None


class DeliveryDetailView(DeliveryView):
    """A delivery with its last 30 attempts, the oldest first. `payload`: what is sent."""

    payload: dict[str, Any]
    attempts: list[DeliveryAttemptView]


class DeliveryEnvelope(LazyModel):
    delivery: DeliveryDetailView


class DeliveryList(LazyModel):
    """A page of deliveries, the newest event first."""

    items: list[DeliveryView]
    next_cursor: str | None


class ReplayAccepted(LazyModel):
    """The replay runs in the background."""

    accepted: bool


def endpoint_view(endpoint: Endpoint, health: EndpointHealth | None, now: datetime) -> EndpointView:
    """An endpoint without its secrets."""
    health = health or EndpointHealth()
    old_until = endpoint.secret.old_until
    return EndpointView(
        id=endpoint.id,
        url=endpoint.url,
        events=list(endpoint.events),
        description=endpoint.description,
        enabled=endpoint.is_enabled,
        disabled_reason=endpoint.disabled_reason,
        disabled_at=endpoint.disabled_at,
        failing_since=health.failing_since,
        last_success_at=health.last_success_at,
        last_failure_at=health.last_failure_at,
        old_secret_until=old_until if old_until and old_until > now else None,
        user_id=endpoint.user_id,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
    )


def endpoint_secret(made: EndpointSecret, now: datetime) -> EndpointSecretEnvelope:
    """An endpoint with its secret."""
    return EndpointSecretEnvelope(endpoint=endpoint_view(made.endpoint, None, now), secret=made.secret)


def workspace_secret_view(shown: ShownSecret) -> WorkspaceSecretView:
    """The workspace's secret in clear."""
    return WorkspaceSecretView(secret=shown.secret, old_secret_until=shown.old_until)


def delivery_list(page: DeliveryPage) -> DeliveryList:
    """A page of deliveries."""
    items = [DeliveryView(**_delivery_facts(delivery)) for delivery in page.items]
    return DeliveryList(items=items, next_cursor=cursors.encode(page.next_id))


def delivery_envelope(delivery: WebhookDelivery) -> DeliveryEnvelope:
    """A delivery with its attempts."""
    attempts = [_attempt_view(attempt) for attempt in delivery.attempts]
    detail = DeliveryDetailView(**_delivery_facts(delivery), payload=json.loads(delivery.body), attempts=attempts)
    return DeliveryEnvelope(delivery=detail)


def _delivery_facts(delivery: WebhookDelivery) -> dict[str, Any]:
    last = delivery.attempts[-1] if delivery.attempts else None
    return {
        "id": delivery.id,
        "endpoint_id": None if delivery.url else delivery.endpoint_id,
        "url": delivery.url,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "state": delivery.state,
        "created_at": delivery.created_at,
        "next_attempt_at": delivery.next_attempt_at,
        "attempt_count": delivery.attempt_count,
        "last_status": last.status if last else None,
        "last_error": last.error if last else None,
    }


def _attempt_view(attempt: DeliveryAttempt) -> DeliveryAttemptView:
    return DeliveryAttemptView(
        request_id=attempt.id,
        at=attempt.at,
        duration_ms=attempt.duration_ms,
        status=attempt.status,
        error=attempt.error,
        answer=attempt.answer,
    )
